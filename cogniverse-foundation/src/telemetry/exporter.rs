//! Where finished spans go.

use super::record::{SpanRecord, TelemetryScope};
use cogniverse_sdk::Error;
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};

/// Spans of one scope, with the project that they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeBatch {
    /// Whose.
    pub scope: TelemetryScope,
    /// The project of the trace store.
    pub project: String,
    /// All of this scope.
    pub spans: Vec<SpanRecord>,
}

/// Why spans were not exported.
#[derive(Debug)]
pub enum ExportError {
    /// Trying again can help, after the given time where the other side named one. The spans are kept.
    Retry {
        /// When.
        after: Option<Duration>,
        /// Why.
        error: Error,
    },
    /// The other side will never take these spans. They are dropped and counted.
    Refused(Error),
}

/// Sends finished spans on. Called by the one worker, never at once by two; it may block, for a bounded time.
///
/// Each batch becomes a resource of its own. An exporter never puts the spans of two batches into one resource.
pub trait SpanExporter: fmt::Debug + Send + 'static {
    /// Sends all batches. After [`ExportError::Retry`] it is called with the same spans again, so an exporter that sends in
    /// several pieces may send a span twice; its id tells.
    ///
    /// # Errors
    /// [`ExportError::Retry`] keeps the spans; [`ExportError::Refused`] gives them up.
    fn export(&mut self, batches: &[ScopeBatch]) -> Result<(), ExportError>;
}

/// Keeps what is exported, for tests. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct InMemorySpanExporter(Arc<Mutex<Vec<ScopeBatch>>>);

impl InMemorySpanExporter {
    /// With nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All batches, in the order of their export.
    #[must_use]
    pub fn batches(&self) -> Vec<ScopeBatch> {
        self.0.lock().clone()
    }

    /// The spans of a project.
    #[must_use]
    pub fn spans_of(&self, project: &str) -> Vec<SpanRecord> {
        let batches = self.0.lock();
        batches.iter().filter(|batch| batch.project == project).flat_map(|batch| batch.spans.clone()).collect()
    }
}

impl SpanExporter for InMemorySpanExporter {
    fn export(&mut self, batches: &[ScopeBatch]) -> Result<(), ExportError> {
        self.0.lock().extend_from_slice(batches);
        Ok(())
    }
}
