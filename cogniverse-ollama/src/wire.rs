//! Ollama's JSON.

use crate::options::{KeepAlive, OllamaOptions};
use cogniverse_sdk::{ChatMessage, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body of `/api/chat` and `/api/generate`.
#[derive(Serialize)]
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    #[serde(flatten)]
    pub(crate) question: Question<'a>,
    pub(crate) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<&'a Value>,
    pub(crate) options: AskOptions<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_alive: Option<KeepAlive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) think: Option<bool>,
    /// Without it Ollama leaves out messages and does not say so: the count of tokens is then that of the rest.
    pub(crate) truncate: bool,
    /// With it Ollama drops the beginning of the prompt when the answer fills the context, and goes on without sense.
    pub(crate) shift: bool,
}

#[derive(Serialize, Clone, Copy)]
#[serde(untagged)]
pub(crate) enum Question<'a> {
    Messages {
        messages: &'a [ChatMessage],
    },
    Pictures {
        messages: [PictureMessage<'a>; 1],
    },
    Prompt {
        prompt: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        system: Option<&'a str>,
        raw: bool,
    },
}

/// A message with pictures in base64, without a prefix.
#[derive(Serialize, Clone, Copy)]
pub(crate) struct PictureMessage<'a> {
    pub(crate) role: &'static str,
    pub(crate) content: &'a str,
    pub(crate) images: &'a [String],
}

#[derive(Serialize)]
pub(crate) struct AskOptions<'a> {
    #[serde(flatten)]
    pub(crate) own: &'a OllamaOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_predict: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
}

/// A line of a stream, or the whole answer.
#[derive(Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    message: Option<PartMessage>,
    #[serde(default)]
    response: Option<String>,
    #[serde(default)]
    pub(crate) done: bool,
    #[serde(default)]
    pub(crate) done_reason: Option<String>,
    #[serde(default)]
    pub(crate) prompt_eval_count: Option<u64>,
    #[serde(default)]
    pub(crate) eval_count: Option<u64>,
    /// Nanoseconds, as all durations.
    #[serde(default)]
    pub(crate) total_duration: u64,
    #[serde(default)]
    pub(crate) load_duration: u64,
    #[serde(default)]
    pub(crate) prompt_eval_duration: u64,
    #[serde(default)]
    pub(crate) eval_duration: u64,
}

#[derive(Deserialize)]
struct PartMessage {
    content: String,
}

impl Part {
    /// What it says, of a chat or a generation.
    pub(crate) fn text(&self) -> Option<&str> {
        self.message.as_ref().map(|message| message.content.as_str()).or(self.response.as_deref())
    }
}

/// The body of `/api/embed`.
#[derive(Serialize)]
pub(crate) struct Embed<'a> {
    pub(crate) model: &'a str,
    pub(crate) input: &'a [String],
    /// A text that is too long is an error, as a cut one would be found by its beginning alone.
    pub(crate) truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dimensions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) options: &'a OllamaOptions,
}

#[derive(Deserialize)]
pub(crate) struct Embedded {
    pub(crate) embeddings: Vec<Vec<f32>>,
}

/// A body that names a model and little else.
#[derive(Serialize)]
pub(crate) struct Named<'a> {
    pub(crate) model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_alive: Option<KeepAlive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<bool>,
}

#[derive(Deserialize)]
pub(crate) struct Version {
    pub(crate) version: String,
}

#[derive(Deserialize)]
pub(crate) struct Models<T> {
    pub(crate) models: Vec<T>,
}

#[derive(Deserialize)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) modified_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) details: Details,
}

#[derive(Deserialize)]
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) size_vram: u64,
    #[serde(default)]
    pub(crate) context_length: Option<usize>,
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) family: String,
    pub(crate) parameter_size: String,
    pub(crate) quantization_level: String,
}

#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    pub(crate) details: Details,
    /// Older versions say none.
    #[serde(default)]
    pub(crate) capabilities: Option<Vec<String>>,
    /// Flat keys such as `bert.embedding_length`.
    pub(crate) model_info: Map<String, Value>,
}

/// A line of a pull.
#[derive(Deserialize)]
pub(crate) struct PullLine {
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) digest: Option<String>,
    #[serde(default)]
    pub(crate) total: Option<u64>,
    #[serde(default)]
    pub(crate) completed: Option<u64>,
}
