//! Statistics of the pipeline, and the observer of finished operations.

use super::record::TelemetryScope;
use std::{collections::BTreeMap, fmt};

/// Counters of the pipeline since its start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TelemetryStats {
    /// The number of finished spans waiting or being exported.
    pub queued: usize,
    /// The number of exported spans.
    pub exported: u64,
    /// The number of dropped spans, for any reason.
    pub dropped: u64,
    /// The number of dropped spans by owner.
    pub dropped_by_scope: BTreeMap<TelemetryScope, u64>,
    /// The number of spans that named neither a tenant nor the system.
    pub unscoped: u64,
    /// The number of failed exports.
    pub failed_exports: u64,
    /// The error of the last export; `None` after a success.
    pub last_error: Option<String>,
}

/// An observer of finished operations, whether or not their spans are exported. It is called on the thread that did
/// the work, so it must be quick.
pub trait RequestObserver: fmt::Debug + Send + Sync + 'static {
    /// Called when an operation ends.
    fn observe(&self, scope: &TelemetryScope, operation: &str, seconds: f64, failed: bool);
}
