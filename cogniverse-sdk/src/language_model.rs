//! Models that answer messages with text.

use crate::{Error, Result};
use async_trait::async_trait;
use serde::de::IgnoredAny;
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

    /// Whether a model can be asked this at all. Implementations call it before they send anything.
    ///
    /// # Errors
    /// `InvalidInput` for no messages, a schema that is no JSON object, an answer of 0 tokens, and a temperature that is
    /// negative or no number.
    pub fn check(&self) -> Result<()> {
        if self.messages.is_empty() {
            return Err(Error::invalid("there are no messages to answer; give at least one"));
        }
        if let Some(schema) = self.schema.as_ref().filter(|schema| !schema.is_object()) {
            return Err(Error::invalid(format!(
                "{schema} is no JSON schema; give an object such as {{\"type\": \"object\"}}"
            )));
        }
        if self.max_tokens == Some(0) {
            return Err(Error::invalid(
                "an answer cannot have 0 tokens; give at least 1, or none for the model's limit",
            ));
        }
        if let Some(wrong) = self.temperature.filter(|t| !t.is_finite() || *t < 0.0) {
            return Err(Error::invalid(format!("the temperature {wrong} must be 0 or more")));
        }
        Ok(())
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

    /// The answer, if it is what was asked for: JSON where a schema was given and nothing cut it.
    ///
    /// # Errors
    /// `Unexpected` for a whole answer that is no JSON though the request has a schema.
    pub fn checked(self, request: &ChatRequest) -> Result<Self> {
        if request.schema.is_some() && self.finish == FinishReason::Stop {
            serde_json::from_str::<IgnoredAny>(&self.text).map_err(|e| {
                let shown: String = self.text.chars().take(200).collect();
                Error::unexpected(format!("the model was given a schema and answered with what is no JSON: {shown:?}"))
                    .with_source(e)
            })?;
        }
        Ok(self)
    }
}

/// A model that answers messages.
///
/// # Contract
/// - An answer that was cut says so in [`ChatAnswer::finish`]; a prompt that was cut, in [`ChatAnswer::prompt_cut`].
/// - With a schema the text of a whole answer parses as JSON ([`ChatAnswer::checked`]).
/// - The pieces of [`LanguageModel::chat_streamed`] joined are the text of its answer.
///
/// # Errors
/// `InvalidInput` for what [`ChatRequest::check`] refuses and for a schema that the server cannot read; `NotFound` for a model that the server lacks, with the remedy;
/// `RateLimited` where the server is busy; `Timeout`; `Unavailable`. What is no answer is `Unexpected`, never an empty text.
/// A stream that broke is an error also where pieces of it were given already.
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
    // The lifetime is spelled out because `async_trait` would make an elided one that of the whole call, and no piece lives so long.
    async fn chat_streamed(
        &self,
        request: ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer>;
}

const _: fn(&dyn LanguageModel) = |_| {};
