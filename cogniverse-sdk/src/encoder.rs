//! Models that turn queries and segments into vectors.

use crate::{Matrix, Result, VideoId};
use async_trait::async_trait;
use std::{fmt, path::PathBuf};

/// One vector per text or segment, or one per token or patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorKind {
    /// One.
    Single,
    /// One per token or patch.
    Multi,
}

/// What an encoder makes. Checked against a schema's tensors before its first vector is used (invariant 17).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncoderInfo {
    /// The model, with its revision where one is known; part of every cache key.
    pub model: String,
    /// Cells of a vector.
    pub dims: usize,
    /// One vector or many.
    pub kind: VectorKind,
}

/// Turns the text of a query into vectors.
///
/// # Contract
/// Rows of exactly `info().dims` finite cells; one row where `info().kind` is [`VectorKind::Single`]; the same text gives
/// the same rows. Text is never cut in silence.
///
/// # Cancellation
/// Dropping the future may waste work and leaves no state behind.
#[async_trait]
pub trait QueryEncoder: fmt::Debug + Send + Sync + 'static {
    /// What it makes.
    fn info(&self) -> &EncoderInfo;

    /// The vectors of a query's text.
    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>>;
}

/// What of a segment an encoder may look at.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SegmentContent {
    /// The video it is cut from.
    pub video_id: Option<VideoId>,
    /// Its number in the video.
    pub segment_id: i64,
    /// Description and transcript.
    pub text: String,
    /// Image files of its frames, in order of time.
    pub frames: Vec<PathBuf>,
}

impl SegmentContent {
    /// A segment known by its text.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Says whose segment it is.
    #[must_use]
    pub fn with_segment(mut self, video_id: VideoId, segment_id: i64) -> Self {
        self.video_id = Some(video_id);
        self.segment_id = segment_id;
        self
    }

    /// Adds frames.
    #[must_use]
    pub fn with_frames(mut self, frames: Vec<PathBuf>) -> Self {
        self.frames = frames;
        self
    }
}

/// Turns segments into vectors.
///
/// # Contract
/// One matrix per segment, in order; the rules of [`QueryEncoder`] hold for each. A segment that the encoder cannot
/// encode is an error that names it, never a zero vector.
#[async_trait]
pub trait SegmentEncoder: fmt::Debug + Send + Sync + 'static {
    /// What it makes.
    fn info(&self) -> &EncoderInfo;

    /// The vectors of each segment.
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>>;
}

const _: fn(&dyn QueryEncoder) = |_| {};
const _: fn(&dyn SegmentEncoder) = |_| {};
