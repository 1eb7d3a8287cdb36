//! What a tenant's memory is asked.

use super::bounds;
use cogniverse_sdk::{
    ChatMessage, MemoryReach, MemoryScope, MemoryWeights, Result, Timestamp, memory_store::MemoryFilter,
};
use serde_json::{Map, Value};

/// Something to remember.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Remember {
    /// Whose.
    pub scope: MemoryScope,
    /// What was said, oldest first. Messages of the system are instructions, and are not remembered.
    pub messages: Vec<ChatMessage>,
    /// Whether the language model draws facts from it (default: no, each message is one memory as it is).
    pub infer: bool,
    /// Kept with each memory that is made.
    pub metadata: Map<String, Value>,
    /// When the memories are forgotten; none: never.
    pub expires_at: Option<Timestamp>,
    /// Whether the memories never expire, and no model may change them.
    pub pinned: bool,
    /// Why, for the history.
    pub reason: String,
}

impl Remember {
    /// A text, as a user's message.
    #[must_use]
    pub fn text(scope: MemoryScope, text: impl Into<String>) -> Self {
        Self::messages(scope, vec![ChatMessage::user(text)])
    }

    /// Messages.
    #[must_use]
    pub fn messages(scope: MemoryScope, messages: Vec<ChatMessage>) -> Self {
        let (metadata, reason) = (Map::new(), String::new());
        Self { scope, messages, infer: false, metadata, expires_at: None, pinned: false, reason }
    }

    /// Lets the language model draw facts from what was said.
    #[must_use]
    pub fn inferring(mut self) -> Self {
        self.infer = true;
        self
    }

    /// Keeps a value with each memory.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Forgets them at a time.
    #[must_use]
    pub fn until(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Never forgets them.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// Why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// What to look for among memories.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MemoryQuery {
    /// Whose.
    pub reach: MemoryReach,
    /// The words.
    pub text: String,
    /// Which.
    pub filter: MemoryFilter,
    /// At most so many hits (default 5; from 1 to 100).
    pub top_k: usize,
    /// The least cosine of a hit (default 0.1).
    pub threshold: f64,
    /// What each signal counts.
    pub weights: MemoryWeights,
    /// Also those whose time is over (default: no).
    pub expired: bool,
}

impl MemoryQuery {
    /// Five hits for words.
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

    /// Another number of hits.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Another least cosine.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Only those.
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Other weights.
    #[must_use]
    pub fn with_weights(mut self, weights: MemoryWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Also those whose time is over.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// A change of one memory, before its text is embedded. What is not named stays.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Revise {
    /// Another text.
    pub text: Option<String>,
    /// Members of the metadata to set; `null` removes one.
    pub metadata: Map<String, Value>,
    /// Another end; `Some(None)`: never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Pins or unpins.
    pub pinned: Option<bool>,
    /// Why, for the history.
    pub reason: String,
}

impl Revise {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
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

    /// Why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The text without the white space around it.
    pub(super) fn checked_text(&self) -> Result<Option<String>> {
        self.text.as_deref().map(|text| bounds::check_text(text).map(str::to_owned)).transpose()
    }
}
