//! Reports of added memories.

use cogniverse_sdk::{Memory, MemoryId};

/// The action taken for one fact or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum MemoryAction {
    /// It became a new memory.
    Add,
    /// An existing memory was updated with it.
    Update,
    /// A memory that it contradicts was deleted.
    Delete,
    /// Nothing was done, as it is known already or no change is allowed.
    None,
}

/// One decision with its reason.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryDecision {
    /// The action taken.
    pub action: MemoryAction,
    /// The fact or message.
    pub text: String,
    /// The memory that was created, updated, deleted, or found to be equal.
    pub memory: Option<MemoryId>,
    /// The reason, from the model or from this library.
    pub reason: String,
}

impl MemoryDecision {
    pub(super) fn new(action: MemoryAction, text: &str, memory: Option<&Memory>, reason: impl Into<String>) -> Self {
        let memory = memory.map(|memory| memory.id.clone());
        Self { action, text: text.to_owned(), memory, reason: reason.into() }
    }
}

/// The report of a [`MemoryManager::add`](super::MemoryManager::add) call.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// One decision for each fact or message.
    pub decisions: Vec<MemoryDecision>,
    /// Whether a model extracted facts from the messages.
    pub inferred: bool,
    /// The reason a requested model's answer could not be used; the messages were then stored verbatim, marked as not
    /// inferred.
    pub problem: Option<String>,
}

impl MemoryReport {
    /// Returns how many decisions took an action.
    #[must_use]
    pub fn count(&self, action: MemoryAction) -> usize {
        self.decisions.iter().filter(|decision| decision.action == action).count()
    }
}
