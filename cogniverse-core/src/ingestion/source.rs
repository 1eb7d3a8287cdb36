//! Sources of ingestion.

use std::path::PathBuf;

/// The source of an ingestion.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestSource {
    /// Every video below a folder.
    Folder(PathBuf),
    /// The given video files.
    Files(Vec<PathBuf>),
    /// A file of prepared segments: one JSON object per line with `video_id`, `segment_id`, `start_time`, `end_time`,
    /// `segment_description`, `audio_transcript`, and optionally `video_title`, `source_url` and `embedding` (rows of
    /// floats).
    Segments(PathBuf),
}
