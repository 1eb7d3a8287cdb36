//! Stored and new memories.

use super::{MemoryId, MemoryScope};
use crate::ChatRole;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The way a memory's text was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryOrigin {
    /// The message itself, stored verbatim on request.
    Verbatim,
    /// A fact that a model extracted from messages.
    Inferred,
    /// The message itself, stored because the model that should have extracted facts failed.
    NotInferred,
}

impl MemoryOrigin {
    /// Returns the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verbatim => "verbatim",
            Self::Inferred => "inferred",
            Self::NotInferred => "not_inferred",
        }
    }

    /// Parses the stored form.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Verbatim, Self::Inferred, Self::NotInferred].into_iter().find(|origin| origin.as_str() == word)
    }
}

/// A stored memory.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Memory {
    /// The id, unique within the scope. It stays when the text changes.
    pub id: MemoryId,
    /// The scope that owns the memory.
    pub scope: MemoryScope,
    /// The remembered text.
    pub text: String,
    /// The author of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ChatRole>,
    /// The way the text was obtained.
    pub origin: MemoryOrigin,
    /// Arbitrary data of the caller.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Whether the memory never expires and cannot be changed by a model.
    pub pinned: bool,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of expiry; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The number of writes, from 1.
    pub revision: u64,
    /// The model that embedded the text.
    pub model: String,
}

impl Memory {
    /// Creates the first revision of a new memory.
    #[must_use]
    pub fn first(id: MemoryId, scope: MemoryScope, new: NewMemory, now: Timestamp) -> Self {
        let NewMemory { text, role, origin, metadata, pinned, created_at, expires_at, model, .. } = new;
        let created_at = created_at.unwrap_or(now);
        Self {
            id,
            scope,
            text,
            role,
            origin,
            metadata,
            pinned,
            created_at,
            updated_at: now,
            expires_at,
            revision: 1,
            model,
        }
    }

    /// Returns whether the memory is past its expiry and not pinned.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        !self.pinned && self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A memory to be stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewMemory {
    /// The text to remember; not empty.
    pub text: String,
    /// The embedding of the text; must not be the zero vector.
    pub vector: Vec<f32>,
    /// The model that embedded the text.
    pub model: String,
    /// The author of the text.
    pub role: Option<ChatRole>,
    /// The way the text was obtained (default [`MemoryOrigin::Verbatim`]).
    pub origin: MemoryOrigin,
    /// Arbitrary data of the caller.
    pub metadata: Map<String, Value>,
    /// Whether the memory never expires (default `false`).
    pub pinned: bool,
    /// The time of creation; `None` for now.
    pub created_at: Option<Timestamp>,
    /// The time of expiry; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The reason, recorded in the history.
    pub reason: String,
}

impl NewMemory {
    /// Creates a memory from a text, its embedding and the model that made it.
    #[must_use]
    pub fn new(text: impl Into<String>, vector: Vec<f32>, model: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            vector,
            model: model.into(),
            role: None,
            origin: MemoryOrigin::Verbatim,
            metadata: Map::new(),
            pinned: false,
            created_at: None,
            expires_at: None,
            reason: String::new(),
        }
    }
}
