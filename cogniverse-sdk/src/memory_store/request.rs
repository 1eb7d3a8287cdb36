//! Requests and responses of a [`super::MemoryStore`].

use crate::{
    ChatRole, PageCursor, TenantId,
    memory::{AgentId, Memory, MemoryId, MemoryOrigin, MemoryReach, MemoryScope, NewMemory},
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A request to store memories in one scope.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AddMemories {
    /// The scope that will own the memories.
    pub scope: MemoryScope,
    /// The memories to store.
    pub memories: Vec<NewMemory>,
}

impl AddMemories {
    /// Creates a request.
    #[must_use]
    pub fn new(scope: MemoryScope, memories: Vec<NewMemory>) -> Self {
        Self { scope, memories }
    }
}

/// The outcome of adding one memory.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Added {
    /// The memory was stored.
    Stored(Memory),
    /// The scope already had a memory of the same text, which is returned unchanged.
    Known(Memory),
}

impl Added {
    /// Returns the memory, new or existing.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        match self {
            Self::Stored(memory) | Self::Known(memory) => memory,
        }
    }
}

/// A request to read one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetMemory {
    /// The scope that owns the memory.
    pub scope: MemoryScope,
    /// The id of the memory.
    pub id: MemoryId,
    /// Whether to return the memory even if it has expired (default `false`).
    pub expired: bool,
}

impl GetMemory {
    /// Creates a request.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId) -> Self {
        Self { scope, id, expired: false }
    }

    /// Includes an expired memory.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// A filter on memories; all its conditions must hold.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MemoryFilter {
    /// Metadata members that must have exactly these values: strings, numbers and booleans.
    pub metadata: BTreeMap<String, Value>,
    /// The author of the text.
    pub role: Option<ChatRole>,
    /// The way the text was obtained.
    pub origin: Option<MemoryOrigin>,
    /// Whether the memory is pinned.
    pub pinned: Option<bool>,
    /// The earliest time of creation, inclusive.
    pub created_from: Option<Timestamp>,
    /// The latest time of creation, exclusive.
    pub created_before: Option<Timestamp>,
}

impl MemoryFilter {
    /// Creates a filter that accepts all memories.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires a metadata member to have a value.
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

    /// Requires a creation time from `from`, inclusive, to `before`, exclusive.
    #[must_use]
    pub fn with_created(mut self, from: Option<Timestamp>, before: Option<Timestamp>) -> Self {
        self.created_from = from;
        self.created_before = before;
        self
    }

    /// Returns whether a memory passes the filter.
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

/// A request for one page of a listing of memories.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListMemories {
    /// The scopes to list.
    pub reach: MemoryReach,
    /// The filter on the memories.
    pub filter: MemoryFilter,
    /// The largest number of memories in a page (default 100; from 1 to 1,000).
    pub limit: usize,
    /// The cursor of the page to return; `None` for the first.
    pub after: Option<PageCursor>,
    /// Whether to include expired memories (default `false`).
    pub expired: bool,
}

impl ListMemories {
    /// Lists the memories of a reach, 100 a page.
    #[must_use]
    pub fn new(reach: impl Into<MemoryReach>) -> Self {
        Self { reach: reach.into(), filter: MemoryFilter::default(), limit: 100, after: None, expired: false }
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the cursor, from [`MemoryPage::next`] of the previous page.
    #[must_use]
    pub fn after(mut self, cursor: Option<PageCursor>) -> Self {
        self.after = cursor;
        self
    }

    /// Includes expired memories.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// One page of memories, in an order that is stable across pages.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryPage {
    /// The memories of the page.
    pub memories: Vec<Memory>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<PageCursor>,
}

impl MemoryPage {
    /// Creates a page; for implementations.
    #[must_use]
    pub fn new(memories: Vec<Memory>, next: Option<PageCursor>) -> Self {
        Self { memories, next }
    }
}

/// A change of a memory. Attributes that it does not set keep their values.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MemoryChange {
    /// The new text, its embedding and the model that made it.
    pub text: Option<(String, Vec<f32>, String)>,
    /// Metadata members to set; `null` removes a member.
    pub metadata: Map<String, Value>,
    /// The new expiry; `Some(None)` for never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether to pin or unpin the memory.
    pub pinned: Option<bool>,
    /// The new origin of the text.
    pub origin: Option<MemoryOrigin>,
}

