//! The flow: find, cut, transcribe, encode, store.

use super::{
    document::{Segment, TensorFields, document, says_the_same},
    ffmpeg::Ffmpeg,
    fingerprint::{VideoFile, find_videos},
    frames::Frames,
    progress::{ProgressEvent, ProgressSink},
    report::{IngestReport, VideoReport, VideoStatus},
    segments_file::{BadLine, SegmentsFile},
    source::IngestSource,
    speech::Speech,
    telemetry,
};
use crate::{
    schemas::{Schema, SchemaManager},
    tenants::TenantRegistry,
};
use cogniverse_foundation::{BackendProfile, ConfigManager, telemetry::TenantTelemetry};
use cogniverse_sdk::{
    Clock, Document, DocumentId, Error, ProfileName, Result, SearchBackend, SegmentEncoder, SystemClock, TenantId,
    TenantSchema, VideoId,
    document_store::{GetRequest, PutRequest},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::{JoinSet, spawn_blocking};
use tracing::Instrument;

/// Segments looked up, encoded and stored together: what memory holds of one video at a time.
pub(super) const BATCH: usize = 64;
/// Segments encoded together.
const ENCODE_BATCH: usize = 16;

/// Ingests for any tenant and profile. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingestor {
    pub(super) backend: Arc<dyn SearchBackend>,
    config: ConfigManager,
    schemas: SchemaManager,
    tenants: TenantRegistry,
    encoders: Arc<BTreeMap<String, Arc<dyn SegmentEncoder>>>,
    pub(super) ffmpeg: Ffmpeg,
    pub(super) speech: Option<Arc<Speech>>,
    telemetry: Option<TenantTelemetry>,
    clock: Arc<dyn Clock>,
}

/// What to ingest, and for whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IngestRequest {
    /// For whom.
    pub tenant: TenantId,
    /// Into which profile.
    pub profile: ProfileName,
    /// What.
    pub source: IngestSource,
    /// In place of the profile's encoder.
    pub encoder: Option<Arc<dyn SegmentEncoder>>,
    /// Whether the encoder wants pictures (default: no).
    pub frames: bool,
    /// The language that is spoken, as in ISO 639-1, for the transcriber (default none: it finds out).
    pub language: Option<String>,
    /// Videos worked on at once (default 2).
    pub concurrency: usize,
    /// Who watches.
    pub progress: Option<Arc<dyn ProgressSink>>,
}

impl IngestRequest {
    /// A source for a tenant's profile.
    #[must_use]
    pub fn new(tenant: TenantId, profile: ProfileName, source: IngestSource) -> Self {
        Self { tenant, profile, source, encoder: None, frames: false, language: None, concurrency: 2, progress: None }
    }

    /// In place of the profile's encoder, such as [`super::PrecomputedEncoder`].
    #[must_use]
    pub fn with_encoder(mut self, encoder: Arc<dyn SegmentEncoder>) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Gives the encoder pictures of each segment.
    #[must_use]
    pub fn with_frames(mut self) -> Self {
        self.frames = true;
        self
    }

    /// Says which language is spoken.
    #[must_use]
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Videos worked on at once.
    #[must_use]
    pub fn with_concurrency(mut self, videos: usize) -> Self {
        self.concurrency = videos.max(1);
        self
    }

    /// Who watches.
    #[must_use]
    pub fn with_progress(mut self, sink: Arc<dyn ProgressSink>) -> Self {
        self.progress = Some(sink);
        self
    }
}

/// One run: everything that is decided before the first video.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ingestor: Ingestor,
    pub(super) profile: BackendProfile,
    schema: Arc<Schema>,
    pub(super) target: TenantSchema,
    tensors: TensorFields,
    pub(super) encoder: Option<Arc<dyn SegmentEncoder>>,
    pub(super) frames: bool,
    pub(super) language: Option<String>,
    progress: Option<Arc<dyn ProgressSink>>,
}

