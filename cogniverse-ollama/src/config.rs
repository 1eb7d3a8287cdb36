//! Configuration of the client.

use crate::options::{KeepAlive, OllamaOptions, OverlongPrompt};
use cogniverse_http::{Address, ApiKey, Endpoint, RetryPolicy};
use cogniverse_sdk::Result;
use serde::Deserialize;
use std::time::Duration;

/// The configuration of an [`OllamaClient`](crate::OllamaClient). Only the address is required.
///
/// It loads from a file:
///
/// ```
/// let config: cogniverse_ollama::OllamaConfig = serde_json::from_str(
///     r#"{"url": "http://localhost:11434", "timeout_seconds": 30, "keep_alive": 600, "options": {"num_ctx": 8192}}"#,
/// )?;
/// assert_eq!((config.timeout.as_secs(), config.attempts), (30, 4));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OllamaConfig {
    /// The address, such as `http://localhost:11434`.
    pub url: Address,
    /// The default timeout of a call (default 2 min); for a pull, the timeout between two progress messages.
    #[serde(rename = "timeout_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// The number of attempts while Ollama cannot be reached or is busy (default 4).
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// The time for which a model stays loaded after a call (default: Ollama's own, 5 min).
    #[serde(default)]
    pub keep_alive: Option<KeepAlive>,
    /// Model parameters (default: each model's own).
    #[serde(default)]
    pub options: OllamaOptions,
    /// The handling of messages that exceed the context (default: truncated, and reported as such).
    #[serde(default)]
    pub overlong: OverlongPrompt,
    /// Whether models that can reason before they answer do so (default: each model's own).
    #[serde(default)]
    pub think: Option<bool>,
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

impl OllamaConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into().into(),
            timeout: default_timeout(),
            attempts: default_attempts(),
            keep_alive: None,
            options: OllamaOptions::default(),
            overlong: OverlongPrompt::default(),
            think: None,
            batch: default_batch(),
            api_key: None,
        }
    }

    /// Sets a bearer token, for an Ollama behind a gateway.
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

    /// Sets [`Self::keep_alive`].
    #[must_use]
    pub fn with_keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = Some(keep_alive);
        self
    }

    /// Sets [`Self::options`].
    #[must_use]
    pub fn with_options(mut self, options: OllamaOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets [`Self::overlong`].
    #[must_use]
    pub fn with_overlong(mut self, overlong: OverlongPrompt) -> Self {
        self.overlong = overlong;
        self
    }

    /// Sets [`Self::think`].
    #[must_use]
    pub fn with_think(mut self, think: bool) -> Self {
        self.think = Some(think);
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
        self.url.endpoint("Ollama")
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
