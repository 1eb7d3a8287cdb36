//! What became of something to remember.

use cogniverse_sdk::{Memory, MemoryId};

/// What was done for one fact or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum MemoryAction {
    /// It is a memory of its own.
    Add,
    /// A memory says it now.
    Update,
    /// A memory that it contradicts is gone.
    Delete,
    /// It is known already, or nothing may be done.
    None,
}

/// One decision and its reason.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryDecision {
    /// What was done.
    pub action: MemoryAction,
    /// The fact or message.
    pub text: String,
    /// The memory that was made, changed, deleted, or knew it already.
    pub memory: Option<MemoryId>,
    /// Why, in the words of the model or of this library.
    pub reason: String,
}

impl MemoryDecision {
    pub(super) fn new(action: MemoryAction, text: &str, memory: Option<&Memory>, reason: impl Into<String>) -> Self {
        let memory = memory.map(|memory| memory.id.clone());
        Self { action, text: text.to_owned(), memory, reason: reason.into() }
    }
}

/// What became of something to remember.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// One for each fact, or for each message.
    pub decisions: Vec<MemoryDecision>,
    /// Whether a model drew facts from what was said.
    pub inferred: bool,
    /// Why the model's answer could not be used, where it was asked: what was said is kept as it is, marked as not inferred.
    pub problem: Option<String>,
}

impl MemoryReport {
    /// How often something was done.
    #[must_use]
    pub fn count(&self, action: MemoryAction) -> usize {
        self.decisions.iter().filter(|decision| decision.action == action).count()
    }
}
