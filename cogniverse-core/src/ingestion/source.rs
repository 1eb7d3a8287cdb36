//! Sources of ingestion.

use super::input::VideoInput;
use std::{fmt, path::PathBuf};

/// The source of an ingestion.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum IngestSource {
    /// Every video below a folder.
    Folder(PathBuf),
    /// The given video files.
    Files(Vec<PathBuf>),
    /// Videos with what the caller knows about each: files and streams.
    Videos(Vec<VideoInput>),
    /// A file of prepared segments: one JSON object per line with `video_id`, `segment_id`, `start_time`, `end_time`,
    /// `segment_description`, `audio_transcript`, and optionally `screen_text`, `video_title`, `source_url`, `metadata` (an object
    /// of values by name) and `embedding` (rows of floats).
    Segments(PathBuf),
}

impl fmt::Display for IngestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "folder {}", path.display()),
            Self::Files(files) => write!(f, "{} files", files.len()),
            Self::Videos(videos) => write!(f, "{} videos", videos.len()),
            Self::Segments(path) => write!(f, "segments {}", path.display()),
        }
    }
}
