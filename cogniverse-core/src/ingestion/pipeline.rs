//! The ingestion pipeline: find, segment, transcribe, encode, store.

use super::{
    describing::Describing,
    document::{Cut, TensorFields},
    ffmpeg::Ffmpeg,
    fingerprint::{find_videos, hex},
    flights::Flights,
    input::VideoInput,
    progress::{ProgressEvent, ProgressSink},
    report::IngestReport,
    request::IngestRequest,
    screens::ScreenReading,
    seeing::Seeing,
    source::IngestSource,
    speech::Speech,
    telemetry,
};
use crate::{
    catalogue::CatalogueStore,
    guarded_backend::GuardedBackend,
    quotas::Quotas,
    schemas::{
        Schema, SchemaManager,
        provenance::{self, EMBEDDING_MODEL},
    },
    tenants::{Gate, TenantGrant},
    text::Language,
    transcript::Beside,
    worker::blocking,
};
use cogniverse_foundation::BackendProfile;
use cogniverse_sdk::{
    Clock, Error, ErrorCode, FieldName, Operation, Result, SearchBackend, SegmentEncoder, SystemClock, TenantSchema,
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};
use tracing::Instrument;

/// The number of segments looked up, encoded and stored together, which bounds the memory per video.
pub(super) const BATCH: usize = 64;
/// The version of what ingestion makes of a video: another one looks at every video anew.
const MAKE: u32 = 1;

/// An ingestor of videos for any tenant and profile. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingestor {
    pub(super) backend: Arc<dyn SearchBackend>,
    catalogue: CatalogueStore,
    schemas: SchemaManager,
    gate: Gate,
    encoders: Arc<BTreeMap<String, Arc<dyn SegmentEncoder>>>,
    pub(super) ffmpeg: Ffmpeg,
    pub(super) speech: Option<Arc<Speech>>,
    describing: Option<Arc<Describing>>,
    screens: Option<Arc<ScreenReading>>,
    clock: Arc<dyn Clock>,
    pub(super) flights: Flights,
    pub(super) quotas: Option<Quotas>,
}

/// A run: everything decided before the first video.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ingestor: Ingestor,
    /// Held for the whole run, which therefore counts as in flight.
    pub(super) grant: Arc<TenantGrant>,
    pub(super) profile: BackendProfile,
    pub(super) schema: Arc<Schema>,
    pub(super) target: TenantSchema,
    pub(super) cut: Cut,
    /// Whether stored documents record the model of their vectors.
    pub(super) says_model: bool,
    pub(super) tensors: TensorFields,
    pub(super) encoder: Option<Arc<dyn SegmentEncoder>>,
    pub(super) frames: bool,
    pub(super) seeing: Seeing,
    pub(super) language: Option<String>,
    /// The transcripts beside the videos.
    pub(super) beside: Arc<Beside>,
    /// A digest of everything but the video that decides what is stored.
    pub(super) plan: String,
    progress: Option<Arc<dyn ProgressSink>>,
}

impl Ingestor {
    /// Creates an ingestor over a backend, schemas and a gate.
    #[must_use]
    pub fn new(backend: &GuardedBackend, schemas: SchemaManager, gate: Gate) -> Self {
        Self {
            backend: backend.to_dyn(),
            catalogue: CatalogueStore::new(backend.clone(), schemas.clone()),
            schemas,
            gate,
            encoders: Arc::default(),
            ffmpeg: Ffmpeg::default(),
            speech: None,
            describing: None,
            screens: None,
            clock: Arc::new(SystemClock),
            flights: Flights::default(),
            quotas: None,
        }
    }

    /// Registers segment encoders under the names that profiles use.
    #[must_use]
    pub fn with_segment_encoders(mut self, encoders: BTreeMap<String, Arc<dyn SegmentEncoder>>) -> Self {
        self.encoders = Arc::new(encoders);
        self
    }

    /// Sets the ffmpeg programs.
    #[must_use]
    pub fn with_ffmpeg(mut self, ffmpeg: Ffmpeg) -> Self {
        self.ffmpeg = ffmpeg;
        self
    }

    /// Transcribes videos without a transcript beside them.
    #[must_use]
    pub fn with_speech(mut self, speech: Speech) -> Self {
        self.speech = Some(Arc::new(speech));
        self
    }

    /// Describes pictures where a request asks for it ([`IngestRequest::describing`]).
    #[must_use]
    pub fn with_frame_describer(mut self, describing: Describing) -> Self {
        self.describing = Some(Arc::new(describing));
        self
    }

    /// Reads text on screen where a request asks for it ([`IngestRequest::reading_screens`]).
    #[must_use]
    pub fn with_screen_reader(mut self, screens: ScreenReading) -> Self {
        self.screens = Some(Arc::new(screens));
        self
    }