impl Ingestor {
    /// An ingestor on a backend, with whose configuration, schemas and tenants it works.
    #[must_use]
    pub fn new(
        backend: Arc<dyn SearchBackend>,
        config: ConfigManager,
        schemas: SchemaManager,
        tenants: TenantRegistry,
    ) -> Self {
        Self {
            backend,
            config,
            schemas,
            tenants,
            encoders: Arc::default(),
            ffmpeg: Ffmpeg::default(),
            speech: None,
            telemetry: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Names segment encoders, as profiles name them.
    #[must_use]
    pub fn with_segment_encoders(mut self, encoders: BTreeMap<String, Arc<dyn SegmentEncoder>>) -> Self {
        self.encoders = Arc::new(encoders);
        self
    }

    /// Other programs than those of the path.
    #[must_use]
    pub fn with_ffmpeg(mut self, ffmpeg: Ffmpeg) -> Self {
        self.ffmpeg = ffmpeg;
        self
    }

    /// Writes down what is said in videos that have no transcript beside them.
    #[must_use]
    pub fn with_speech(mut self, speech: Speech) -> Self {
        self.speech = Some(Arc::new(speech));
        self
    }

    /// Brings tenants' telemetry configuration to the pipeline before their spans begin.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TenantTelemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Ingests a source. A second run of the same source does no work and makes no duplicate.
    ///
    /// # Errors
    /// What makes the whole run impossible: an unknown or suspended tenant, an unknown profile, a schema that is not
    /// deployed, an encoder that does not fit it, an empty folder, a store that cannot be written. A video or a segment
    /// that fails is in the report, and the others go on.
    ///
    /// # Cancellation
    /// What is stored stays; running it again goes on from there.
    pub async fn ingest(&self, request: IngestRequest) -> Result<IngestReport> {
        self.tenants.require_active(&request.tenant).await?;
        if let Some(telemetry) = &self.telemetry {
            telemetry.apply(&request.tenant).await;
        }
        let span = telemetry::ingest(&request.tenant, &request.profile);
        let result = self.run(request).instrument(span.clone()).await;
        match &result {
            Ok(report) => telemetry::ingested(&span, report),
            Err(error) => span.in_scope(|| telemetry::failed(error)),
        }
        result
    }

    async fn run(&self, request: IngestRequest) -> Result<IngestReport> {
        let IngestRequest { tenant, profile, source, encoder, frames, language, concurrency, progress } = request;
        let profile = self.config.get_profile(&tenant, &profile).await?.config;
        tracing::Span::current().record("config.version", profile.version);
        let profile = profile.value;
        let schema = self.schemas.schema(&tenant, &profile.schema).await?;
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
        let run = Arc::new(Run {
            ingestor: self.clone(),
            profile,
            schema,
            target,
            tensors,
            encoder,
            frames,
            language,
            progress,
        });
        match source {
            IngestSource::Segments(path) => run.segments_file(&path).await,
            IngestSource::Files(files) => run.videos(files, concurrency).await,
            IngestSource::Folder(folder) => {
                let files = blocking(move || find_videos(&folder)).await?;
                run.videos(files, concurrency).await
            }
        }
    }

    fn encoder(&self, name: &str) -> Result<Arc<dyn SegmentEncoder>> {
        self.encoders.get(name).cloned().ok_or_else(|| {
            let unknown = Error::unknown("segment encoder", name, self.encoders.keys());
            Error::new(unknown.kind(), format!("{}; register it where the ingestor is built", unknown.message()))
        })
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|e| Error::unexpected("a worker thread ended early").with_source(e))?
}

impl Run {
    pub(super) fn tell(&self, event: ProgressEvent) {
        if let Some(sink) = &self.progress {
            sink.event(&event);
        }
    }

    async fn videos(self: &Arc<Self>, files: Vec<PathBuf>, concurrency: usize) -> Result<IngestReport> {
        self.tell(ProgressEvent::Started { videos: files.len() });
        let mut reports = BTreeMap::new();
        let mut running = JoinSet::new();
        let mut seen: HashMap<String, PathBuf> = HashMap::new();
        for (place, path) in files.into_iter().enumerate() {
            let name = path.display().to_string();
            let file = match blocking({
                let path = path.clone();
                move || VideoFile::identify(&path)
            })
            .await
            {
                Ok(file) => file,
                Err(error) => {
                    reports.insert(place, VideoReport::new(name, None).failed(error.chain()));
                    continue;
                }
            };
            if let Some(first) = seen.get(&file.digest) {
                let mut report =
                    VideoReport::new(name, Some(file.id)).failed(format!("the same content as {}", first.display()));
                report.status = VideoStatus::Duplicate;
                reports.insert(place, report);
                continue;
            }
            seen.insert(file.digest.clone(), path);
            while running.len() >= concurrency {
                self.finish_one(&mut running, &mut reports).await?;
            }
            let run = Arc::clone(self);
            let span = telemetry::video(run.target.tenant(), &name);
            let work = async move {
                let report = run.video(file).await;
                match &report {
                    Ok(report) => telemetry::video_done(report),
                    Err(error) => telemetry::failed(error),
                }
                (place, report)
            };
            running.spawn(work.instrument(span));
        }
        while !running.is_empty() {
            self.finish_one(&mut running, &mut reports).await?;
        }
        Ok(IngestReport { videos: reports.into_values().collect() })
    }

    async fn finish_one(
        &self,
        running: &mut JoinSet<(usize, Result<VideoReport>)>,
        reports: &mut BTreeMap<usize, VideoReport>,
    ) -> Result<()> {
        if let Some(joined) = running.join_next().await {
            let (place, report) = joined.map_err(|e| Error::unexpected("a video's task ended early").with_source(e))?;
            let report = report?;
            self.tell(ProgressEvent::VideoFinished { name: report.name.clone(), status: report.status });
            reports.insert(place, report);
        }
        Ok(())
    }

    async fn segments_file(self: &Arc<Self>, path: &Path) -> Result<IngestReport> {
        let path = path.to_owned();
        let mut file = blocking(move || SegmentsFile::open(&path)).await?;
        let mut reports: HashMap<VideoId, VideoReport> = HashMap::new();
        let mut order: Vec<VideoId> = Vec::new();
        let mut bad = VideoReport::new("lines that are no segment", None);
        loop {
            let (returned, read) = blocking(move || read_batch(file)).await?;
            file = returned;
            self.tell(ProgressEvent::Read { bytes: file.read, of: file.size });
            let at_end = read.is_empty();
            let mut segments = Vec::with_capacity(read.len());
            for line in read {
                match line {
                    Ok(segment) => segments.push(segment),
                    Err(BadLine { name, error }) => bad.refuse(name, error.chain()),
                }
            }
            for segment in &segments {
                if !reports.contains_key(&segment.video_id) {
                    order.push(segment.video_id.clone());
                    reports.insert(
                        segment.video_id.clone(),
                        VideoReport::new(segment.video_id.as_str(), Some(segment.video_id.clone())),
                    );
                }
            }
            self.batch(segments, None, &mut reports).await?;
            if at_end {
                break;
            }
        }
        let mut videos: Vec<VideoReport> = order.iter().filter_map(|video| reports.remove(video)).collect();
        videos.iter_mut().for_each(VideoReport::settle);
        if bad.refused_count > 0 {
            bad.planned = bad.refused_count;
            videos.push(bad);
        }
        Ok(IngestReport { videos })
    }

    /// Stores those segments of a batch that are not stored yet as they are.
    pub(super) async fn batch(
        &self,
        segments: Vec<Segment>,
        pictures: Option<(&Frames, &Path)>,
        reports: &mut HashMap<VideoId, VideoReport>,
    ) -> Result<()> {
        let done = segments.len();
        let fresh = self.fresh(segments, reports).await?;
        let mut documents: Vec<Document> = Vec::with_capacity(fresh.len());
        let mut owners: HashMap<DocumentId, VideoId> = HashMap::new();
        for part in fresh.chunks(ENCODE_BATCH) {
            for (segment, vectors) in part.iter().zip(self.encode(part, pictures).await) {
                let made = vectors.and_then(|vectors| {
                    let rows = vectors.as_ref().or(segment.vectors.as_ref());
                    let document = document(segment, &self.schema, &self.tensors, rows, self.ingestor.clock.now())?;
                    Ok((document, rows.is_none() && self.encoder.is_some()))
                });
                let Some(report) = reports.get_mut(&segment.video_id) else { continue };
                match made {
                    Ok((document, without_vectors)) => {
                        report.without_vectors += usize::from(without_vectors);
                        owners.insert(document.id.clone(), segment.video_id.clone());
                        documents.push(document);
                    }
                    Err(error) => report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain()),
                }
            }
        }
        if !documents.is_empty() {
            let fed = self.ingestor.backend.put(PutRequest::new(self.target.clone(), documents)).await?;
            for outcome in fed.outcomes {
                let Some(report) = owners.get(&outcome.id).and_then(|video| reports.get_mut(video)) else { continue };
                match outcome.error {
                    None => report.stored += 1,
                    Some(error) => report.refuse(outcome.id.as_str(), error.chain()),
                }
            }
        }
        self.tell(ProgressEvent::SegmentsDone { count: done });
        Ok(())
    }

    /// Those that are not stored, or stored with other words, times, or without the vectors that they could have.
    async fn fresh(&self, segments: Vec<Segment>, reports: &mut HashMap<VideoId, VideoReport>) -> Result<Vec<Segment>> {
        let mut ids = Vec::with_capacity(segments.len());
        let mut wanted = Vec::with_capacity(segments.len());
        for segment in segments {
            let Some(report) = reports.get_mut(&segment.video_id) else { continue };
            report.planned += 1;
            match segment.document_id() {
                Ok(id) => {
                    ids.push(id);
                    wanted.push(segment);
                }
                Err(error) => report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain()),
            }
        }
        if ids.is_empty() {
            return Ok(wanted);
        }
        let with_vectors = self.encoder.is_some() || wanted.iter().any(|segment| segment.vectors.is_some());
        let request = GetRequest::new(self.target.clone(), ids);
        let stored = self.ingestor.backend.get(if with_vectors { request } else { request.without_vectors() }).await?;
        let mut fresh = Vec::new();
        for (segment, stored) in wanted.into_iter().zip(stored) {
            let new = document(&segment, &self.schema, &self.tensors, None, self.ingestor.clock.now())?;
            let could_have =
                segment.vectors.is_some() || (self.encoder.is_some() && (self.frames || !segment.text().is_empty()));
            let same = stored.is_some_and(|stored| {
                says_the_same(&stored.fields, &new.fields) && (!could_have || self.tensors.are_in(&stored.fields))
            });
            match reports.get_mut(&segment.video_id) {
                Some(report) if same => report.unchanged += 1,
                _ => fresh.push(segment),
            }
        }
        Ok(fresh)
    }
}

type Lines = Vec<Result<Segment, BadLine>>;

fn read_batch(mut file: SegmentsFile) -> Result<(SegmentsFile, Lines)> {
    let mut lines = Vec::with_capacity(BATCH);
    while lines.len() < BATCH {
        match file.next()? {
            Some(line) => lines.push(line),
            None => break,
        }
    }
    Ok((file, lines))
}
