//! Requests and results of generation.

use cogniverse_sdk::{ChatAnswer, ChatMessage, ChatRequest, FinishReason};
use serde_json::Value;
use std::time::Duration;

/// A request to continue a text outside of a conversation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PromptRequest {
    /// The text to continue.
    pub prompt: String,
    /// The system prompt.
    pub system: Option<String>,
    /// Whether to pass the text without the model's template.
    pub raw: bool,
    /// A JSON schema that the answer must satisfy.
    pub schema: Option<Value>,
    /// The largest number of tokens in the answer; `None` uses the model's limit.
    pub max_tokens: Option<u32>,
    /// The sampling temperature, from 0 (most likely token); `None` uses the model's default.
    pub temperature: Option<f32>,
    /// The sampling seed, for repeatable answers.
    pub seed: Option<u64>,
    /// The timeout; `None` uses the configuration's.
    pub timeout: Option<Duration>,
}

impl PromptRequest {
    /// Creates a request with the model's default settings.
    #[must_use]
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            system: None,
            raw: false,
            schema: None,
            max_tokens: None,
            temperature: None,
            seed: None,
            timeout: None,
        }
    }

    /// Sets [`Self::system`].
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// Sets [`Self::raw`].
    #[must_use]
    pub fn with_raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }

    /// Copies schema, limits and sampling from a chat request.
    #[must_use]
    pub fn with_settings_of(self, request: &ChatRequest) -> Self {
        Self {
            schema: request.schema.clone(),
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            seed: request.seed,
            timeout: request.timeout,
            ..self
        }
    }

    /// Sets [`Self::max_tokens`].
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// The same as a conversation of one message, whose rules hold here as well.
    pub(crate) fn as_chat(&self) -> ChatRequest {
        let mut chat = ChatRequest::new(vec![ChatMessage::user(self.prompt.clone())]);
        chat.schema.clone_from(&self.schema);
        chat.max_tokens = self.max_tokens;
        chat.temperature = self.temperature;
        chat.seed = self.seed;
        chat.timeout = self.timeout;
        chat
    }
}

/// An answer with its timings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Generation {
    /// The answer.
    pub answer: ChatAnswer,
    /// The timings.
    pub timings: Timings,
}

/// The timings of an answer, as measured by Ollama.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timings {
    /// The total.
    pub total: Duration,
    /// The time to load the model.
    pub load: Duration,
    /// The time to process the prompt.
    pub prompt: Duration,
    /// The time to generate the answer.
    pub answer: Duration,
}

impl Generation {
    /// Returns the number of generated tokens per second.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        let tokens = u32::try_from(self.answer.completion_tokens?).ok()?;
        let seconds = self.timings.answer.as_secs_f64();
        (seconds > 0.0).then(|| f64::from(tokens) / seconds)
    }
}

/// Ollama's word for why an answer ended; versions that say none said it when the model was done.
pub(crate) fn finish_reason(said: Option<&str>) -> FinishReason {
    match said {
        None | Some("stop") => FinishReason::Stop,
        Some("length") => FinishReason::Length,
        Some(_) => FinishReason::Other,
    }
}
