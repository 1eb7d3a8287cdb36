//! What became of each video.

use cogniverse_sdk::VideoId;
use std::fmt;

/// Refusals that are kept of one video; the rest are counted (invariant 23).
const KEPT: usize = 100;

/// What became of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VideoStatus {
    /// All its segments are stored.
    Done,
    /// All its segments were stored before; nothing was done.
    Unchanged,
    /// Another file of this run has the same content.
    Duplicate,
    /// Some of its segments are stored.
    Partial,
    /// None of its segments is stored.
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

/// Where a video's words come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TranscriptSource {
    /// There are none: no file beside it and nobody who writes down; or its segments came with their words.
    #[default]
    None,
    /// A file beside it.
    Beside,
    /// Kept from an earlier run.
    Kept,
    /// Written down by this run.
    Transcribed,
    /// It has no sound.
    NoSound,
    /// They could not be written down; the reason is in the report.
    Failed,
}

/// One video.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct VideoReport {
    /// Its file, or its id in a segment file.
    pub name: String,
    /// Its id, where its content could be read.
    pub video_id: Option<VideoId>,
    /// What became of it.
    pub status: VideoStatus,
    /// Segments it has.
    pub planned: usize,
    /// Segments stored by this run.
    pub stored: usize,
    /// Segments that were stored before.
    pub unchanged: usize,
    /// Segments stored without vectors, since they have no text to encode.
    pub without_vectors: usize,
    /// Segments that an earlier run had stored and this one removed.
    pub removed: u64,
    /// Segments that are not stored: which and why. At most 100.
    pub refused: Vec<(String, String)>,
    /// How many are not stored.
    pub refused_count: usize,
    /// Where its words come from.
    pub transcript: TranscriptSource,
    /// Why the video as a whole failed or is stored without words, or of which it is a duplicate.
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
            reason: None,
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

    /// Says what the counts add up to.
    pub(super) fn settle(&mut self) {
        self.status = match (self.stored, self.unchanged, self.refused_count) {
            (_, _, 0) if self.planned == 0 => VideoStatus::Failed,
            (0, _, 0) => VideoStatus::Unchanged,
            (_, _, 0) => VideoStatus::Done,
            (0, 0, _) => VideoStatus::Failed,
            _ => VideoStatus::Partial,
        };
        if self.transcript == TranscriptSource::Failed
            && matches!(self.status, VideoStatus::Done | VideoStatus::Unchanged)
        {
            self.status = VideoStatus::Partial;
        }
    }
}

/// What became of all videos of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct IngestReport {
    /// In the order of the source.
    pub videos: Vec<VideoReport>,
}

impl IngestReport {
    /// Segments stored by this run.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.videos.iter().map(|video| video.stored).sum()
    }

    /// Segments that were stored before.
    #[must_use]
    pub fn unchanged(&self) -> usize {
        self.videos.iter().map(|video| video.unchanged).sum()
    }

    /// Segments that are not stored.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.videos.iter().map(|video| video.refused_count).sum()
    }

    /// Whether every segment of every video is stored. A run that stored nothing, and found nothing stored, is not
    /// complete (invariant 12).
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
            if let Some(reason) = &video.reason {
                write!(f, "; {reason}")?;
            }
            writeln!(f)?;
            for (what, why) in video.refused.iter().take(3) {
                writeln!(f, "          {what}: {why}")?;
            }
            if video.refused_count > 3 {
                writeln!(f, "          and {} more refused", video.refused_count - 3)?;
            }
        }
        write!(f, "{} segments stored, {} stored before, {} refused", self.stored(), self.unchanged(), self.refused())
    }
}
