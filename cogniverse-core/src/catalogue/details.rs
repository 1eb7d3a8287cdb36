//! One video with its transcript.

use super::record::VideoRecord;
use serde::{Deserialize, Serialize};

/// A video of the catalogue with its stored segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VideoDetails {
    /// The record.
    #[serde(flatten)]
    pub video: VideoRecord,
    /// The number of segments that are stored now.
    pub stored_segments: usize,
    /// The transcript, by segment in order; segments without words are left out.
    pub spoken: Vec<SpokenSegment>,
}

/// The transcript of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpokenSegment {
    /// The number of the segment within the video.
    pub segment_id: i64,
    /// The start in seconds from the start of the video.
    pub start_time: f64,
    /// The end in seconds.
    pub end_time: f64,
    /// The transcript.
    pub text: String,
}

impl VideoDetails {
    pub(super) fn new(video: VideoRecord, stored_segments: usize, spoken: Vec<SpokenSegment>) -> Self {
        Self { video, stored_segments, spoken }
    }
}
