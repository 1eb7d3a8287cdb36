//! Models that turn texts into one vector each.

use crate::{EncoderInfo, Error, Matrix, Result, tensor::check_finite};
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

/// Whether every text says something. Implementations call it before they send anything.
///
/// # Errors
/// `InvalidInput` for a text of nothing but white space, with its place in the list.
pub fn check_texts(texts: &[String]) -> Result<()> {
    match texts.iter().position(|text| text.trim().is_empty()) {
        Some(index) => Err(Error::invalid(format!("text {index} of {} is empty; leave it out", texts.len()))),
        None => Ok(()),
    }
}

/// The vectors that a server gave for `texts` texts, checked: their number, their width, and that each cell is a number.
///
/// # Errors
/// `Unexpected` where they are not what was asked for.
pub fn checked_rows(rows: Vec<Vec<f32>>, texts: usize, dims: usize) -> Result<Matrix<f32>> {
    if rows.len() != texts {
        return Err(Error::unexpected(format!("{} vectors came back for {texts} texts", rows.len())));
    }
    if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != dims) {
        let message = format!("vector {index} has {} cells and the model makes {dims}; was it replaced?", row.len());
        return Err(Error::unexpected(message));
    }
    let cells = rows.concat();
    check_finite(&cells).map_err(|e| Error::unexpected("a vector holds what is no number").with_source(e))?;
    Matrix::new(dims, cells)
}

/// Turns texts into vectors.
///
/// # Contract
/// One row of exactly `info().dims` finite cells per text, in order; no texts give no rows; the same text and kind give the
/// same row, alone or among others. Text is never cut in silence.
///
/// # Errors
/// `InvalidInput` for a text of nothing but white space, or one longer than the model takes, with its place in the list; `NotFound` for a model
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
