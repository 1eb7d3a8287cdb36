//! Models that answer messages with text.

use crate::Result;
use async_trait::async_trait;
use serde_json::Value;
use std::{fmt, time::Duration};

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChatRole {
    /// Whoever wired the model: how it shall answer.
    System,
    /// A person.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChatMessage {
    /// Who says it.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A message of the system.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: ChatRole::System, content: content.into() }
    }

    /// A message of a person.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: ChatRole::User, content: content.into() }
    }

    /// A message of the model.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: ChatRole::Assistant, content: content.into() }
    }
}

/// Messages to answer, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The conversation so far, oldest first; at least one message.
    pub messages: Vec<ChatMessage>,
    /// A JSON schema that the answer must obey.
    pub schema: Option<Value>,
    /// Tokens of the answer, at most; none: the model's own limit.
    pub max_tokens: Option<u32>,
    /// From 0 (the likeliest word) upwards; none: the model's own.
    pub temperature: Option<f32>,
    /// Makes sampling repeatable where the model can.
    pub seed: Option<u64>,
    /// Time to give up after; none: the model's own.
    pub timeout: Option<Duration>,
}

impl ChatRequest {
    /// Messages, with the model's own settings.
    #[must_use]
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self { messages, schema: None, max_tokens: None, temperature: None, seed: None, timeout: None }
    }

    /// The answer must be JSON of this schema.
    #[must_use]
    pub fn with_schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Sets [`Self::max_tokens`].
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Sets [`Self::temperature`].
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets [`Self::seed`].
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets [`Self::timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A limit of tokens was reached: the text is cut, and JSON may be half an object.
    Length,
    /// Something else that the server names.
    Other,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChatAnswer {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Whether the messages were longer than the model's context and lost their beginning.
    pub prompt_cut: bool,
    /// Tokens of the messages, where the server counts them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, where the server counts them.
    pub completion_tokens: Option<u64>,
}

impl ChatAnswer {
    /// A text that ended by itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            finish: FinishReason::Stop,
            prompt_cut: false,
            prompt_tokens: None,
            completion_tokens: None,
        }
    }

    /// Sets [`Self::finish`].
    #[must_use]
    pub fn with_finish(mut self, finish: FinishReason) -> Self {
        self.finish = finish;
        self
    }

    /// Sets [`Self::prompt_cut`].
    #[must_use]
    pub fn with_prompt_cut(mut self, cut: bool) -> Self {
        self.prompt_cut = cut;
        self
    }

    /// Sets the counts of tokens.
    #[must_use]
    pub fn with_tokens(mut self, prompt: Option<u64>, completion: Option<u64>) -> Self {
        self.prompt_tokens = prompt;
        self.completion_tokens = completion;
        self
    }
}

/// A model that answers messages.
///
/// # Contract
/// - An answer that was cut says so in [`ChatAnswer::finish`]; a prompt that was cut, in [`ChatAnswer::prompt_cut`].
/// - With a schema the text of a whole answer parses as JSON.
/// - The pieces of [`LanguageModel::chat_streamed`] joined are the text of its answer.
///
/// # Errors
/// `InvalidInput` for no messages or a schema that is none; `NotFound` for a model that the server lacks, with the remedy;
/// `RateLimited` where the server is busy; `Timeout`; `Unavailable`. What is no answer is `Unexpected`, never an empty text.
///
/// # Cancellation
/// A dropped future ends the generation on the server where the server can.
#[async_trait]
pub trait LanguageModel: fmt::Debug + Send + Sync + 'static {
    /// The model's name, part of every cache key.
    fn model(&self) -> &str;

    /// The whole answer.
    async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer>;

    /// The answer piece by piece, as it comes, and then as a whole.
    async fn chat_streamed(&self, request: ChatRequest, piece: &mut (dyn FnMut(&str) + Send)) -> Result<ChatAnswer>;
}

const _: fn(&dyn LanguageModel) = |_| {};
