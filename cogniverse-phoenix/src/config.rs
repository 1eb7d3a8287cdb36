//! Configuration of the client.

use cogniverse_http::{Address, ApiKey, Endpoint, RetryPolicy};
use cogniverse_sdk::Result;
use serde::Deserialize;
use std::time::Duration;

/// The configuration of a [`PhoenixClient`](crate::PhoenixClient). Only the address is required.
///
/// It loads from a file:
///
/// ```
/// let config: cogniverse_phoenix::PhoenixConfig =
///     serde_json::from_str(r#"{"url": "http://localhost:6006", "timeout_seconds": 10}"#)?;
/// assert_eq!((config.timeout.as_secs(), config.attempts), (10, 4));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PhoenixConfig {
    /// The address of its user interface, such as `http://localhost:6006`.
    pub url: Address,
    /// The timeout of a call, including all attempts (default 30 s).
    #[serde(rename = "timeout_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// The number of attempts of a request that may be repeated (default 4).
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    #[serde(default)]
    api_key: Option<ApiKey>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_attempts() -> u32 {
    4
}

impl PhoenixConfig {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into().into(), timeout: default_timeout(), attempts: default_attempts(), api_key: None }
    }

    /// Sets an API key. Deleting a project needs an administrator's user key or the admin secret; a system key may not.
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
        self.url.endpoint("Phoenix")
    }

    pub(crate) fn api_key(&self) -> Option<&ApiKey> {
        self.api_key.as_ref()
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default().with_attempts(self.attempts)
    }
}
