//! The role that embeds texts, one vector each.

use crate::{EncoderInfo, Error, Matrix, Result, tensor::check_finite};
use async_trait::async_trait;
use std::fmt;

/// The role of a text in retrieval, since many models are trained with a different prefix for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// A query.
    Query,
    /// A document to be found.
    Document,
}

/// Refuses blank texts. Implementations call this before they send anything.
///
/// # Errors
/// `InvalidInput` for a text of only white space, with its index.
pub fn check_texts(texts: &[String]) -> Result<()> {
    match texts.iter().position(|text| text.trim().is_empty()) {
        Some(index) => Err(Error::invalid(format!("text {index} of {} is empty; leave it out", texts.len()))),
        None => Ok(()),
    }
}

/// Checks the vectors that a server returned for `texts` texts: their number, width and finiteness.
///
/// # Errors
/// `Unexpected` where the vectors do not match the request.
pub fn checked_rows(rows: Vec<Vec<f32>>, texts: usize, dims: usize) -> Result<Matrix<f32>> {
    if rows.len() != texts {
        return Err(Error::unexpected(format!("{} vectors came back for {texts} texts", rows.len())));
    }
    if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != dims) {
        let message = format!("vector {index} has {} cells and the model makes {dims}; was it replaced?", row.len());
        return Err(Error::unexpected(message));
    }
    let cells = rows.concat();
    check_finite(&cells).map_err(|e| Error::unexpected("a vector holds what is not a number").with_source(e))?;
    Matrix::new(dims, cells)
}

/// An embedder of texts.
///
/// # Contract
/// Returns one row of exactly `info().dims` finite cells per text, in order; an empty list returns no rows; the same
/// text and kind give the same row whatever the batch. Text is never truncated silently.
///
/// # Errors
/// `InvalidInput`, with the index, for a text of only white space or longer than the model accepts; `NotFound` for a
/// model that the server does not have; `Unexpected` for a response with the wrong number or width of vectors.
///
/// # Cancellation
/// Dropping the future may waste work but leaves no state behind.
#[async_trait]
pub trait TextEmbedder: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the output, whose kind is [`crate::VectorKind::Single`].
    fn info(&self) -> &EncoderInfo;

    /// Embeds each text.
    async fn embed(&self, texts: &[String], kind: TextKind) -> Result<Matrix<f32>>;
}

const _: fn(&dyn TextEmbedder) = |_| {};
