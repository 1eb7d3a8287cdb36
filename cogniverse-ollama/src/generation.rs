//! What a model is asked and what it answers.

use cogniverse_sdk::{ChatAnswer, ChatMessage, ChatRequest, FinishReason};
use serde_json::Value;
use std::time::Duration;

/// A text to go on with, outside of a conversation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PromptRequest {
    /// The text.
    pub prompt: String,
    /// How the model shall answer.
    pub system: Option<String>,
    /// Whether the text is given as it is, without the model's template.
    pub raw: bool,
    /// A JSON schema that the answer must obey.
    pub schema: Option<Value>,
    /// Tokens of the answer, at most; none: the model's own limit.
    pub max_tokens: Option<u32>,
    /// From 0 (the likeliest word) upwards; none: the model's own.
    pub temperature: Option<f32>,
    /// Makes sampling repeatable.
    pub seed: Option<u64>,
    /// Time to give up after; none: that of the configuration.
    pub timeout: Option<Duration>,
}

impl PromptRequest {
    /// A text, with the model's own settings.
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

    /// Takes schema, limits and sampling of a request of a conversation.
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

/// An answer, and what it took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Generation {
    /// The answer.
    pub answer: ChatAnswer,
    /// What it took.
    pub timings: Timings,
}

/// What an answer took, as Ollama measured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timings {
    /// All of it.
    pub total: Duration,
    /// Loading the model.
    pub load: Duration,
    /// Reading the prompt.
    pub prompt: Duration,
    /// Writing the answer.
    pub answer: Duration,
}

impl Generation {
    /// Tokens of the answer a second of writing.
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
