//! Where a server of models is.

use cogniverse_sdk::{Error, Result};
use reqwest::Url;
use std::{fmt, time::Duration};

/// Where a server of models is, and how it is called. Each setting but the address has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Its address, such as `http://localhost:8000`; a path in it stays before every route.
    pub url: String,
    /// How long one request may take (default 120 s).
    pub timeout: Duration,
    /// Tries of a request that failed in passing (default 4).
    pub attempts: u32,
    api_key: Option<String>,
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish()
    }
}

impl ServerConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), timeout: Duration::from_secs(120), attempts: 4, api_key: None }
    }

    /// A key, sent as a bearer token.
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

    /// Sets [`Self::attempts`].
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    pub(super) fn authorization(&self) -> Option<String> {
        self.api_key.as_ref().map(|key| format!("Bearer {key}"))
    }

    /// The address, checked.
    pub(super) fn base(&self) -> Result<Url> {
        let wrong = |why: String| {
            Error::invalid(format!("the model server's address {:?} {why}; give http://host:port", self.url))
        };
        let url = Url::parse(&self.url).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("is not of http or https, or holds credentials".to_owned()));
        }
        if url.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(wrong("needs the feature `tls` of cogniverse-encoders".to_owned()));
        }
        if !self.api_key.as_deref().unwrap_or_default().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(Error::invalid("the API key holds characters that a header cannot carry"));
        }
        Ok(url)
    }
}
