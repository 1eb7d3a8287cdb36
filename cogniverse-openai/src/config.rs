//! Configuration of the client.

use cogniverse_http::{Address, ApiKey, Endpoint, RetryPolicy};
use cogniverse_sdk::Result;
use serde::Deserialize;
use std::time::Duration;

/// The field of a request that limits the length of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimitField {
    /// `max_tokens`, which every server knows except OpenAI for its newer models.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which these require.
    MaxCompletionTokens,
}

/// The configuration of an [`OpenAiClient`](crate::OpenAiClient). Only the address is required.
///
/// It loads from a file:
///
/// ```
/// let config: cogniverse_openai::OpenAiConfig =
///     serde_json::from_str(r#"{"url": "http://localhost:8000/v1", "timeout_seconds": 30}"#)?;
/// assert_eq!((config.timeout.as_secs(), config.batch), (30, 64));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OpenAiConfig {
    /// The address of the API, such as `http://localhost:8000/v1`; `/v1` is added to one without a path.
    pub url: Address,
    /// The default timeout of a call (default 2 min).
    #[serde(rename = "timeout_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// The number of attempts while the server cannot be reached or is busy (default 4).
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// The field that limits the length of an answer (default [`TokenLimitField::MaxTokens`]).
    #[serde(default)]
    pub token_limit: TokenLimitField,
    /// Size of the model's context in tokens, for a server that truncates prompts silently (default: none).
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// Texts in one embedding request (default 64).
    #[serde(default = "default_batch")]
    pub batch: usize,
    #[serde(default)]
    api_key: Option<ApiKey>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(120)
}

fn default_attempts() -> u32 {
    4
}

fn default_batch() -> usize {
    64
}

impl OpenAiConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into().into(),
            timeout: default_timeout(),
            attempts: default_attempts(),
            token_limit: TokenLimitField::default(),
            context_tokens: None,
            batch: default_batch(),
            api_key: None,
        }
    }

    /// Sets the server's API key.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into().into());
        self
    }

    /// Sets [`Self::timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`Self::attempts`], at least 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets [`Self::token_limit`].
    #[must_use]
    pub fn with_token_limit(mut self, field: TokenLimitField) -> Self {
        self.token_limit = field;
        self
    }

    /// Sets [`Self::context_tokens`]: an answer whose prompt filled it is flagged as cut.
    #[must_use]
    pub fn with_context_tokens(mut self, tokens: u64) -> Self {
        self.context_tokens = Some(tokens);
        self
    }

    /// Sets [`Self::batch`], at least 1.
    #[must_use]
    pub fn with_batch(mut self, texts: usize) -> Self {
        self.batch = texts.max(1);
        self
    }

    /// The same settings for another address. The key is sent to the origin that it was given for, and to no other.
    pub(crate) fn at(&self, url: &str) -> Result<Self> {
        let mut other = Self { url: url.into(), ..self.clone() };
        if !other.endpoint()?.is_same_origin(&self.endpoint()?) {
            other.api_key = None;
        }
        Ok(other)
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint> {
        Ok(self.url.endpoint("the server")?.with_default_path("/v1"))
    }

    pub(crate) fn api_key(&self) -> Option<&ApiKey> {
        self.api_key.as_ref()
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
            .with_attempts(self.attempts)
            .with_pauses(Duration::from_millis(200), Duration::from_secs(5))
    }
}
