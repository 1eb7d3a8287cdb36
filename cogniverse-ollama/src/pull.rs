//! Progress of pulling models.

use crate::wire::PullLine;

/// A progress message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// The current step, such as `pulling manifest`.
    pub status: String,
    /// The digest of the layer being pulled.
    pub digest: Option<String>,
    /// The size of the layer in bytes.
    pub total: Option<u64>,
    /// The number of bytes of the layer pulled so far.
    pub completed: Option<u64>,
}

impl From<PullLine> for PullProgress {
    fn from(line: PullLine) -> Self {
        Self { status: line.status, digest: line.digest, total: line.total, completed: line.completed }
    }
}
