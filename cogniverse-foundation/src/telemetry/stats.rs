//! What the pipeline did.

use super::record::TelemetryScope;
use std::{collections::BTreeMap, fmt};

/// What the pipeline did since it began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TelemetryStats {
    /// Finished spans that wait, or are being exported.
    pub queued: usize,
    /// Spans that the other side took.
    pub exported: u64,
    /// Spans that were lost, for whatever reason.
    pub dropped: u64,
    /// Lost spans by whose they were.
    pub dropped_by_scope: BTreeMap<TelemetryScope, u64>,
    /// Spans that named neither a tenant nor the system.
    pub unscoped: u64,
    /// Exports that failed.
    pub failed_exports: u64,
    /// What the last export failed with; none after one that went well.
    pub last_error: Option<String>,
}

/// Is told of each finished piece of work, whether or not its span is exported. Called on the thread that did the work, so
/// it must be quick.
pub trait RequestObserver: fmt::Debug + Send + Sync + 'static {
    /// A piece of work ended.
    fn observe(&self, scope: &TelemetryScope, operation: &str, seconds: f64, failed: bool);
}
