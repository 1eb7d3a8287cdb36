//! Adaptation of text embedders to encoders.

use crate::rows::unit;
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, QueryEncoder, Result, SegmentContent, SegmentEncoder, TextEmbedder, TextKind,
    VectorKind,
};
use std::sync::Arc;

/// The default number of texts per call.
const BATCH: usize = 64;

/// An adapter of a [`TextEmbedder`] to [`QueryEncoder`] and [`SegmentEncoder`]. Queries are embedded as
/// [`TextKind::Query`] and segments as [`TextKind::Document`], so that the embedder's own prefixes apply.
///
/// It lets profiles use the embedders of `cogniverse-ollama` and `cogniverse-openai`.
#[derive(Debug, Clone)]
pub struct EmbedderEncoder {
    embedder: Arc<dyn TextEmbedder>,
    info: EncoderInfo,
    batch: usize,
    unit: bool,
}

impl EmbedderEncoder {
    /// Wraps an embedder.
    ///
    /// # Errors
    /// `InvalidInput` for an embedder that makes several vectors per text, or one without dimensions.
    pub fn new(embedder: Arc<dyn TextEmbedder>) -> Result<Self> {
        let info = embedder.info().clone();
        if info.kind != VectorKind::Single || info.dims == 0 {
            return Err(Error::invalid(format!(
                "embedder {} makes {:?} vectors of {} dimensions; give one that makes one vector a text",
                info.model, info.kind, info.dims
            )));
        }
        Ok(Self { embedder, info, batch: BATCH, unit: false })
    }

    /// Normalizes every vector to length 1, as schemas with angular distance expect. This becomes part of the model's
    /// name.
    #[must_use]
    pub fn with_unit_length(mut self) -> Self {
        if !self.unit {
            self.info.model.push_str("+unit");
            self.unit = true;
        }
        self
    }

    /// Sets the number of texts per call to the embedder (default 64).
    #[must_use]
    pub fn with_batch(mut self, texts: usize) -> Self {
        self.batch = texts.max(1);
        self
    }

    async fn embed(&self, texts: &[String], kind: TextKind) -> Result<Vec<Matrix<f32>>> {
        let mut made = Vec::with_capacity(texts.len());
        for (number, part) in texts.chunks(self.batch).enumerate() {
            if let Some(empty) = part.iter().position(|text| text.trim().is_empty()) {
                return Err(Error::invalid("the text has no word to encode; give at least one")
                    .with_context("text", number * self.batch + empty));
            }
            let rows = self.embedder.embed(part, kind).await?;
            if rows.len() != part.len() {
                return Err(Error::unexpected(format!(
                    "embedder {} was given {} texts and answered {} vectors",
                    self.info.model,
                    part.len(),
                    rows.len()
                )));
            }
            self.info.check_rows(&rows)?;
            for row in rows.rows() {
                let mut row = row.to_vec();
                if self.unit {
                    unit(&mut row, &self.info)?;
                }
                made.push(Matrix::new(self.info.dims, row)?);
            }
        }
        Ok(made)
    }
}

#[async_trait]
impl QueryEncoder for EmbedderEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        let made = self.embed(&[text.to_owned()], TextKind::Query).await?;
        made.into_iter().next().ok_or_else(|| Error::unexpected("one text made no vector"))
    }
}

#[async_trait]
impl SegmentEncoder for EmbedderEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let texts: Vec<String> = segments.iter().map(|segment| segment.text.clone()).collect();
        self.embed(&texts, TextKind::Document).await
    }
}
