//! The history of a memory.

use super::{MemoryId, MemoryScope};
use jiff::Timestamp;

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryEventKind {
    /// The memory was stored.
    Added,
    /// Its text, metadata, pin or expiry changed.
    Updated,
    /// It was deleted, by id or by a clear.
    Deleted,
    /// It expired and was removed.
    Expired,
}

impl MemoryEventKind {
    /// Returns the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
        }
    }

    /// Parses the stored form.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Added, Self::Updated, Self::Deleted, Self::Expired].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One entry of a memory's history, which outlives the memory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryEvent {
    /// The memory that changed.
    pub memory: MemoryId,
    /// The scope of the memory.
    pub scope: MemoryScope,
    /// The kind of change.
    pub kind: MemoryEventKind,
    /// The text before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_text: Option<String>,
    /// The text after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_text: Option<String>,
    /// The reason that the caller gave.
    pub reason: String,
    /// The memory's revision after the change.
    pub revision: u64,
    /// The time of the change.
    pub at: Timestamp,
}
