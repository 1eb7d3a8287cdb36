//! One video: cut, given its words, encoded and stored.

use super::{
    document::Segment,
    fingerprint::VideoFile,
    frames::Frames,
    pipeline::{BATCH, Run, blocking},
    progress::ProgressEvent,
    report::{TranscriptSource, VideoReport, VideoStatus},
    segmenting::segments_of,
    speech::SpeechFailure,
};
use crate::transcript::Transcript;
use cogniverse_sdk::{
    DocumentId, ErrorKind, FieldName, Filter, Result, VideoId,
    document_store::{DeleteRequest, VisitRequest},
};
use std::collections::{HashMap, HashSet};

/// Pages of stored segments when stale ones are looked for.
const VISIT_PAGE: usize = 500;

impl Run {
    /// One video. An error is one that the next video would meet too.
    pub(super) async fn video(&self, file: VideoFile) -> Result<VideoReport> {
        let mut report = VideoReport::new(file.path.display().to_string(), Some(file.id.clone()));
        let segments = match self.cut(&file, &mut report).await {
            Ok(segments) => segments,
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => return Err(error),
            Err(error) => return Ok(report.failed(error.chain())),
        };
        self.tell(ProgressEvent::VideoStarted { name: report.name.clone(), segments: segments.len() });
        let frames = if self.frames && self.encoder.is_some() { Some(Frames::new()?) } else { None };
        let mut reports =
            HashMap::from([(file.id.clone(), std::mem::replace(&mut report, VideoReport::new("", None)))]);
        for batch in segments.chunks(BATCH) {
            let pictures = frames.as_ref().map(|frames| (frames, file.path.as_path()));
            self.batch(batch.to_vec(), pictures, &mut reports).await?;
        }
        let mut report = reports.remove(&file.id).unwrap_or(report);
        report.settle();
        if matches!(report.status, VideoStatus::Done | VideoStatus::Unchanged) {
            report.removed = self.remove_stale(&file.id, &segments).await?;
        }
        Ok(report)
    }

    async fn cut(&self, file: &VideoFile, report: &mut VideoReport) -> Result<Vec<Segment>> {
        let ffmpeg = &self.ingestor.ffmpeg;
        let probe = ffmpeg.probe(&file.path).await?;
        let ranges = segments_of(ffmpeg, &file.path, probe.duration, &self.profile.segmentation).await?;
        let path = file.path.clone();
        let (source, words) = match blocking(move || Transcript::find_beside(&path)).await? {
            Some((_, transcript)) => (TranscriptSource::Beside, Ok(transcript)),
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
        let segment = |(range, segment_id)| Segment {
            video_id: file.id.clone(),
            segment_id,
            transcript: transcript.text_within(&range),
            range,
            title: file.title.clone(),
            source_url: file.path.display().to_string(),
            description: String::new(),
            vectors: None,
        };
        Ok(ranges.into_iter().zip(0..).map(segment).collect())
    }

    fn stores_without_words(&self) -> bool {
        self.ingestor.speech.as_ref().is_some_and(|speech| speech.on_failure == SpeechFailure::StoreWithoutWords)
    }

    /// Removes segments of a video that an earlier run stored and this plan does not have.
    async fn remove_stale(&self, video: &VideoId, segments: &[Segment]) -> Result<u64> {
        let planned: HashSet<DocumentId> = segments.iter().map(Segment::document_id).collect::<Result<_>>()?;
        let of_video = Filter::equals(FieldName::parse("video_id")?, video.as_str());
        let mut visit =
            VisitRequest::new(self.target.clone()).with_filter(of_video).with_page_size(VISIT_PAGE).without_vectors();
        let mut stale = Vec::new();
        loop {
            let page = self.ingestor.backend.visit(visit.clone()).await?;
            stale.extend(page.documents.into_iter().map(|document| document.id).filter(|id| !planned.contains(id)));
            if page.continuation.is_none() {
                break;
            }
            visit = visit.with_continuation(page.continuation);
        }
        if stale.is_empty() {
            Ok(0)
        } else {
            self.ingestor.backend.delete(DeleteRequest::ids(self.target.clone(), stale)).await
        }
    }
}
