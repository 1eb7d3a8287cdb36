//! Erasure of projects.

use super::ProjectName;
use std::time::Duration;

/// Timing of the check that an erased project stays absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settle {
    /// The unbroken time for which the project must be absent (default 5 s).
    pub absent_for: Duration,
    /// The interval between checks (default 500 ms).
    pub poll: Duration,
    /// The timeout of the whole erasure (default 60 s).
    pub total: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self { absent_for: Duration::from_secs(5), poll: Duration::from_millis(500), total: Duration::from_secs(60) }
    }
}

impl Settle {
    /// Creates the default timing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the unbroken time for which the project must be absent.
    #[must_use]
    pub fn with_absent_for(mut self, absent_for: Duration) -> Self {
        self.absent_for = absent_for;
        self
    }

    /// Sets the interval between checks.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Sets the timeout of the whole erasure.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }
}

/// A proof that a project is gone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ErasureReceipt {
    /// The project.
    pub project: ProjectName,
    /// The number of spans that the project held before.
    pub spans_before: u64,
    /// The number of deletions: 0 where the project did not exist, more than 1 where late spans created it again.
    pub deletions: u32,
    /// The time for which the project was absent at the end.
    pub verified_absent_for: Duration,
}

impl ErasureReceipt {
    /// Creates a receipt; for implementations.
    #[must_use]
    pub fn new(project: ProjectName, spans_before: u64, deletions: u32, verified_absent_for: Duration) -> Self {
        Self { project, spans_before, deletions, verified_absent_for }
    }
}
