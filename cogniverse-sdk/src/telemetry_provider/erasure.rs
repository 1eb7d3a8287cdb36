//! What erasing a project asks for and proves.

use super::ProjectName;
use std::time::Duration;

/// How long an erased project must stay away before that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settle {
    /// So long without a break (default 5 s).
    pub absent_for: Duration,
    /// Time between two questions (default 500 ms).
    pub poll: Duration,
    /// Time to give up after (default 60 s).
    pub total: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self { absent_for: Duration::from_secs(5), poll: Duration::from_millis(500), total: Duration::from_secs(60) }
    }
}

impl Settle {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So long without a break.
    #[must_use]
    pub fn with_absent_for(mut self, absent_for: Duration) -> Self {
        self.absent_for = absent_for;
        self
    }

    /// Time between two questions.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Time to give up after.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }
}

/// Proof that a project is gone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ErasureReceipt {
    /// The project.
    pub project: ProjectName,
    /// How many spans it held before.
    pub spans_before: u64,
    /// How often it was deleted: 0 where it was not there, more than 1 where it came back.
    pub deletions: u32,
    /// For how long it was seen to be away, at the end.
    pub verified_absent_for: Duration,
}

impl ErasureReceipt {
    /// From a store.
    #[must_use]
    pub fn new(project: ProjectName, spans_before: u64, deletions: u32, verified_absent_for: Duration) -> Self {
        Self { project, spans_before, deletions, verified_absent_for }
    }
}
