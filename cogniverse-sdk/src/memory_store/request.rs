//! What the calls of a [`super::MemoryStore`] ask and answer.

use crate::{
    ChatRole, TenantId,
    memory::{AgentId, Memory, MemoryId, MemoryOrigin, MemoryReach, MemoryScope, NewMemory},
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Memories to store, all of one scope.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AddMemories {
    /// Whose.
    pub scope: MemoryScope,
    /// What.
    pub memories: Vec<NewMemory>,
}

impl AddMemories {
    /// These.
    #[must_use]
    pub fn new(scope: MemoryScope, memories: Vec<NewMemory>) -> Self {
        Self { scope, memories }
    }
}

/// What became of one memory of an [`AddMemories`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Added {
    /// It is stored.
    Stored(Memory),
    /// The scope had its text already, in this memory.
    Known(Memory),
}

impl Added {
    /// The memory, new or known.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        match self {
            Self::Stored(memory) | Self::Known(memory) => memory,
        }
    }
}

/// One memory to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetMemory {
    /// Whose.
    pub scope: MemoryScope,
    /// Which.
    pub id: MemoryId,
    /// Also where its time is over (default: no).
    pub expired: bool,
}

impl GetMemory {
    /// This one.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId) -> Self {
        Self { scope, id, expired: false }
    }

    /// Also where its time is over.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// Which memories are meant, beside their scope. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MemoryFilter {
    /// Members of the metadata that are these: texts, numbers and booleans.
    pub metadata: BTreeMap<String, Value>,
    /// Who said it.
    pub role: Option<ChatRole>,
    /// How the text came about.
    pub origin: Option<MemoryOrigin>,
    /// Whether it is pinned.
    pub pinned: Option<bool>,
    /// Created at this time or later.
    pub created_from: Option<Timestamp>,
    /// Created before this time.
    pub created_before: Option<Timestamp>,
}

impl MemoryFilter {
    /// All memories.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A member of the metadata is this.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets [`Self::role`].
    #[must_use]
    pub fn with_role(mut self, role: ChatRole) -> Self {
        self.role = Some(role);
        self
    }

    /// Sets [`Self::origin`].
    #[must_use]
    pub fn with_origin(mut self, origin: MemoryOrigin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Sets [`Self::pinned`].
    #[must_use]
    pub fn with_pinned(mut self, pinned: bool) -> Self {
        self.pinned = Some(pinned);
        self
    }

    /// Created at `from` or later, and before `before`.
    #[must_use]
    pub fn with_created(mut self, from: Option<Timestamp>, before: Option<Timestamp>) -> Self {
        self.created_from = from;
        self.created_before = before;
        self
    }

    /// Whether a memory is meant.
    #[must_use]
    pub fn accepts(&self, memory: &Memory) -> bool {
        self.metadata.iter().all(|(key, value)| memory.metadata.get(key) == Some(value))
            && self.role.is_none_or(|role| memory.role == Some(role))
            && self.origin.is_none_or(|origin| memory.origin == origin)
            && self.pinned.is_none_or(|pinned| memory.pinned == pinned)
            && self.created_from.is_none_or(|from| memory.created_at >= from)
            && self.created_before.is_none_or(|before| memory.created_at < before)
    }
}

/// One page of all memories.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListMemories {
    /// Whose.
    pub reach: MemoryReach,
    /// Which.
    pub filter: MemoryFilter,
    /// At most so many (default 100; from 1 to 1,000).
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Also those whose time is over (default: no).
    pub expired: bool,
}

impl ListMemories {
    /// The first hundred.
    #[must_use]
    pub fn new(reach: impl Into<MemoryReach>) -> Self {
        Self { reach: reach.into(), filter: MemoryFilter::default(), limit: 100, after: None, expired: false }
    }

    /// Only those.
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Another size of page.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The page after another: its [`MemoryPage::next`].
    #[must_use]
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.after = cursor;
        self
    }

    /// Also those whose time is over.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// One page of memories, in an order that stays the same from page to page.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MemoryPage {
    /// The memories.
    pub memories: Vec<Memory>,
    /// Give this back for the next page; none at the end.
    pub next: Option<String>,
}

impl MemoryPage {
    /// From a store.
    #[must_use]
    pub fn new(memories: Vec<Memory>, next: Option<String>) -> Self {
        Self { memories, next }
    }
}

/// What changes of a memory. What is not named stays.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MemoryChange {
    /// Another text with its vector and the model that made it.
    pub text: Option<(String, Vec<f32>, String)>,
    /// Members of the metadata to set; `null` removes one.
    pub metadata: Map<String, Value>,
    /// Another end; `Some(None)`: never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Pins or unpins.
    pub pinned: Option<bool>,
    /// How the text came about, where it changes.
    pub origin: Option<MemoryOrigin>,
}