    /// Counts the minutes of ingested video against the quotas of tenants.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = Some(quotas);
        self
    }

    /// Returns the same ingestor for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        Self { gate, ..self.clone() }
    }

    /// Sets the clock that stamps documents.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn catalogue(&self) -> &CatalogueStore {
        &self.catalogue
    }

    pub(super) fn schemas(&self) -> &SchemaManager {
        &self.schemas
    }

    pub(crate) fn ffmpeg(&self) -> &Ffmpeg {
        &self.ffmpeg
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Ingests a source. Ingesting it again does no work and creates no duplicates.
    ///
    /// # Errors
    /// Errors that prevent the whole run: an unknown or suspended tenant, an unknown profile, a schema that is not
    /// deployed, an encoder that does not fit it, an empty folder, a store that cannot be written, a suspension
    /// during the run. A failed video or segment is part of the report, and the others continue.
    ///
    /// # Cancellation
    /// Stored segments stay; running it again continues from there.
    pub async fn ingest(&self, request: IngestRequest) -> Result<IngestReport> {
        let grant = Arc::new(self.gate.admit(&request.tenant, Operation::Ingest).await?);
        let span = telemetry::ingest(&request.tenant, &request.profile);
        let result = grant.settle(self.run(Arc::clone(&grant), request).instrument(span.clone()).await);
        match &result {
            Ok(report) => telemetry::ingested(&span, report),
            Err(error) => span.in_scope(|| telemetry::failed(error)),
        }
        result
    }

    async fn run(&self, grant: Arc<TenantGrant>, request: IngestRequest) -> Result<IngestReport> {
        let name = request.profile.clone();
        let profile = grant.config().profile(&name)?.config.clone();
        tracing::Span::current().record("config.version", profile.version);
        let mut profile = profile.value;
        if let Some(segmentation) = &request.segmentation {
            segmentation.validate()?;
            profile.segmentation.clone_from(segmentation);
        }
        let schema = self.schemas.schema(&request.tenant, &profile.schema).await?;
        let schema = self.schemas.with_metadata(&request.tenant, schema, &profile.metadata).await?;
        self.catalogue.prepare(&request.tenant).await?;
        let seeing = Seeing::of((self.describing.as_ref(), self.screens.as_ref()), &request, &schema)?;
        let IngestRequest { tenant, source, encoder, frames, language, prune, concurrency, progress, .. } = request;
        let language = language.or_else(|| profile.language.clone());
        if let Some(language) = &language {
            Language::parse(language)?;
        }
        let encoder = match (encoder, &profile.encoder) {
            (Some(given), _) => Some(given),
            (None, Some(name)) => Some(self.encoder(name)?),
            (None, None) => None,
        };
        let tensors = TensorFields::of(&schema);
        if let Some(speech) = &self.speech {
            speech.validate()?;
        }
        if let Some(encoder) = &encoder {
            tensors.check_encoder(encoder.info(), &schema)?;
            profile.check_encoder(encoder.info())?;
        }
        let target = TenantSchema::new(&tenant, &profile.schema);
        let cut = Cut::new(name, &profile.schema);
        let says_model = schema.is_attribute(&FieldName::parse(EMBEDDING_MODEL)?);
        let plan = self.plan_of(
            &profile,
            &schema,
            encoder.as_deref(),
            &(frames, &language, seeing.models(language.as_deref())),
        )?;
        let run = Arc::new(Run {
            ingestor: self.clone(),
            grant,
            profile,
            schema,
            target,
            cut,
            says_model,
            tensors,
            encoder,
            frames,
            seeing,
            language,
            beside: Arc::default(),
            plan,
            progress,
        });
        match source {
            IngestSource::Segments(path) => run.segments_file(&path).await,
            IngestSource::Files(files) => {
                let inputs = files.into_iter().map(VideoInput::file).collect();
                run.videos(inputs, concurrency, None).await
            }
            IngestSource::Videos(inputs) => run.videos(inputs, concurrency, None).await,
            IngestSource::Folder(folder) => {
                let look = folder.clone();
                let found = blocking(move || find_videos(&look)).await?;
                let inputs = found.videos.into_iter().map(VideoInput::file).collect();
                let mut report = run.videos(inputs, concurrency, prune.then_some(folder)).await?;
                let passed = found.passed_over.into_iter();
                report.passed_over = passed.map(|(path, why)| (path.display().to_string(), why.to_owned())).collect();
                report.passed_over_count = found.passed_count;
                Ok(report)
            }
        }
    }

    /// Returns a digest of what decides what is stored of a video.
    fn plan_of(
        &self,
        profile: &BackendProfile,
        schema: &Schema,
        encoder: Option<&dyn SegmentEncoder>,
        options: &impl serde::Serialize,
    ) -> Result<String> {
        let model = encoder.map(|encoder| provenance::model_of(encoder.info()));
        let speech = self.speech.as_ref().map(|speech| speech.model());
        let fields: Vec<&str> = schema.fields().iter().map(|field| field.name.as_str()).collect();
        let said = serde_json::to_vec(&(MAKE, profile, fields, model, speech, options))
            .map_err(|e| Error::unexpected("a plan cannot be written").with_source(e))?;
        Ok(hex(Sha256::new_with_prefix(said)))
    }

    fn encoder(&self, name: &str) -> Result<Arc<dyn SegmentEncoder>> {
        self.encoders.get(name).cloned().ok_or_else(|| {
            let unknown = Error::unknown("segment encoder", name, self.encoders.keys());
            let message = format!("{}; register it where the ingestor is built", unknown.message());
            Error::of(ErrorCode::EncoderUnknown, message)
        })
    }
}

impl Run {
    pub(super) fn tell(&self, event: ProgressEvent) {
        if let Some(sink) = &self.progress {
            sink.event(&event);
        }
    }
}
