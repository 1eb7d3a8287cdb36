//! Ingestion of one video.

use super::{
    document::{Keeps, Segment},
    ffmpeg::{MediaKind, Probe},
    fingerprint::VideoFile,
    frames::Frames,
    names::Names,
    pipeline::{BATCH, Run},
    progress::ProgressEvent,
    report::{TranscriptSource, VideoReport, VideoStatus},
    segmenting::segments_of,
    sidecar::Sidecar,
    speech::{SpeechFailure, SpeechJob},
    storing::Storing,
};
use crate::{
    catalogue::{Origin, Stamp, StoredVideo, VideoState},
    schemas::provenance,
    text::Language,
    transcript::{FoundTranscript, Transcript},
    worker::blocking,
};
use cogniverse_sdk::{ErrorKind, Result};
use std::{collections::HashMap, sync::Arc};
use tempfile::TempDir;

/// A video that is to be worked on.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) file: VideoFile,
    /// The name by which the report calls it.
    pub(super) name: String,
    pub(super) sidecar: Sidecar,
    /// Whether the caller gave the id, so that it can be of other content than before.
    pub(super) is_id_given: bool,
    /// How the file looked before it was read.
    pub(super) stamp: Option<Stamp>,
    /// The absolute path; `None` for a stream.
    pub(super) source: Option<String>,
    /// The folder of a stream's bytes, removed when the work is done.
    pub(super) spooled: Option<TempDir>,
}

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
    pub(super) async fn video(&self, work: Work) -> Result<VideoReport> {
        let id = work.file.id.clone();
        let segments = self.segments_of(id.clone())?;
        // A second run of the same video waits for the first, and finds what it stored.
        let _alone = segments.alone().await;
        let known = self.record(&id).await?;
        let names = Names::new(&work.sidecar, &work.file.title, known.as_ref());
        let mut stored = known.clone().unwrap_or_else(|| self.new_record(id.clone()));
        let is_other = known.as_ref().is_none_or(|known| known.video.digest.as_ref() != Some(&work.file.digest));
        let anew = work.is_id_given && is_other;
        let report = VideoReport::new(work.name.clone(), Some(id.clone())).with_sidecar(&work.sidecar);
        // Where it is whole and of this content, an interruption leaves a record that a next run does not take for its own.
        if anew || known.as_ref().is_none_or(|known| known.video.state != VideoState::Done) {
            stored.video.state = VideoState::Ingesting;
            stored.video.source.clone_from(&work.source);
            (stored.video.digest, stored.stamp) = (None, None);
            names.write(&mut stored);
            self.put_record(&stored).await?;
        }
        let (mut report, probe) = self.store(&work, &names, report, anew).await?;
        if matches!(report.status, VideoStatus::Done | VideoStatus::Unchanged) {
            report.removed = segments.remove_from(report.planned).await?;
        }
        names.write(&mut stored);
        let changed = report.status != VideoStatus::Unchanged || report.removed > 0;
        stored.settle(&report, changed.then(|| self.ingestor.clock().now()));
        stored.origin = if work.source.is_some() { Origin::File } else { Origin::Stream };
        stored.is_id_given |= work.is_id_given;
        let video = &mut stored.video;
        video.source = work.source;
        video.duration = probe.map(|probe| probe.duration).or(video.duration);
        video.language.clone_from(&report.language);
        video.model = self.encoder.as_ref().map(|encoder| provenance::model_of(encoder.info()));
        let is_whole = video.state == VideoState::Done;
        // What could not be stored in whole may be of both contents.
        video.digest = (is_whole || !anew).then_some(work.file.digest);
        stored.stamp = work.stamp.filter(|_| is_whole);
        if known.as_ref() != Some(&stored) {
            self.put_record(&stored).await?;
        }
        drop(work.spooled);
        Ok(report)
    }

    async fn store(
        &self,
        work: &Work,
        names: &Names,
        mut report: VideoReport,
        anew: bool,
    ) -> Result<(VideoReport, Option<Probe>)> {
        let (segments, probe) = match self.cut(&work.file, names, &mut report).await {
            Ok(cut) => cut,
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => return Err(error),
            Err(error) => return Ok((report.failed(error.chain()), None)),
        };
        if let Err(error) = self.steady(&work.file).await {
            return Ok((report.failed(error.chain()), None));
        }
        self.tell(ProgressEvent::VideoStarted { name: report.name.clone(), segments: segments.len() });
        let frames = probe.pictures.filter(|_| self.frames && self.encoder.is_some()).map(Frames::new).transpose()?;
        let pictures = frames.as_ref().map(|frames| (frames, work.file.path.as_path()));
        let mut reports = HashMap::from([(work.file.id.clone(), report)]);
        for batch in segments.chunks(BATCH) {
            self.batch(batch.to_vec(), Storing { pictures, anew }, &mut reports).await?;
        }
        let mut report = reports.remove(&work.file.id).unwrap_or_else(|| VideoReport::new(&work.name, None));
        report.settle();
        if let Err(error) = self.steady(&work.file).await {
            (report.status, report.reason) = (VideoStatus::Partial, Some(error.chain()));
        }
        Ok((report, Some(probe)))
    }

    /// Refuses a file that changed since it was hashed: what is stored of it would be of a file that nobody has.
    async fn steady(&self, file: &VideoFile) -> Result<()> {
        let (stamp, path) = (file.stamp, file.path.clone());
        blocking(move || stamp.check(&path)).await
    }

    async fn cut(&self, file: &VideoFile, names: &Names, report: &mut VideoReport) -> Result<(Vec<Segment>, Probe)> {
        let ffmpeg = &self.ingestor.ffmpeg;
        let probe = ffmpeg.probe(&file.path).await?;
        let ranges = segments_of(ffmpeg, &file.path, &probe, &self.profile.segmentation).await?;
        let (path, beside, language) = (file.path.clone(), Arc::clone(&self.beside), self.language.clone());
        // What lies beside a picture says nothing of a time in it.
        let found = match probe.kind {
            MediaKind::Picture => FoundTranscript::default(),
            _ => blocking(move || beside.find(&path, language.as_deref())).await?,
        };
        report.transcripts_unread = found.unread;
        let (source, words) = match found.transcript {
            Some((path, transcript)) => {
                report.transcript_file = path.file_name().map(|name| name.to_string_lossy().into_owned());
                report.cues_refused = transcript.problems().to_vec();
                report.cues_refused_count = transcript.problem_count();
                (TranscriptSource::Beside, Ok(transcript))
            }
            None if probe.kind == MediaKind::Picture => (TranscriptSource::None, Ok(Transcript::default())),
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
        let (owner, names) = (file.clone(), names.clone());
        let source_url = names.url.clone().unwrap_or_else(|| file.path.display().to_string());
        let own = self.language.as_deref().or(transcript.language());
        let language = own.and_then(Language::of).map(|language| language.to_string());
        report.language.clone_from(&language);
        let segment = move |(range, segment_id)| Segment {
            video_id: owner.id.clone(),
            segment_id,
            transcript: transcript.text_within(&range),
            range,
            title: names.title.clone(),
            source_url: source_url.clone(),
            description: String::new(),
            screen_text: String::new(),
            recorded_at: names.recorded_at,
            metadata: names.metadata.clone(),
            language: language.clone(),
            vectors: None,
            keeps: Keeps::default(),
        };
        let mut segments: Vec<Segment> =
            blocking(move || Ok(ranges.into_iter().zip(0..).map(segment).collect())).await?;
        self.see(file, probe.pictures, &mut segments, report).await?;
        Ok((segments, probe))
    }

    fn stores_without_words(&self) -> bool {
        self.ingestor.speech.as_ref().is_some_and(|speech| speech.on_failure == SpeechFailure::StoreWithoutWords)
    }

    pub(super) fn new_record(&self, id: cogniverse_sdk::VideoId) -> StoredVideo {
        StoredVideo::new(self.cut.profile().clone(), id, self.ingestor.clock().now())
    }

    pub(super) async fn record(&self, id: &cogniverse_sdk::VideoId) -> Result<Option<StoredVideo>> {
        let store = self.ingestor.catalogue();
        let found = store.get(self.target.tenant(), self.cut.profile(), std::slice::from_ref(id)).await?;
        Ok(found.into_iter().flatten().next())
    }

    pub(super) async fn put_record(&self, stored: &StoredVideo) -> Result<()> {
        self.ingestor.catalogue().put(self.target.tenant(), std::slice::from_ref(stored)).await
    }
}
