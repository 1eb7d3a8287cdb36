//! Requests to a tenant's memory.

use super::bounds;
use cogniverse_sdk::{
    ChatMessage, MemoryReach, MemoryScope, MemoryWeights, Result, Timestamp, memory_store::MemoryFilter,
};
use serde_json::{Map, Value};

/// A request to remember messages.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Remember {
    /// The scope that will own the memories.
    pub scope: MemoryScope,
    /// The messages, oldest first. System messages are instructions and are not stored.
    pub messages: Vec<ChatMessage>,
    /// Whether the language model extracts facts (default `false`: each message becomes one memory).
    pub infer: bool,
    /// Metadata to store with each new memory.
    pub metadata: Map<String, Value>,
    /// The expiry of the memories; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// Whether to pin the memories: they never expire, and no model may change them.
    pub pinned: bool,
    /// The reason, recorded in the history.
    pub reason: String,
}

impl Remember {
    /// Creates a request for a text, as a user message.
    #[must_use]
    pub fn text(scope: MemoryScope, text: impl Into<String>) -> Self {
        Self::messages(scope, vec![ChatMessage::user(text)])
    }

    /// Creates a request for messages.
    #[must_use]
    pub fn messages(scope: MemoryScope, messages: Vec<ChatMessage>) -> Self {
        let (metadata, reason) = (Map::new(), String::new());
        Self { scope, messages, infer: false, metadata, expires_at: None, pinned: false, reason }
    }

    /// Lets the language model extract facts from the messages.
    #[must_use]
    pub fn inferring(mut self) -> Self {
        self.infer = true;
        self
    }

    /// Adds metadata to store with each memory.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the expiry.
    #[must_use]
    pub fn until(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Pins the memories.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// A search for memories by text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MemoryQuery {
    /// The scopes to search.
    pub reach: MemoryReach,
    /// The query text.
    pub text: String,
    /// The filter on the memories.
    pub filter: MemoryFilter,
    /// The largest number of hits (default 5; from 1 to 100).
    pub top_k: usize,
    /// The smallest cosine of a hit (default 0.1).
    pub threshold: f64,
    /// The weights of the signals.
    pub weights: MemoryWeights,
    /// Whether to include expired memories (default `false`).
    pub expired: bool,
}

impl MemoryQuery {
    /// Creates a search for five hits.
    #[must_use]
    pub fn new(reach: impl Into<MemoryReach>, text: impl Into<String>) -> Self {
        Self {
            reach: reach.into(),
            text: text.into(),
            filter: MemoryFilter::default(),
            top_k: 5,
            threshold: 0.1,
            weights: MemoryWeights::default(),
            expired: false,
        }
    }

    /// Sets the largest number of hits.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Sets the smallest cosine.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the weights.
    #[must_use]
    pub fn with_weights(mut self, weights: MemoryWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Includes expired memories.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// A change of one memory, whose text is not embedded yet. Attributes that it does not set keep their values.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Revise {
    /// The new text.
    pub text: Option<String>,
    /// Metadata members to set; `null` removes a member.
    pub metadata: Map<String, Value>,
    /// The new expiry; `Some(None)` for never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether to pin or unpin the memory.
    pub pinned: Option<bool>,
    /// The reason, recorded in the history.
    pub reason: String,
}

impl Revise {
    /// Creates an empty change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a new text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
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

    /// Sets the reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Returns the new text, trimmed.
    pub(super) fn checked_text(&self) -> Result<Option<String>> {
        self.text.as_deref().map(|text| bounds::check_text(text).map(str::to_owned)).transpose()
    }
}
