//! The ingestion pipeline: find, segment, transcribe, encode, store.

use super::{
    document::{Cut, Difference, Segment, TensorFields, difference, document},
    ffmpeg::Ffmpeg,
    fingerprint::{VideoFile, find_videos},
    flights::Flights,
    frames::Frames,
    minutes::{seconds_of, whole_seconds, within_quota},
    progress::{ProgressEvent, ProgressSink},
    report::{IngestReport, VideoReport, VideoStatus},
    request::IngestRequest,
    segments_file::{BadLine, SegmentsFile},
    source::IngestSource,
    speech::Speech,
    telemetry,
};
use crate::{
    guarded_backend::GuardedBackend,
    quotas::Quotas,
    schemas::{
        Schema, SchemaManager,
        provenance::{self, EMBEDDING_MODEL, GIVEN, NONE, UNENCODED},
    },
    tenants::{Gate, TenantGrant},
    transcript::Beside,
};
use cogniverse_foundation::BackendProfile;
use cogniverse_foundation::worker::blocking;
use cogniverse_sdk::{
    Clock, Document, DocumentId, DocumentOutcome, Error, ErrorCode, FieldName, Operation, Result, SearchBackend,
    SegmentEncoder, SystemClock, TenantSchema, VideoId,
    document_store::{DocumentUpdate, GetRequest, PutRequest, UpdateRequest},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinSet;
use tracing::{Instrument, instrument::WithSubscriber};

/// The number of failed videos of a segments file that are logged; the report has all.
const LOGGED: usize = 100;
/// The number of segments looked up, encoded and stored together, which bounds the memory per video.
pub(super) const BATCH: usize = 64;
/// The number of bytes of a segments file read together, plus the rest of the last line.
const BATCH_BYTES: u64 = 16 << 20;
/// The number of segments encoded together.
const ENCODE_BATCH: usize = 16;

/// An ingestor of videos for any tenant and profile. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingestor {
    pub(super) backend: Arc<dyn SearchBackend>,
    schemas: SchemaManager,
    gate: Gate,
    encoders: Arc<BTreeMap<String, Arc<dyn SegmentEncoder>>>,
    pub(super) ffmpeg: Ffmpeg,
    pub(super) speech: Option<Arc<Speech>>,
    clock: Arc<dyn Clock>,
    pub(super) flights: Flights,
    pub(super) quotas: Option<Quotas>,
}

/// A run: everything decided before the first video.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ingestor: Ingestor,
    /// Held for the whole run, which therefore counts as in flight.
    grant: Arc<TenantGrant>,
    pub(super) profile: BackendProfile,
    pub(super) schema: Arc<Schema>,
    pub(super) target: TenantSchema,
    pub(super) cut: Cut,
    /// Whether stored documents record the model of their vectors.
    says_model: bool,
    tensors: TensorFields,
    pub(super) encoder: Option<Arc<dyn SegmentEncoder>>,
    pub(super) frames: bool,
    pub(super) language: Option<String>,
    /// The transcripts beside the videos.
    pub(super) beside: Arc<Beside>,
    progress: Option<Arc<dyn ProgressSink>>,
}

