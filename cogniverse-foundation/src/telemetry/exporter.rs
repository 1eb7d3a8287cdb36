//! The interface of span exporters.

use super::record::{SpanRecord, TelemetryScope};
use cogniverse_sdk::Error;
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};

/// The spans of one scope, with the project that they belong to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScopeBatch {
    /// The scope of all the spans.
    pub scope: TelemetryScope,
    /// The project in the trace store.
    pub project: String,
    /// The spans.
    pub spans: Vec<SpanRecord>,
}

/// The reason an export failed.
#[derive(Debug)]
pub enum ExportError {
    /// A transient failure, with the delay that the server asked for, if any. The spans are kept.
    Retry {
        /// The delay before the retry; `None` for the default backoff.
        after: Option<Duration>,
        /// The cause.
        error: Error,
    },
    /// A permanent refusal. The spans are dropped and counted.
    Refused(Error),
}

/// A sink for finished spans. A single worker thread calls it; it may block for a bounded time.
///
/// Each batch becomes a resource of its own; an exporter never merges two batches into one resource.
pub trait SpanExporter: fmt::Debug + Send + 'static {
    /// Sends all batches. After [`ExportError::Retry`] it is called with the same spans again, so an exporter that
    /// sends in several requests may send a span twice, under the same id.
    ///
    /// # Errors
    /// [`ExportError::Retry`] keeps the spans; [`ExportError::Refused`] drops them.
    fn export(&mut self, batches: &[ScopeBatch]) -> Result<(), ExportError>;
}

/// An exporter that keeps spans in memory, for tests. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct InMemorySpanExporter(Arc<Mutex<Vec<ScopeBatch>>>);

impl InMemorySpanExporter {
    /// Creates an empty exporter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all batches, in export order.
    #[must_use]
    pub fn batches(&self) -> Vec<ScopeBatch> {
        self.0.lock().clone()
    }

    /// Returns the spans of a project.
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
