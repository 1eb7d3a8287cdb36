//! Embedding of texts, with checks of the model.

use super::telemetry;
use cogniverse_sdk::{Error, ErrorCode, Result, TenantId, TextEmbedder, TextKind, VectorKind, tensor::check_finite};
use std::sync::Arc;
use tracing::Instrument;

/// The number of texts embedded together.
const BATCH: usize = 64;

/// The embedder of memories.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    embedder: Arc<dyn TextEmbedder>,
}

impl Embedding {
    /// # Errors
    /// `InvalidInput` for a model that makes many vectors of a text.
    pub(super) fn new(embedder: Arc<dyn TextEmbedder>) -> Result<Self> {
        let info = embedder.info();
        if info.kind != VectorKind::Single || info.dims == 0 {
            return Err(Error::invalid(format!(
                "the model {} makes no single vector of a text; memories need one of one vector",
                info.model
            )));
        }
        Ok(Self { embedder })
    }

    pub(super) fn model(&self) -> &str {
        &self.embedder.info().model
    }

    pub(super) fn dims(&self) -> usize {
        self.embedder.info().dims
    }

    /// Embeds each text, in order, and checks the vectors ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
    pub(super) async fn embed(&self, tenant: &TenantId, texts: &[String], kind: TextKind) -> Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let span = telemetry::embed(tenant, self.model(), batch.len());
            let rows = self.embedder.embed(batch, kind).instrument(span.clone()).await;
            let rows = rows.inspect_err(|error| span.in_scope(|| telemetry::failed(error)));
            let rows = rows.map_err(|e| e.with_context("model", self.model()))?;
            if rows.len() != batch.len() || rows.width() != self.dims() {
                return Err(Error::unexpected(format!(
                    "the model {} promised {} vectors of {} cells and made {} of {}",
                    self.model(),
                    batch.len(),
                    self.dims(),
                    rows.len(),
                    rows.width()
                )));
            }
            check_finite(rows.cells()).map_err(|e| e.with_context("model", self.model()))?;
            vectors.extend(rows.rows().map(<[f32]>::to_vec));
        }
        Ok(vectors)
    }

    /// Embeds one text.
    pub(super) async fn one(&self, tenant: &TenantId, text: &str, kind: TextKind) -> Result<Vec<f32>> {
        let made = self.embed(tenant, &[text.to_owned()], kind).await?;
        made.into_iter().next().ok_or_else(|| Error::unexpected("one text made no vector"))
    }

    /// Returns the error for memories that another model embedded.
    pub(super) fn refused(&self, tenant: &TenantId, other: &str) -> Error {
        Error::of(
            ErrorCode::MemoryModelChanged,
            format!(
                "the memories of tenant \"{tenant}\" were embedded by {other} and the model is {}; use that model, or call `reembed`, which re-embeds them and may be run again where it is interrupted",
                self.model()
            ),
        )
    }
}
