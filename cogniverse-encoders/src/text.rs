//! The [`TextEmbedder`] implementation of all-MiniLM-L6-v2 with mean pooling.

use crate::MiniLmEncoder;
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Result, SegmentContent, SegmentEncoder, TextEmbedder, TextKind, VectorKind,
};

/// The model is trained without prefixes, so queries and documents are embedded alike.
#[async_trait]
impl TextEmbedder for MiniLmEncoder {
    fn info(&self) -> &EncoderInfo {
        SegmentEncoder::info(self)
    }

    async fn embed(&self, texts: &[String], _kind: TextKind) -> Result<Matrix<f32>> {
        let info = SegmentEncoder::info(self);
        if info.kind != VectorKind::Single {
            return Err(Error::invalid(format!(
                "the encoder {} makes many vectors of a text; open it with one vector a text",
                info.model
            )));
        }
        let mut cells = Vec::with_capacity(texts.len() * info.dims);
        for (place, text) in texts.iter().enumerate() {
            if text.trim().is_empty() {
                let error = Error::invalid("a text to embed is empty; give at least one word");
                return Err(error.with_context("text", place));
            }
        }
        let segments: Vec<SegmentContent> = texts.iter().map(SegmentContent::from_text).collect();
        for rows in self.encode_segments(&segments).await? {
            cells.extend_from_slice(rows.cells());
        }
        Matrix::new(info.dims, cells)
    }
}
