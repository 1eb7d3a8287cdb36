//! Configuration of model server clients.

use cogniverse_http::{Address, ApiKey, Endpoint, RetryPolicy};
use cogniverse_sdk::Result;
use serde::Deserialize;
use std::time::Duration;

/// The address of a model server and the settings of its client. Only the address is required.
///
/// It loads from a file, as `{"url": "http://localhost:8000", "timeout_seconds": 30}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address, such as `http://localhost:8000`; a path in it precedes every route.
    pub url: Address,
    /// Time limit of a call, all its tries included (default 120 s).
    #[serde(rename = "timeout_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// Tries of a request whose failure may pass (default 4).
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    #[serde(default)]
    api_key: Option<ApiKey>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(120)
}

fn default_attempts() -> u32 {
    4
}

impl ServerConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into().into(), timeout: default_timeout(), attempts: default_attempts(), api_key: None }
    }

    /// Sets an API key, sent as a bearer token.
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

    pub(crate) fn endpoint(&self) -> Result<Endpoint> {
        self.url.endpoint("the model server")
    }

    pub(crate) fn api_key(&self) -> Option<&ApiKey> {
        self.api_key.as_ref()
    }

    /// Encoding is batch work: it waits out what an interactive call would not.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
            .with_attempts(self.attempts)
            .with_pauses(Duration::from_millis(100), Duration::from_secs(30))
    }
}
