//! Models that turn texts into one vector each.

use crate::{EncoderInfo, Matrix, Result};
use async_trait::async_trait;
use std::fmt;

/// What a text is to the model: many are trained with another prefix for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// Something to look for.
    Query,
    /// Something to be found.
    Document,
}

/// Turns texts into vectors.
///
/// # Contract
/// One row of exactly `info().dims` finite cells per text, in order; no texts give no rows; the same text and kind give the
/// same row, alone or among others. Text is never cut in silence.
///
/// # Errors
/// `InvalidInput` for an empty text, or one longer than the model takes, with its place in the list; `NotFound` for a model
/// that the server lacks; `Unexpected` for an answer with another number of vectors or another width.
///
/// # Cancellation
/// Dropping the future may waste work and leaves no state behind.
#[async_trait]
pub trait TextEmbedder: fmt::Debug + Send + Sync + 'static {
    /// What it makes; its kind is [`crate::VectorKind::Single`].
    fn info(&self) -> &EncoderInfo;

    /// The vector of each text.
    async fn embed(&self, texts: &[String], kind: TextKind) -> Result<Matrix<f32>>;
}

const _: fn(&dyn TextEmbedder) = |_| {};