impl Ingestor {
    /// Creates an ingestor over a backend, schemas and a gate.
    #[must_use]
    pub fn new(backend: &GuardedBackend, schemas: SchemaManager, gate: Gate) -> Self {
        Self {
            backend: backend.to_dyn(),
            schemas,
            gate,
            encoders: Arc::default(),
            ffmpeg: Ffmpeg::default(),
            speech: None,
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
        let IngestRequest { tenant, profile, source, encoder, frames, language, concurrency, progress } = request;
        let name = profile;
        let profile = grant.config().profile(&name)?.config.clone();
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
        let cut = Cut::new(name, &profile.schema);
        let says_model = schema.is_attribute(&FieldName::parse(EMBEDDING_MODEL)?);
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
            language,
            beside: Arc::default(),
            progress,
        });
        match source {
            IngestSource::Segments(path) => run.segments_file(&path).await,
            IngestSource::Files(files) => run.videos(files, concurrency).await,
            IngestSource::Folder(folder) => {
                let found = blocking(move || find_videos(&folder)).await?;
                let mut report = run.videos(found.videos, concurrency).await?;
                let passed = found.passed_over.into_iter();
                report.passed_over = passed.map(|(path, why)| (path.display().to_string(), why.to_owned())).collect();
                report.passed_over_count = found.passed_count;
                Ok(report)
            }
        }
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
                    let report = VideoReport::new(name, None).failed(error.chain());
                    telemetry::video_failed(self.target.tenant(), &report);
                    reports.insert(place, report);
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
            running.spawn(work.instrument(span).with_current_subscriber());
        }
        while !running.is_empty() {
            self.finish_one(&mut running, &mut reports).await?;
        }
        Ok(IngestReport::of(reports.into_values().collect()))
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
        let flight = self.ingestor.flights.of(&self.target, &self.cut, &path.display().to_string());
        let _alone = flight.lock().await;
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
        let failed = videos.iter().filter(|video| video.status == VideoStatus::Failed);
        failed.take(LOGGED).for_each(|video| telemetry::video_failed(self.target.tenant(), video));
        if bad.refused_count > 0 {
            bad.planned = bad.refused_count;
            videos.push(bad);
        }
        Ok(IngestReport::of(videos))
    }

    /// Stores the segments of a batch that are new or changed.
    pub(super) async fn batch(
        &self,
        segments: Vec<Segment>,
        pictures: Option<(&Frames, &Path)>,
        reports: &mut HashMap<VideoId, VideoReport>,
    ) -> Result<()> {
        let done = segments.len();
        // A run may take hours: who is suspended meanwhile gets nothing more.
        self.grant.renew().await?;
        let (fresh, renamed) = self.fresh(segments, pictures.is_some(), reports).await?;
        let (fresh, minutes) =
            within_quota((self.ingestor.quotas.as_ref(), self.target.tenant()), fresh, reports).await?;
        let mut lengths: HashMap<DocumentId, f64> = HashMap::new();
        let mut documents: Vec<Document> = Vec::with_capacity(fresh.len());
        let mut owners: HashMap<DocumentId, VideoId> = HashMap::new();
        let mut renames = Vec::with_capacity(renamed.len());
        for (video, rename) in renamed {
            owners.insert(rename.id.clone(), video);
            renames.push(rename);
        }
        for part in fresh.chunks(ENCODE_BATCH) {
            for (segment, vectors) in part.iter().zip(self.encode(part, pictures).await) {
                let made = vectors.and_then(|vectors| {
                    let rows = vectors.as_ref().or(segment.vectors.as_ref());
                    let model = self.model_of(vectors.is_some(), segment);
                    let (origin, now) = ((&self.cut, model.as_str()), self.ingestor.clock.now());
                    let document = document(segment, &self.schema, &self.tensors, rows, origin, now)?;
                    Ok((document, rows.is_none() && self.encoder.is_some()))
                });
                let Some(report) = reports.get_mut(&segment.video_id) else { continue };
                match made {
                    Ok((document, without_vectors)) => {
                        report.without_vectors += usize::from(without_vectors);
                        owners.insert(document.id.clone(), segment.video_id.clone());
                        lengths.insert(document.id.clone(), seconds_of(segment));
                        documents.push(document);
                    }
                    Err(error) => report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain()),
                }
            }
        }
        let mut outcomes = Vec::new();
        if !documents.is_empty() {
            let fed = self.ingestor.backend.put(PutRequest::new(self.target.clone(), documents)).await?;
            outcomes.extend(fed.outcomes);
        }
        if !renames.is_empty() {
            let fed = self.ingestor.backend.update(UpdateRequest::new(self.target.clone(), renames)).await?;
            outcomes.extend(fed.outcomes);
        }
        let is_stored = |outcome: &&DocumentOutcome| outcome.error.is_none();
        let stored = outcomes.iter().filter(is_stored).filter_map(|outcome| lengths.get(&outcome.id)).sum::<f64>();
        if let Some(minutes) = minutes {
            minutes.settle(whole_seconds(stored));
        }
        for outcome in outcomes {
            let Some(report) = owners.get(&outcome.id).and_then(|video| reports.get_mut(video)) else { continue };
            match outcome.error {
                None => report.stored += 1,
                Some(error) => report.refuse(outcome.id.as_str(), error.chain()),
            }
        }
        self.tell(ProgressEvent::SegmentsDone { count: done });
        Ok(())
    }

    /// Returns the segments that are missing or stored with other words, times or without available vectors, and the
    /// updates for those whose file was only renamed.
    async fn fresh(
        &self,
        segments: Vec<Segment>,
        pictures: bool,
        reports: &mut HashMap<VideoId, VideoReport>,
    ) -> Result<(Vec<Segment>, Vec<(VideoId, DocumentUpdate)>)> {
        let mut ids = Vec::with_capacity(segments.len());
        let mut wanted = Vec::with_capacity(segments.len());
        for segment in segments {
            let Some(report) = reports.get_mut(&segment.video_id) else { continue };
            report.planned += 1;
            match self.cut.id(&segment.video_id, segment.segment_id) {
                Ok(id) => {
                    ids.push(id);
                    wanted.push(segment);
                }
                Err(error) => report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain()),
            }
        }
        if ids.is_empty() {
            return Ok((wanted, Vec::new()));
        }
        // What says its model is whole by that; else the vectors themselves are looked for.
        let with_vectors =
            !self.says_model && (self.encoder.is_some() || wanted.iter().any(|segment| segment.vectors.is_some()));
        let request = GetRequest::new(self.target.clone(), ids);
        let stored = self.ingestor.backend.get(if with_vectors { request } else { request.without_vectors() }).await?;
        let (mut fresh, mut renamed) = (Vec::new(), Vec::new());
        for (segment, stored) in wanted.into_iter().zip(stored) {
            let stored = stored.map(|stored| stored.document);
            let encoded =
                segment.vectors.is_none() && self.encoder.is_some() && (pictures || !segment.text().is_empty());
            let model = self.model_of(encoded, &segment);
            let origin = (&self.cut, model.as_str());
            let mut new = document(&segment, &self.schema, &self.tensors, None, origin, self.ingestor.clock.now())?;
            // A run without a model takes nothing away from what one with a model made of the same words.
            let keeps = self.encoder.is_none() && segment.vectors.is_none();
            if let Some(model) = stored.as_ref().and_then(|stored| stored.get(EMBEDDING_MODEL)).filter(|_| keeps) {
                new.fields.insert(FieldName::parse(EMBEDDING_MODEL)?, model.clone());
            }
            let has_vectors = |stored: &Document| self.says_model || !encoded || self.tensors.are_in(&stored.fields);
            let differs = stored
                .filter(has_vectors)
                .map_or(Difference::Content, |stored| difference(&stored.fields, &new.fields));
            match (reports.get_mut(&segment.video_id), differs) {
                (Some(report), Difference::None) => report.unchanged += 1,
                (Some(_), Difference::Name(names)) => {
                    renamed.push((segment.video_id.clone(), DocumentUpdate::assign(new.id, names)));
                }
                _ => fresh.push(segment),
            }
        }
        Ok((fresh, renamed))
    }
}