impl MemoryChange {
    /// Creates an empty change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a new text, its embedding and the model that made it.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>, vector: Vec<f32>, model: impl Into<String>) -> Self {
        self.text = Some((text.into(), vector, model.into()));
        self
    }

    /// Sets a metadata member; `null` removes it.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the expiry; `None` for never.
    #[must_use]
    pub fn with_expiry(mut self, at: Option<Timestamp>) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Pins or unpins the memory.
    #[must_use]
    pub fn with_pin(mut self, pinned: bool) -> Self {
        self.pinned = Some(pinned);
        self
    }

    /// Sets the origin of the new text.
    #[must_use]
    pub fn with_origin(mut self, origin: MemoryOrigin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Returns whether the change sets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the memory as it is after the change.
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

/// A request to change one memory.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UpdateMemory {
    /// The scope that owns the memory.
    pub scope: MemoryScope,
    /// The id of the memory.
    pub id: MemoryId,
    /// The change; must not be empty.
    pub change: MemoryChange,
    /// The reason, recorded in the history.
    pub reason: String,
}

impl UpdateMemory {
    /// Creates a request.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId, change: MemoryChange, reason: impl Into<String>) -> Self {
        Self { scope, id, change, reason: reason.into() }
    }
}

/// A request to delete one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteMemory {
    /// The scope that owns the memory.
    pub scope: MemoryScope,
    /// The id of the memory, which may have expired.
    pub id: MemoryId,
    /// The reason, recorded in the history.
    pub reason: String,
}

impl DeleteMemory {
    /// Creates a request.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId, reason: impl Into<String>) -> Self {
        Self { scope, id, reason: reason.into() }
    }
}

/// A request to delete all memories of a reach.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClearMemories {
    /// The scopes to clear.
    pub reach: MemoryReach,
    /// Whether to delete expired memories only (default `false`: all, including pinned ones).
    pub only_expired: bool,
    /// Whether to delete the history too (default `false`).
    pub history: bool,
    /// The reason, recorded in the history.
    pub reason: String,
}

impl ClearMemories {
    /// Creates a request to delete all memories of a reach.
    #[must_use]
    pub fn new(reach: impl Into<MemoryReach>, reason: impl Into<String>) -> Self {
        Self { reach: reach.into(), only_expired: false, history: false, reason: reason.into() }
    }

    /// Restricts the request to expired memories.
    #[must_use]
    pub fn only_expired(mut self) -> Self {
        self.only_expired = true;
        self
    }

    /// Deletes the history of the whole reach too.
    #[must_use]
    pub fn with_history(mut self) -> Self {
        self.history = true;
        self
    }
}

/// A request for the history of one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryHistory {
    /// The scope that owns the memory.
    pub scope: MemoryScope,
    /// The id of the memory.
    pub id: MemoryId,
    /// The largest number of entries, newest kept (default 1,000; at most 10,000).
    pub limit: usize,
}

impl MemoryHistory {
    /// Creates a request for the newest 1,000 entries.
    #[must_use]
    pub fn new(scope: MemoryScope, id: MemoryId) -> Self {
        Self { scope, id, limit: 1000 }
    }

    /// Sets the largest number of entries.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// Statistics of a tenant's memories. Expired memories count only in [`Self::expired`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether the tenant has a memory store.
    pub enabled: bool,
    /// The number of memories.
    pub total: u64,
    /// The number of memories of each agent.
    pub by_agent: BTreeMap<AgentId, u64>,
    /// The number of pinned memories.
    pub pinned: u64,
    /// The number of expired memories that are not purged yet.
    pub expired: u64,
    /// The creation time of the oldest memory.
    pub oldest: Option<Timestamp>,
    /// The creation time of the newest memory.
    pub newest: Option<Timestamp>,
}

impl MemoryStats {
    /// Creates the statistics of an empty store.
    #[must_use]
    pub fn none(tenant: TenantId, enabled: bool) -> Self {
        let by_agent = BTreeMap::new();
        Self { tenant, enabled, total: 0, by_agent, pinned: 0, expired: 0, oldest: None, newest: None }
    }

    /// Adds a memory to the statistics.
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
