//! Fetching models.

use crate::wire::PullLine;

/// A sign of progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// What is done, such as `pulling manifest`.
    pub status: String,
    /// The part that is fetched.
    pub digest: Option<String>,
    /// Bytes of the part.
    pub total: Option<u64>,
    /// Bytes of the part that are there.
    pub completed: Option<u64>,
}

impl From<PullLine> for PullProgress {
    fn from(line: PullLine) -> Self {
        Self { status: line.status, digest: line.digest, total: line.total, completed: line.completed }
    }
}
