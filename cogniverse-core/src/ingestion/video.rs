//! Ingestion of one video.

use super::{
    document::Segment,
    ffmpeg::{Pictures, Probe},
    fingerprint::VideoFile,
    frames::Frames,
    pipeline::{BATCH, Run},
    progress::ProgressEvent,
    report::{TranscriptSource, VideoReport, VideoStatus},
    segmenting::segments_of,
    speech::{SpeechFailure, SpeechJob},
};
use crate::transcript::Transcript;
use crate::worker::blocking;
use cogniverse_sdk::{
    DocumentId, ErrorKind, FieldName, Filter, Result, VideoId,
    document_store::{DeleteRequest, VisitRequest},
    filter::Range,
};
use std::{collections::HashMap, sync::Arc};

/// The page size of the visit for obsolete segments.
const VISIT_PAGE: usize = 500;

impl Run {
    /// Returns the words that are spoken in a video without a transcript beside it.
    async fn words(&self, file: &VideoFile, probe: &Probe) -> (TranscriptSource, Result<Transcript>) {
        let Some(speech) = &self.ingestor.speech else { return (TranscriptSource::None, Ok(Transcript::default())) };
        let job = SpeechJob {
            ffmpeg: &self.ingestor.ffmpeg,
            tenant: self.target.tenant(),
            language: self.language.as_deref(),
            progress: &|event| self.tell(event),
        };
        match speech.words(&job, file, probe).await {
            Ok((source, transcript)) => (source, Ok(transcript)),
            Err(error) => (TranscriptSource::Failed, Err(error)),
        }
    }

    /// Ingests one video. An error is one that the next video would meet too.
    pub(super) async fn video(&self, file: VideoFile) -> Result<VideoReport> {
        // A second run of the same video waits for the first, and finds what it stored.
        let flight = self.ingestor.flights.of(&self.target, &self.cut, file.id.as_str());
        let _alone = flight.lock().await;
        let mut report = VideoReport::new(file.path.display().to_string(), Some(file.id.clone()));
        let (segments, pictures) = match self.cut(&file, &mut report).await {
            Ok(cut) => cut,
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => return Err(error),
            Err(error) => return Ok(report.failed(error.chain())),
        };
        self.tell(ProgressEvent::VideoStarted { name: report.name.clone(), segments: segments.len() });
        let frames = if self.frames && self.encoder.is_some() { Some(Frames::new(pictures)?) } else { None };
        let mut reports =
            HashMap::from([(file.id.clone(), std::mem::replace(&mut report, VideoReport::new("", None)))]);
        for batch in segments.chunks(BATCH) {
            let pictures = frames.as_ref().map(|frames| (frames, file.path.as_path()));
            self.batch(batch.to_vec(), pictures, &mut reports).await?;
        }
        let mut report = reports.remove(&file.id).unwrap_or(report);
        report.settle();
        if matches!(report.status, VideoStatus::Done | VideoStatus::Unchanged) {
            report.removed = self.remove_stale(&file.id, segments.len()).await?;
        }
        Ok(report)
    }

    async fn cut(&self, file: &VideoFile, report: &mut VideoReport) -> Result<(Vec<Segment>, Pictures)> {
        let ffmpeg = &self.ingestor.ffmpeg;
        let probe = ffmpeg.probe(&file.path).await?;
        let ranges = segments_of(ffmpeg, &file.path, &probe, &self.profile.segmentation).await?;
        let (path, beside, language) = (file.path.clone(), Arc::clone(&self.beside), self.language.clone());
        let found = blocking(move || beside.find(&path, language.as_deref())).await?;
        report.transcripts_unread = found.unread;
        let (source, words) = match found.transcript {
            Some((path, transcript)) => {
                report.transcript_file = path.file_name().map(|name| name.to_string_lossy().into_owned());
                report.cues_refused = transcript.problems().to_vec();
                report.cues_refused_count = transcript.problem_count();
                (TranscriptSource::Beside, Ok(transcript))
            }
            None => self.words(file, &probe).await,
        };
        report.transcript = source;
        let transcript = match words {
            Ok(transcript) => transcript,
            Err(error) if error.kind() != ErrorKind::FailedPrecondition && self.stores_without_words() => {
                report.reason = Some(format!("stored without words: {}", error.chain()));
                Transcript::default()
            }
            Err(error) => return Err(error),
        };
        let file = file.clone();
        let segment = move |(range, segment_id)| Segment {
            video_id: file.id.clone(),
            segment_id,
            transcript: transcript.text_within(&range),
            range,
            title: file.title.clone(),
            source_url: file.path.display().to_string(),
            description: String::new(),
            vectors: None,
        };
        let segments = blocking(move || Ok(ranges.into_iter().zip(0..).map(segment).collect())).await?;
        Ok((segments, probe.pictures))
    }

    fn stores_without_words(&self) -> bool {
        self.ingestor.speech.as_ref().is_some_and(|speech| speech.on_failure == SpeechFailure::StoreWithoutWords)
    }

    /// Removes segments of a video that an earlier run of this profile stored and the current plan lacks.
    ///
    /// A count decides whether documents need to be read.
    async fn remove_stale(&self, video: &VideoId, planned: usize) -> Result<u64> {
        let planned = i64::try_from(planned).unwrap_or(i64::MAX);
        let of_video = Filter::equals(FieldName::parse("video_id")?, video.as_str());
        let number = FieldName::parse("segment_id")?;
        let of_video = match self.schema.is_attribute(&number) {
            true => of_video.and(Filter::Range(number, Range { gte: Some(planned.into()), ..Range::default() })),
            false => of_video,
        };
        if self.ingestor.backend.count(&self.target, Some(&of_video)).await? == 0 {
            return Ok(0);
        }
        let mut visit =
            VisitRequest::new(self.target.clone()).with_filter(of_video).with_page_size(VISIT_PAGE).without_vectors();
        let mut stale = Vec::new();
        loop {
            let page = self.ingestor.backend.visit(visit.clone()).await?;
            let is_stale = |id: &DocumentId| self.cut.number(video, id).is_some_and(|number| number >= planned);
            stale.extend(page.documents.into_iter().map(|found| found.document.id).filter(is_stale));
            if page.continuation.is_none() {
                break;
            }
            visit = visit.with_continuation(page.continuation);
        }
        let mut removed = 0;
        for part in stale.chunks(BATCH) {
            removed += self.ingestor.backend.delete(DeleteRequest::ids(self.target.clone(), part.to_vec())).await?;
        }
        Ok(removed)
    }
}
