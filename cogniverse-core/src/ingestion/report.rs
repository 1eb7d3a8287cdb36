//! Reports of ingestion runs.

use super::sidecar::Sidecar;
use cogniverse_sdk::VideoId;
use std::fmt;

/// The number of refusals of one video that are listed; others are only counted ([invariant 23](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#23)).
const KEPT: usize = 100;
/// The number of values of metadata that are not stored and are listed.
const LEFT_OUT: usize = 32;
/// The number of refusals of one video that are displayed.
const SHOWN: usize = 3;

/// The outcome of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VideoStatus {
    /// All segments are stored.
    Done,
    /// All segments were stored before; nothing was done.
    Unchanged,
    /// Another file of this run has the same content.
    Duplicate,
    /// Some segments are stored.
    Partial,
    /// No segment is stored.
    Failed,
}

impl fmt::Display for VideoStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Partial => "partial",
            Self::Failed => "failed",
        })
    }
}

/// The source of a video's transcript.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TranscriptSource {
    /// None: there is no file beside the video and no transcriber, or its segments came with their transcripts.
    #[default]
    None,
    /// A file beside the video.
    Beside,
    /// The cache of an earlier run.
    Kept,
    /// A transcription of this run.
    Transcribed,
    /// None, as the video has no audio.
    NoSound,
    /// None, as the transcription failed; the report has the reason.
    Failed,
}

/// The report on one video.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct VideoReport {
    /// The file name, or the video id in a segments file.
    pub name: String,
    /// The video id, where the content could be read.
    pub video_id: Option<VideoId>,
    /// The outcome.
    pub status: VideoStatus,
    /// The number of segments.
    pub planned: usize,
    /// The number of segments stored by this run.
    pub stored: usize,
    /// The number of segments stored before.
    pub unchanged: usize,
    /// The number of segments stored without vectors, as they have no text to encode.
    pub without_vectors: usize,
    /// The number of obsolete segments of an earlier run that this one removed.
    pub removed: u64,
    /// The first 100 segments that are not stored, with the reasons.
    pub refused: Vec<(String, String)>,
    /// The number of segments that are not stored.
    pub refused_count: usize,
    /// The source of the transcript.
    pub transcript: TranscriptSource,
    /// The transcript file that was read.
    pub transcript_file: Option<String>,
    /// The language by which the words are analyzed, as a code of ISO 639; `None` analyzes them by their script.
    pub language: Option<String>,
    /// Other transcript files beside the video, which were not read.
    pub transcripts_unread: Vec<String>,
    /// The first 100 cues that could not be parsed, by their line and times in the file.
    pub cues_refused: Vec<String>,
    /// The number of cues that could not be parsed.
    pub cues_refused_count: usize,
    /// The file of metadata beside the video that was read.
    #[serde(default)]
    pub metadata_file: Option<String>,
    /// The first 32 values of metadata that are not stored, with the reasons: the profile does not declare them, or as another
    /// type.
    #[serde(default)]
    pub metadata_left_out: Vec<String>,
    /// The videos that this one replaced, as its file had their content before.
    #[serde(default)]
    pub replaced: Vec<VideoId>,
    /// The number of segments with a description that this run made or an earlier one kept.
    #[serde(default)]
    pub described: usize,
    /// The number of segments whose text on screen this run read or an earlier one kept.
    #[serde(default)]
    pub screens_read: usize,
    /// The first 100 segments that could not be described or read, with the reasons.
    #[serde(default)]
    pub unseen: Vec<(String, String)>,
    /// The number of times that a segment could not be described or read.
    #[serde(default)]
    pub unseen_count: usize,
    /// The reason the whole video failed or was stored without a transcript, or the video that it duplicates.
    pub reason: Option<String>,
}

impl VideoReport {
    pub(super) fn new(name: impl Into<String>, video_id: Option<VideoId>) -> Self {
        Self {
            name: name.into(),
            video_id,
            status: VideoStatus::Failed,
            planned: 0,
            stored: 0,
            unchanged: 0,
            without_vectors: 0,
            removed: 0,
            refused: Vec::new(),
            refused_count: 0,
            transcript: TranscriptSource::None,
            transcript_file: None,
            language: None,
            transcripts_unread: Vec::new(),
            cues_refused: Vec::new(),
            cues_refused_count: 0,
            metadata_file: None,
            metadata_left_out: Vec::new(),
            replaced: Vec::new(),
            described: 0,
            screens_read: 0,
            unseen: Vec::new(),
            unseen_count: 0,
            reason: None,
        }
    }

    pub(super) fn with_sidecar(mut self, sidecar: &Sidecar) -> Self {
        self.metadata_file.clone_from(&sidecar.file);
        self.metadata_left_out.clone_from(&sidecar.left_out);
        self
    }

    /// Adds values of metadata that are not stored, each once.
    pub(super) fn leave_out(&mut self, values: &[String]) {
        for value in values {
            if self.metadata_left_out.len() < LEFT_OUT && !self.metadata_left_out.contains(value) {
                self.metadata_left_out.push(value.clone());
            }
        }
    }