impl Run {
    /// Returns the name of the model of a segment's vectors, as documents record it.
    fn model_of(&self, encoded: bool, segment: &Segment) -> String {
        match &self.encoder {
            Some(encoder) if encoded => provenance::model_of(encoder.info()),
            _ if segment.vectors.is_some() => GIVEN.to_owned(),
            None if !segment.text().is_empty() => UNENCODED.to_owned(),
            _ => NONE.to_owned(),
        }
    }
}

type Lines = Vec<Result<Segment, BadLine>>;

fn read_batch(mut file: SegmentsFile) -> Result<(SegmentsFile, Lines)> {
    let mut lines = Vec::with_capacity(BATCH);
    let from = file.read;
    // Long lines are few at a time.
    while lines.len() < BATCH && file.read - from < BATCH_BYTES {
        match file.next()? {
            Some(line) => lines.push(line),
            None => break,
        }
    }
    Ok((file, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        let words = "x".repeat(10 << 20);
        let line = |n: u32| {
            format!(r#"{{"video_id":"v","segment_id":{n},"start_time":0,"end_time":1,"audio_transcript":"{words}"}}"#)
        };
        std::fs::write(&path, (0..5).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let (mut file, mut counts) = (SegmentsFile::open(&path).unwrap(), Vec::new());
        loop {
            let (next, lines) = read_batch(file).unwrap();
            file = next;
            counts.push(lines.len());
            if lines.is_empty() {
                break;
            }
        }
        assert_eq!(counts, [2, 2, 1, 0]);
    }
}
