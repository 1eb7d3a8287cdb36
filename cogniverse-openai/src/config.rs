//! Where the server is, and how it is used.

use cogniverse_sdk::{Error, Result};
use reqwest::{Url, header::HeaderValue};
use std::{fmt, time::Duration};

/// By which name a server is told how long an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenLimitField {
    /// `max_tokens`, which every server knows but OpenAI for its newer models.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which these ask for.
    MaxCompletionTokens,
}

/// Where the server is. Each setting but the address has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpenAiConfig {
    /// The address of the API, such as `http://localhost:8000/v1`; without a path, `/v1` is meant.
    pub url: String,
    /// How long a call may take that says no time itself (default 2 min).
    pub timeout: Duration,
    /// Tries where nobody answers, or the server is busy (default 4).
    pub attempts: u32,
    /// How an answer's length is limited (default [`TokenLimitField::MaxTokens`]).
    pub token_limit: TokenLimitField,
    /// Tokens of the model's context, where the server is one that cuts prompts in silence (default: none).
    pub context_tokens: Option<u64>,
    /// Texts of one embedding request (default 64).
    pub batch: usize,
    api_key: Option<String>,
}

impl fmt::Debug for OpenAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiConfig")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("token_limit", &self.token_limit)
            .field("context_tokens", &self.context_tokens)
            .field("batch", &self.batch)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish()
    }
}

impl OpenAiConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_mins(2),
            attempts: 4,
            token_limit: TokenLimitField::default(),
            context_tokens: None,
            batch: 64,
            api_key: None,
        }
    }

    /// The key of the server.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
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

    /// The header that carries the key; its `Debug` does not show it.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>> {
        let Some(key) = &self.api_key else { return Ok(None) };
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| Error::invalid("the API key holds characters that a header cannot carry"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The address, checked, with its path.
    pub(crate) fn base(&self) -> Result<Url> {
        let wrong = |why: String| {
            Error::invalid(format!("the address {:?} {why}; give one such as http://localhost:8000/v1", self.url))
        };
        let mut url = Url::parse(&self.url).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("is not of http or https, or holds credentials".to_owned()));
        }
        if url.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(wrong("needs the feature `tls` of cogniverse-openai".to_owned()));
        }
        if url.path().trim_matches('/').is_empty() {
            url.set_path("/v1");
        }
        Ok(url)
    }
}