    pub(super) fn failed(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub(super) fn refuse(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.refused_count += 1;
        if self.refused.len() < KEPT {
            self.refused.push((what.into(), why.into()));
        }
    }

    /// Records a segment that could not be described or read.
    pub(super) fn miss(&mut self, segment: &str, what: &str, why: &str) {
        self.unseen_count += 1;
        if self.unseen.len() < KEPT {
            self.unseen.push((segment.to_owned(), format!("{what}: {why}")));
        }
    }

    /// Derives the outcome from the counts.
    pub(super) fn settle(&mut self) {
        self.status = match (self.stored, self.unchanged, self.refused_count) {
            (_, _, 0) if self.planned == 0 => VideoStatus::Failed,
            (0, _, 0) => VideoStatus::Unchanged,
            (_, _, 0) => VideoStatus::Done,
            (0, 0, _) => VideoStatus::Failed,
            _ => VideoStatus::Partial,
        };
        if (self.transcript == TranscriptSource::Failed || self.unseen_count > 0)
            && matches!(self.status, VideoStatus::Done | VideoStatus::Unchanged)
        {
            self.status = VideoStatus::Partial;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// The report on an ingestion run.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct IngestReport {
    /// The reports on the videos, in source order.
    pub videos: Vec<VideoReport>,
    /// The first 100 skipped entries of the folder, with the reasons.
    pub passed_over: Vec<(String, String)>,
    /// The number of skipped entries.
    pub passed_over_count: usize,
    /// The first 100 files whose videos were removed, as they are not in the folder any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruned: Vec<String>,
    /// The number of videos that were removed so.
    #[serde(default, skip_serializing_if = "is_none")]
    pub pruned_count: usize,
}

impl IngestReport {
    pub(super) fn of(videos: Vec<VideoReport>) -> Self {
        Self { videos, ..Self::default() }
    }

    pub(super) fn prune(&mut self, source: String) {
        self.pruned_count += 1;
        if self.pruned.len() < KEPT {
            self.pruned.push(source);
        }
    }

    /// Returns the number of segments stored by this run.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.videos.iter().map(|video| video.stored).sum()
    }

    /// Returns the number of segments stored before.
    #[must_use]
    pub fn unchanged(&self) -> usize {
        self.videos.iter().map(|video| video.unchanged).sum()
    }

    /// Returns the number of segments that are not stored.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.videos.iter().map(|video| video.refused_count).sum()
    }

    /// Returns whether every segment of every video is stored. A run without any stored segment is not complete
    /// ([invariant 12](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#12)).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let whole = |video: &VideoReport| !matches!(video.status, VideoStatus::Failed | VideoStatus::Partial);
        self.videos.iter().all(whole) && self.stored() + self.unchanged() > 0
    }
}

impl fmt::Display for IngestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for video in &self.videos {
            write!(
                f,
                "{:9} {}: {} of {} segments",
                video.status,
                video.name,
                video.stored + video.unchanged,
                video.planned
            )?;
            if video.unchanged > 0 {
                write!(f, ", {} stored before", video.unchanged)?;
            }
            if let Some(file) = &video.transcript_file {
                write!(f, ", words of {file}")?;
            }
            if video.described > 0 {
                write!(f, ", {} described", video.described)?;
            }
            if video.screens_read > 0 {
                write!(f, ", {} screens read", video.screens_read)?;
            }
            if let Some(reason) = &video.reason {
                write!(f, "; {reason}")?;
            }
            writeln!(f)?;
            if !video.transcripts_unread.is_empty() {
                writeln!(f, "          not read: {}", video.transcripts_unread.join(", "))?;
            }
            some_of(f, video.cues_refused.iter().map(String::as_str), video.cues_refused_count, "cues refused")?;
            let refused = video.refused.iter().map(|(what, why)| format!("{what}: {why}"));
            some_of(f, refused, video.refused_count, "segments refused")?;
            let unseen = video.unseen.iter().map(|(what, why)| format!("{what}: {why}"));
            some_of(f, unseen, video.unseen_count, "segments not seen")?;
        }
        let passed = self.passed_over.iter().map(|(path, why)| format!("passed over {path}: {why}"));
        some_of(f, passed, self.passed_over_count, "passed over")?;
        write!(f, "{} segments stored, {} stored before, {} refused", self.stored(), self.unchanged(), self.refused())
    }
}

/// Returns one line for each of the first refusals, and the number of the others.
fn some_of(
    f: &mut fmt::Formatter<'_>,
    refused: impl Iterator<Item = impl fmt::Display>,
    count: usize,
    what: &str,
) -> fmt::Result {
    for refused in refused.take(SHOWN) {
        writeln!(f, "          {refused}")?;
    }
    if count > SHOWN {
        writeln!(f, "          and {} more {what}", count - SHOWN)?;
    }
    Ok(())
}
