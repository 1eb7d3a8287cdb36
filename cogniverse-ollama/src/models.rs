//! Models that Ollama has.

use crate::{
    model_name::ModelName,
    wire::{Running, Shown, Tag},
};
use cogniverse_sdk::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// A model on Ollama's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredModel {
    /// Its name with its tag.
    pub name: String,
    /// Bytes on disk.
    pub size: u64,
    /// What its content is: another one under the same name has another digest.
    pub digest: String,
    /// When it was pulled or made.
    pub modified_at: Option<Timestamp>,
    /// Such as `gemma3`.
    pub family: String,
    /// Such as `268.10M`.
    pub parameter_size: String,
    /// Such as `Q4_K_M`.
    pub quantization: String,
}

impl From<Tag> for StoredModel {
    fn from(tag: Tag) -> Self {
        Self {
            name: tag.name,
            size: tag.size,
            digest: tag.digest,
            modified_at: tag.modified_at,
            family: tag.details.family,
            parameter_size: tag.details.parameter_size,
            quantization: tag.details.quantization_level,
        }
    }
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedModel {
    /// Its name with its tag.
    pub name: String,
    /// Bytes of memory.
    pub size: u64,
    /// Bytes of these on a graphics card.
    pub size_vram: u64,
    /// Tokens of context that it was loaded with, where Ollama says so.
    pub context_length: Option<usize>,
    /// When it is unloaded, unless it is used again.
    pub expires_at: Option<Timestamp>,
}

impl LoadedModel {
    /// How long it stays, unless it is used again.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.expires_at.map(|at| at.duration_since(now).try_into().unwrap_or(Duration::ZERO))
    }
}

impl From<Running> for LoadedModel {
    fn from(running: Running) -> Self {
        Self {
            name: running.name,
            size: running.size,
            size_vram: running.size_vram,
            context_length: running.context_length,
            expires_at: running.expires_at,
        }
    }
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelDetails {
    /// Its name with its tag.
    pub name: ModelName,
    /// Such as `bert`.
    pub architecture: String,
    /// Such as `completion` and `embedding`; none where Ollama is too old to say.
    pub capabilities: Option<Vec<String>>,
    /// Cells of its vectors.
    pub embedding_length: Option<usize>,
    /// Tokens of context that it was made for; it may be run with fewer.
    pub context_length: Option<usize>,
    /// Such as `268.10M`.
    pub parameter_size: String,
    /// Such as `Q4_K_M`.
    pub quantization: String,
}

impl ModelDetails {
    pub(crate) fn new(name: ModelName, shown: Shown) -> Self {
        let info = &shown.model_info;
        let architecture =
            info.get("general.architecture").and_then(Value::as_str).unwrap_or(&shown.details.family).to_owned();
        // The architecture's own number first: a model that sees has others, such as `gemma3.vision.embedding_length`.
        let number = |what: &str| {
            let own = info.get(&format!("{architecture}.{what}"));
            let any = || info.iter().find(|(key, _)| key.split_once('.').is_some_and(|(_, rest)| rest == what));
            own.or_else(|| any().map(|(_, value)| value)).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
        };
        Self {
            name,
            embedding_length: number("embedding_length"),
            context_length: number("context_length"),
            architecture,
            capabilities: shown.capabilities,
            parameter_size: shown.details.parameter_size,
            quantization: shown.details.quantization_level,
        }
    }

    /// Whether it can do something, such as `embedding`; true where Ollama does not say.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.as_ref().is_none_or(|all| all.iter().any(|one| one == capability))
    }
}
