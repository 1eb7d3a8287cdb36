//! Where segments come from.

use std::path::PathBuf;

/// Where segments come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestSource {
    /// Every video below a folder.
    Folder(PathBuf),
    /// These videos.
    Files(Vec<PathBuf>),
    /// A file of ready-made segments: one JSON object a line with `video_id`, `segment_id`, `start_time`, `end_time`,
    /// `segment_description`, `audio_transcript`, and optionally `video_title`, `source_url` and `embedding` (rows of floats).
    Segments(PathBuf),
}
