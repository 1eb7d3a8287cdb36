//! Models that turn queries and segments into vectors.

use crate::{Error, Matrix, Picture, Result, VideoId, tensor::check_finite};
use async_trait::async_trait;
use std::{fmt, path::PathBuf};

/// The number of vectors that an encoder makes of one text or segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorKind {
    /// One vector.
    Single,
    /// One vector per token or patch.
    Multi,
}

/// A description of an encoder's output, checked against a schema's tensors before its first vector is used
/// ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct EncoderInfo {
    /// The model name, with its revision where known; part of every cache key.
    pub model: String,
    /// The number of dimensions of a vector.
    pub dims: usize,
    /// Whether the encoder makes one vector or many.
    pub kind: VectorKind,
}

impl EncoderInfo {
    /// Checks the vectors that a model returned against this description ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
    ///
    /// # Errors
    /// `Unexpected` for no rows, rows of another width, and cells that are not finite.
    pub fn check_rows(&self, rows: &Matrix<f32>) -> Result<()> {
        let model = &self.model;
        if rows.is_empty() {
            return Err(Error::unexpected(format!("model {model} answered no vector")));
        }
        if rows.width() != self.dims {
            return Err(Error::unexpected(format!(
                "model {model} answered vectors of {} cells and promised {}; if the model was replaced, connect again",
                rows.width(),
                self.dims
            )));
        }
        check_finite(rows.cells()).map_err(|e| {
            Error::unexpected(format!("model {model} answered a cell that is not a finite number")).with_source(e)
        })
    }
}

/// An encoder of query texts.
///
/// # Contract
/// Returns rows of exactly `info().dims` finite cells, and a single row where `info().kind` is
/// [`VectorKind::Single`]. The same text gives the same rows. Text is never truncated silently: what is too long is
/// an error.
///
/// # Cancellation
/// Dropping the future may waste work but leaves no state behind.
#[async_trait]
pub trait QueryEncoder: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the output.
    fn info(&self) -> &EncoderInfo;

    /// Encodes the text of a query.
    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>>;
}

/// The content of a segment that an encoder may use.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SegmentContent {
    /// The video that the segment belongs to.
    pub video_id: Option<VideoId>,
    /// The segment's number within the video.
    pub segment_id: i64,
    /// The description and transcript.
    pub text: String,
    /// Paths of the frame images, in time order.
    pub frames: Vec<PathBuf>,
}

impl SegmentContent {
    /// Creates a segment from its text alone.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Sets the video and the segment number, which errors name.
    #[must_use]
    pub fn with_segment(mut self, video_id: VideoId, segment_id: i64) -> Self {
        self.video_id = Some(video_id);
        self.segment_id = segment_id;
        self
    }

    /// Sets the frames.
    #[must_use]
    pub fn with_frames(mut self, frames: Vec<PathBuf>) -> Self {
        self.frames = frames;
        self
    }
}

/// An encoder of video segments.
///
/// # Contract
/// Returns one matrix per segment, in order; the rules of [`QueryEncoder`] hold for each. A segment that cannot be
/// encoded is an error that names it, never a zero vector.
#[async_trait]
pub trait SegmentEncoder: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the output.
    fn info(&self) -> &EncoderInfo;

    /// Encodes each segment.
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>>;
}

/// An encoder of pictures as queries, in the space of a model's segments: a picture finds segments that look like it.
///
/// # Contract
/// The rules of [`QueryEncoder`] hold for the rows. The same bytes give the same rows.
///
/// # Errors
/// `InvalidInput` for a picture that cannot be decoded or that the model does not take.
///
/// # Cancellation
/// Dropping the future may waste work but leaves no state behind.
#[async_trait]
pub trait PictureEncoder: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the output.
    fn info(&self) -> &EncoderInfo;

    /// Encodes a picture.
    async fn encode_picture(&self, picture: &Picture) -> Result<Matrix<f32>>;
}

const _: fn(&dyn PictureEncoder) = |_| {};
const _: fn(&dyn QueryEncoder) = |_| {};
const _: fn(&dyn SegmentEncoder) = |_| {};
