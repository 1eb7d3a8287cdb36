//! The encoders of this crate as [`TextEmbedder`]s: where they make one vector of a text.

use crate::HashEncoder;
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Result, SegmentContent, SegmentEncoder, TextEmbedder, TextKind, VectorKind,
};

async fn embed(encoder: &dyn SegmentEncoder, texts: &[String]) -> Result<Matrix<f32>> {
    let info = encoder.info();
    if info.kind != VectorKind::Single {
        return Err(Error::invalid(format!(
            "the encoder {} makes many vectors of a text; make it with one vector a text",
            info.model
        )));
    }
    let mut cells = Vec::with_capacity(texts.len() * info.dims);
    for (place, text) in texts.iter().enumerate() {
        if text.trim().is_empty() {
            return Err(Error::invalid("a text to embed is empty; give at least one word").with_context("text", place));
        }
    }
    let segments: Vec<SegmentContent> = texts.iter().map(SegmentContent::from_text).collect();
    for rows in encoder.encode_segments(&segments).await? {
        cells.extend_from_slice(rows.cells());
    }
    Matrix::new(info.dims, cells)
}

#[async_trait]
impl TextEmbedder for HashEncoder {
    fn info(&self) -> &EncoderInfo {
        SegmentEncoder::info(self)
    }

    async fn embed(&self, texts: &[String], _kind: TextKind) -> Result<Matrix<f32>> {
        embed(self, texts).await
    }
}

/// all-MiniLM-L6-v2 is trained without prefixes: queries and documents are alike to it.
#[cfg(feature = "local-models")]
#[async_trait]
impl TextEmbedder for crate::MiniLmEncoder {
    fn info(&self) -> &EncoderInfo {
        SegmentEncoder::info(self)
    }

    async fn embed(&self, texts: &[String], _kind: TextKind) -> Result<Matrix<f32>> {
        embed(self, texts).await
    }
}
