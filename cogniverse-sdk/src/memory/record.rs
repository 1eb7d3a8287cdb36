//! A memory.

use super::{MemoryId, MemoryScope};
use crate::ChatRole;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// How a memory's text came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryOrigin {
    /// It is what was said, as it was asked for.
    Verbatim,
    /// A model drew it from what was said.
    Inferred,
    /// It is what was said, because the model that should have drawn facts from it failed.
    NotInferred,
}

impl MemoryOrigin {
    /// Its word in storage.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verbatim => "verbatim",
            Self::Inferred => "inferred",
            Self::NotInferred => "not_inferred",
        }
    }

    /// The origin of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Verbatim, Self::Inferred, Self::NotInferred].into_iter().find(|origin| origin.as_str() == word)
    }
}

/// A memory as it is stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Memory {
    /// Its id in its scope. It stays when the text changes.
    pub id: MemoryId,
    /// Whose it is.
    pub scope: MemoryScope,
    /// What is remembered.
    pub text: String,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ChatRole>,
    /// How the text came about.
    pub origin: MemoryOrigin,
    /// Whatever the caller keeps with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Whether it never expires, and no model may change it.
    pub pinned: bool,
    /// Since when it is remembered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it is forgotten; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How often it was written, from 1.
    pub revision: u64,
    /// The model that made its vector.
    pub model: String,
}

impl Memory {
    /// Of a new memory, at its first revision.
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

    /// Whether it is forgotten: its time is over, and it is not pinned.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        !self.pinned && self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A memory to be stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewMemory {
    /// What is remembered; not empty.
    pub text: String,
    /// The text's vector, of any length but 0.
    pub vector: Vec<f32>,
    /// The model that made the vector.
    pub model: String,
    /// Who said it.
    pub role: Option<ChatRole>,
    /// How the text came about (default: verbatim).
    pub origin: MemoryOrigin,
    /// Whatever the caller keeps with it.
    pub metadata: Map<String, Value>,
    /// Whether it never expires.
    pub pinned: bool,
    /// Since when it is remembered; none: now.
    pub created_at: Option<Timestamp>,
    /// When it is forgotten; none: never.
    pub expires_at: Option<Timestamp>,
    /// Why it is added, for its history.
    pub reason: String,
}

impl NewMemory {
    /// A text and its vector by a model.
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
