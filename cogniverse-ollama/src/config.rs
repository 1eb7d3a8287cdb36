//! Where Ollama is, and how it is used.

use crate::options::{KeepAlive, OllamaOptions, OverlongPrompt};
use cogniverse_sdk::{Error, Result};
use reqwest::{Url, header::HeaderValue};
use std::{fmt, time::Duration};

/// Where Ollama is. Each setting but the address has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct OllamaConfig {
    /// The address, such as `http://localhost:11434`.
    pub url: String,
    /// How long a call may take that says no time itself (default 2 min); of a pull, between two signs of progress.
    pub timeout: Duration,
    /// Tries where nobody answers or Ollama is busy (default 4).
    pub attempts: u32,
    /// How long a model stays loaded after a call (default: Ollama's own, 5 min).
    pub keep_alive: Option<KeepAlive>,
    /// What models run with (default: each model's own).
    pub options: OllamaOptions,
    /// What becomes of messages that are too long (default: cut, and said so).
    pub overlong: OverlongPrompt,
    /// Whether models that can shall think before they answer (default: each model's own).
    pub think: Option<bool>,
    /// Texts of one embedding request (default 64).
    pub batch: usize,
    api_key: Option<String>,
}

impl fmt::Debug for OllamaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OllamaConfig")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("keep_alive", &self.keep_alive)
            .field("options", &self.options)
            .field("overlong", &self.overlong)
            .field("think", &self.think)
            .field("batch", &self.batch)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish()
    }
}

impl OllamaConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_mins(2),
            attempts: 4,
            keep_alive: None,
            options: OllamaOptions::default(),
            overlong: OverlongPrompt::default(),
            think: None,
            batch: 64,
            api_key: None,
        }
    }

    /// A bearer token, where Ollama stands behind a gate.
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

    /// The header that carries the key; its `Debug` does not show it.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>> {
        let Some(key) = &self.api_key else { return Ok(None) };
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| Error::invalid("the API key holds characters that a header cannot carry"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The address, checked.
    pub(crate) fn base(&self) -> Result<Url> {
        let wrong =
            |why: String| Error::invalid(format!("the Ollama address {:?} {why}; give http://host:11434", self.url));
        let url = Url::parse(&self.url).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("is not of http or https, or holds credentials".to_owned()));
        }
        if url.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(wrong("needs the feature `tls` of cogniverse-ollama".to_owned()));
        }
        Ok(url)
    }
}
