//! Chat models: messages in, text out.

use crate::{Error, Result, json_problem};
use async_trait::async_trait;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{fmt, time::Duration};

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChatRole {
    /// The application, which instructs the model.
    System,
    /// The end user.
    User,
    /// The model itself.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ChatMessage {
    /// The author.
    pub role: ChatRole,
    /// The text.
    pub content: String,
}

impl ChatMessage {
    /// Creates a system message.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: ChatRole::System, content: content.into() }
    }

    /// Creates a user message.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: ChatRole::User, content: content.into() }
    }

    /// Creates an assistant message.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: ChatRole::Assistant, content: content.into() }
    }
}

/// A request to a chat model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The conversation so far, oldest first; at least one message.
    pub messages: Vec<ChatMessage>,
    /// A JSON schema that the answer must satisfy (default: free text).
    pub schema: Option<Value>,
    /// The largest number of tokens in the answer; `None` uses the model's limit.
    pub max_tokens: Option<u32>,
    /// The sampling temperature, from 0 (most likely token); `None` uses the model's default.
    pub temperature: Option<f32>,
    /// The sampling seed, for repeatable answers where the model supports it.
    pub seed: Option<u64>,
    /// The timeout of the call; `None` uses the model's default.
    pub timeout: Option<Duration>,
}

impl ChatRequest {
    /// Creates a request with the model's default settings.
    #[must_use]
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self { messages, schema: None, max_tokens: None, temperature: None, seed: None, timeout: None }
    }

    /// Requires JSON that satisfies the schema.
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

    /// Validates the request. Implementations call this before they send anything.
    ///
    /// # Errors
    /// `InvalidInput` for an empty list of messages, a schema that is not a JSON object, `max_tokens` of 0, and a
    /// temperature that is negative or NaN.
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

/// The reason an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model ended the answer.
    Stop,
    /// A token limit was reached: the text is truncated, and JSON may be incomplete.
    Length,
    /// Another reason, or none that the server reported.
    Other,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ChatAnswer {
    /// The text of the answer.
    pub text: String,
    /// The reason the answer ended.
    pub finish: FinishReason,
    /// Whether the messages exceeded the model's context and lost their beginning.
    pub prompt_cut: bool,
    /// The number of prompt tokens, where the server reports it.
    pub prompt_tokens: Option<u64>,
    /// The number of completion tokens, where the server reports it.
    pub completion_tokens: Option<u64>,
}

impl ChatAnswer {
    /// Creates an answer that the model ended itself.
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

    /// Sets the token counts.
    #[must_use]
    pub fn with_tokens(mut self, prompt: Option<u64>, completion: Option<u64>) -> Self {
        self.prompt_tokens = prompt;
        self.completion_tokens = completion;
        self
    }

    /// Returns the answer after checking it against the request. With a schema, the JSON is extracted from a Markdown
    /// fence, from the text after a `<think>` block, or from surrounding prose; a truncated answer is returned
    /// unchanged.
    ///
    /// # Errors
    /// `Unexpected` for a complete answer that is not JSON although the request has a schema.
    pub fn checked(mut self, request: &ChatRequest) -> Result<Self> {
        if request.schema.is_none() || self.finish == FinishReason::Length {
            return Ok(self);
        }
        let object = request.schema.as_ref().and_then(|schema| schema.get("type")).is_some_and(|kind| kind == "object");
        match json_in(&self.text, object) {
            Some(json) if json.len() < self.text.len() => self.text = json.to_owned(),
            Some(_) => {}
            None if self.finish == FinishReason::Stop => {
                let why = serde_json::from_str::<IgnoredAny>(&self.text).err().map(|e| json_problem(&e));
                let message = format!(
                    "the model was given a schema and answered with what is no JSON: {}",
                    why.unwrap_or_default()
                );
                return Err(Error::unexpected(message).with_withheld(&self.text));
            }
            None => {}
        }
        Ok(self)
    }
}

/// The largest number of positions at which JSON is looked for in an answer.
const PLACES: usize = 64;

/// Returns the JSON value in an answer, an object where one was asked for: the whole text, else the content of a
/// Markdown fence, else the first object or array in the prose. A `<think>` block is skipped.
pub(crate) fn json_in(text: &str, object: bool) -> Option<&str> {
    let whole = |text: &'_ str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    let text = text.trim_start_matches('\u{feff}').trim();
    if whole(text) {
        return Some(text);
    }
    let text = match text.rsplit_once("</think>") {
        Some((_, said)) => said.trim(),
        // It thought to its end, and said nothing.
        None if text.contains("<think>") => return None,
        None => text,
    };
    if whole(text) {
        return Some(text);
    }
    if let Some((_, fenced)) = text.split_once("```")
        && let Some((fenced, _)) = fenced.rsplit_once("```")
    {
        // The language stands behind the fence: `json`, `JSON`, or nothing.
        let fenced = fenced.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric()).trim();
        if whole(fenced) {
            return Some(fenced);
        }
    }
    let begins: &[char] = if object { &['{'] } else { &['{', '['] };
    for (at, _) in text.match_indices(begins).take(PLACES) {
        let rest = text.get(at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => return rest.get(..values.byte_offset()),
            // Half a value: what is whole within it is not the answer.
            Some(Err(e)) if e.is_eof() => return None,
            _ => {}
        }
    }
    None
}

/// A chat model.
///
/// # Contract
/// - A truncated answer says so in [`ChatAnswer::finish`], and a truncated prompt in [`ChatAnswer::prompt_cut`].
/// - With a schema, the text of a complete answer parses as JSON ([`ChatAnswer::checked`]).
/// - The joined pieces of [`LanguageModel::chat_streamed`] equal the text of its answer, or contain it where JSON
///   was extracted.
///
/// # Errors
/// `InvalidInput` for what [`ChatRequest::check`] refuses and for a schema that the server cannot parse; `NotFound`,
/// with the remedy, for a model that the server does not have; `RateLimited` where the server is busy; `Timeout`;
/// `Unavailable`. A malformed response is `Unexpected`, never an empty text. A stream that breaks is an error even
/// after pieces of it were delivered.
///
/// # Cancellation
/// Dropping the future ends the generation on the server where the server supports it.
#[async_trait]
pub trait LanguageModel: fmt::Debug + Send + Sync + 'static {
    /// Returns the model's name, part of every cache key.
    fn model(&self) -> &str;

    /// Returns the complete answer.
    async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer>;

    /// Passes the answer to `piece` as it arrives, then returns the complete answer.
    // The lifetime is spelled out because `async_trait` would make an elided one that of the whole call, and no piece lives so long.
    async fn chat_streamed(
        &self,
        request: ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer>;
}

const _: fn(&dyn LanguageModel) = |_| {};
