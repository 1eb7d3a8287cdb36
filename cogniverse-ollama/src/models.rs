//! Installed and loaded models.

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
    /// The name with its tag.
    pub name: String,
    /// The size on disk in bytes.
    pub size: u64,
    /// The digest of the content, which changes when the model does.
    pub digest: String,
    /// The time of its pull or creation.
    pub modified_at: Option<Timestamp>,
    /// The family, such as `gemma3`.
    pub family: String,
    /// The number of parameters, such as `268.10M`.
    pub parameter_size: String,
    /// The quantization, such as `Q4_K_M`.
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
    /// The name with its tag.
    pub name: String,
    /// The size in memory in bytes.
    pub size: u64,
    /// The part of the size in GPU memory, in bytes.
    pub size_vram: u64,
    /// The context length that it was loaded with, in tokens, where Ollama reports it.
    pub context_length: Option<usize>,
    /// The time at which it is unloaded unless used again.
    pub expires_at: Option<Timestamp>,
}

impl LoadedModel {
    /// Returns the time until it is unloaded unless used again.
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

/// Details of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelDetails {
    /// The name with its tag.
    pub name: ModelName,
    /// The architecture, such as `bert`.
    pub architecture: String,
    /// The capabilities, such as `completion` and `embedding`; `None` where Ollama is too old to report them.
    pub capabilities: Option<Vec<String>>,
    /// The number of cells in its vectors.
    pub embedding_length: Option<usize>,
    /// The context length that it was trained for, in tokens; it may run with less.
    pub context_length: Option<usize>,
    /// The number of parameters, such as `268.10M`.
    pub parameter_size: String,
    /// The quantization, such as `Q4_K_M`.
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

    /// Returns whether the model has a capability, such as `embedding`; `true` where Ollama does not report it.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.as_ref().is_none_or(|all| all.iter().any(|one| one == capability))
    }
}