impl MemoryChange {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another text, with its vector and the model that made it.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>, vector: Vec<f32>, model: impl Into<String>) -> Self {
        self.text = Some((text.into(), vector, model.into()));
        self
    }

    /// Sets a member of the metadata; `null` removes it.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Another end; none: never.
    #[must_use]
    pub fn with_expiry(mut self, at: Option<Timestamp>) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Pins or unpins.
    #[must_use]
    pub fn with_pin(mut self, pinned: bool) -> Self {
        self.pinned = Some(pinned);
        self
    }

    /// How the new text came about.
    #[must_use]
    pub fn with_origin(mut self, origin: MemoryOrigin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A memory as it is after the change.
    #[must_use]
    pub fn apply(&self, memory: &Memory, now: Timestamp) -> Memory {
        let mut changed = memory.clone();
        if let Some((text, _, model)) = &self.text {
            changed.text.clone_from(text);
            changed.model.clone_from(model);
        }
        for (key, value) in &self.metadata {
            match value {
                Value::Null => drop(changed.metadata.remove(key)),
                value => drop(changed.metadata.insert(key.clone(), value.clone())),
            }
        }
        changed.expires_at = self.expires_at.unwrap_or(changed.expires_at);
        changed.pinned = self.pinned.unwrap_or(changed.pinned);
        changed.origin = self.origin.unwrap_or(changed.origin);
        changed.updated_at = now;
        changed.revision += 1;
        changed
    }
}

/// A change of one memory.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UpdateMemory {
    /// Whose.
    pub scope: MemoryScope,
    /// Which.
    pub id: MemoryId,
    /// What changes; something must.
    pub change: MemoryChange,
    /// Why, for the history.
    pub reason: String,
}

impl UpdateMemory {
    /// This change.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId, change: MemoryChange, reason: impl Into<String>) -> Self {
        Self { scope, id, change, reason: reason.into() }
    }
}

/// One memory to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteMemory {
    /// Whose.
    pub scope: MemoryScope,
    /// Which; also where its time is over.
    pub id: MemoryId,
    /// Why, for the history.
    pub reason: String,
}

impl DeleteMemory {
    /// This one.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId, reason: impl Into<String>) -> Self {
        Self { scope, id, reason: reason.into() }
    }
}

/// Memories to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClearMemories {
    /// Whose.
    pub reach: MemoryReach,
    /// Only those whose time is over (default: all, pinned ones too).
    pub only_expired: bool,
    /// Their history too (default: it stays).
    pub history: bool,
    /// Why, for the history.
    pub reason: String,
}

impl ClearMemories {
    /// All of a reach.
    #[must_use]
    pub fn new(reach: impl Into<MemoryReach>, reason: impl Into<String>) -> Self {
        Self { reach: reach.into(), only_expired: false, history: false, reason: reason.into() }
    }

    /// Only those whose time is over.
    #[must_use]
    pub fn only_expired(mut self) -> Self {
        self.only_expired = true;
        self
    }

    /// The history of the whole reach too.
    #[must_use]
    pub fn with_history(mut self) -> Self {
        self.history = true;
        self
    }
}

/// The history of one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryHistory {
    /// Whose.
    pub scope: MemoryScope,
    /// Which.
    pub id: MemoryId,
    /// The newest so many (default 1,000, at most 10,000).
    pub limit: usize,
}

impl MemoryHistory {
    /// The newest thousand.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId) -> Self {
        Self { scope, id, limit: 1000 }
    }

    /// Another number.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// Figures of a tenant's memories. Expired ones count only as such.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Whose.
    pub tenant: TenantId,
    /// Whether there is a place for memories.
    pub enabled: bool,
    /// Memories.
    pub total: u64,
    /// Memories by agent.
    pub by_agent: BTreeMap<AgentId, u64>,
    /// Those that are pinned.
    pub pinned: u64,
    /// Those whose time is over and that still take room.
    pub expired: u64,
    /// When the oldest was created.
    pub oldest: Option<Timestamp>,
    /// When the newest was created.
    pub newest: Option<Timestamp>,
}

impl MemoryStats {
    /// Of no memory.
    #[must_use]
    pub fn none(tenant: TenantId, enabled: bool) -> Self {
        let by_agent = BTreeMap::new();
        Self { tenant, enabled, total: 0, by_agent, pinned: 0, expired: 0, oldest: None, newest: None }
    }

    /// Counts a memory.
    pub fn count(&mut self, memory: &Memory, now: Timestamp) {
        if memory.is_expired(now) {
            self.expired += 1;
            return;
        }
        self.total += 1;
        self.pinned += u64::from(memory.pinned);
        *self.by_agent.entry(memory.scope.agent.clone()).or_default() += 1;
        self.oldest = Some(self.oldest.map_or(memory.created_at, |oldest| oldest.min(memory.created_at)));
        self.newest = Some(self.newest.map_or(memory.created_at, |newest| newest.max(memory.created_at)));
    }
}
