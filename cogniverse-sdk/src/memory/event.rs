//! What became of a memory.

use super::{MemoryId, MemoryScope};
use jiff::Timestamp;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryEventKind {
    /// It was stored.
    Added,
    /// Its text, metadata, pin or time changed.
    Updated,
    /// It was deleted, by id or by a clear.
    Deleted,
    /// Its time was over and it was taken away.
    Expired,
}

impl MemoryEventKind {
    /// Its word in storage.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Added, Self::Updated, Self::Deleted, Self::Expired].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One entry of a memory's history. It stays when the memory goes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryEvent {
    /// Of which memory.
    pub memory: MemoryId,
    /// Whose it is.
    pub scope: MemoryScope,
    /// What happened.
    pub kind: MemoryEventKind,
    /// The text before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_text: Option<String>,
    /// The text after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_text: Option<String>,
    /// Why, in the words of whoever did it.
    pub reason: String,
    /// The memory's revision after it.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
}
