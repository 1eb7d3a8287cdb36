//! Configuration of the backend.

use cogniverse_http::{Address, ApiKey, Connection, Endpoint, Pem, RetryPolicy};
use cogniverse_sdk::{Error, Result};
use serde::Deserialize;
use std::time::Duration;

/// The configuration of a [`VespaBackend`](crate::VespaBackend). Only the two addresses are required.
///
/// It loads from a file:
///
/// ```
/// let config: cogniverse_vespa::VespaConfig = serde_json::from_str(
///     r#"{"url": "http://localhost:8080", "config_url": "http://localhost:19071", "timeout_seconds": 10, "max_schemas": 50}"#,
/// )?;
/// assert_eq!((config.timeout.as_secs(), config.max_schemas, config.attempts), (10, 50, 4));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VespaConfig {
    /// The address of the container, which serves `/search/` and `/document/v1`, such as `http://localhost:8080`.
    pub url: Address,
    /// The address of the config server, such as `http://localhost:19071`. Where there are several, all calls go to
    /// this one.
    pub config_url: Address,
    /// The namespace of document ids: 1 to 64 of `[A-Za-z0-9_-]` (default `cogniverse`). It provides no isolation.
    #[serde(default = "default_name")]
    pub namespace: String,
    /// The content cluster that holds the schemas (default `cogniverse`). It must exist where an application does.
    #[serde(default = "default_name")]
    pub content_cluster: String,
    /// The host names for the first deployment; empty for a single node without `hosts.xml`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The number of copies of each document for the first deployment (default: 2 with several hosts, else 1).
    #[serde(default)]
    pub redundancy: Option<u32>,
    /// The share of disk and memory above which feeding is blocked, for the first deployment (default: Vespa's, 0.8
    /// and 0.8).
    #[serde(default)]
    pub resource_limits: Option<ResourceLimits>,
    /// The number of schemas at which a deployment warns (default 80).
    #[serde(default = "default_warn_schemas")]
    pub warn_schemas: usize,
    /// The number of schemas above which a deployment is refused (default 100).
    #[serde(default = "default_max_schemas")]
    pub max_schemas: usize,
    /// The timeout of a search or document call, including retries (default 30 s).
    #[serde(rename = "timeout_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// The timeout of a deployment, including convergence (default 180 s).
    #[serde(rename = "deploy_timeout_seconds", with = "cogniverse_http::seconds", default = "default_deploy_timeout")]
    pub deploy_timeout: Duration,
    /// The number of attempts of a call that may be repeated (default 4).
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// The number of HTTP/2 connections for feeding (default 4).
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// The largest number of concurrent feed operations (default 2,048).
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: usize,
    /// The longest time for which `DocumentStore::put` and `update` retry while Vespa is overloaded (default 30 s);
    /// the remaining documents are then refused as `RateLimited`. A feed of
    /// [`VespaBackend::feed`](crate::VespaBackend::feed) waits without limit.
    #[serde(rename = "overload_patience_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub overload_patience: Duration,
    /// The size in bytes above which bodies of feed operations are compressed with gzip (default 512).
    #[serde(default = "default_gzip_above")]
    pub gzip_above: usize,
    /// The time for which the catalog of deployed schemas is cached (default 5 s; [invariant 22](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#22)).
    #[serde(rename = "catalog_age_seconds", with = "cogniverse_http::seconds", default = "default_catalog_age")]
    pub catalog_age: Duration,
    #[serde(default)]
    bearer_token: Option<ApiKey>,
    #[serde(default)]
    ca_certificate: Option<Pem>,
    #[serde(default)]
    client_certificate: Option<Pem>,
}

fn default_name() -> String {
    "cogniverse".to_owned()
}

fn default_warn_schemas() -> usize {
    80
}

fn default_max_schemas() -> usize {
    100
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_deploy_timeout() -> Duration {
    Duration::from_secs(180)
}

fn default_attempts() -> u32 {
    4
}

fn default_connections() -> usize {
    4
}

fn default_max_in_flight() -> usize {
    2048
}

fn default_gzip_above() -> usize {
    512
}

fn default_catalog_age() -> Duration {
    Duration::from_secs(5)
}

/// Limits on a content node's resources, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceLimits {
    /// The limit on disk usage.
    pub disk: f64,
    /// The limit on memory usage.
    pub memory: f64,
}

impl VespaConfig {
    /// Creates the default configuration for a container and a config server.
    #[must_use]
    pub fn new(url: impl Into<String>, config_url: impl Into<String>) -> Self {
        Self {
            url: url.into().into(),
            config_url: config_url.into().into(),
            namespace: default_name(),
            content_cluster: default_name(),
            hosts: Vec::new(),
            redundancy: None,
            resource_limits: None,
            warn_schemas: default_warn_schemas(),
            max_schemas: default_max_schemas(),
            timeout: default_timeout(),
            deploy_timeout: default_deploy_timeout(),
            attempts: default_attempts(),
            connections: default_connections(),
            max_in_flight: default_max_in_flight(),
            overload_patience: default_timeout(),
            gzip_above: default_gzip_above(),
            catalog_age: default_catalog_age(),
            bearer_token: None,
            ca_certificate: None,
            client_certificate: None,
        }
    }

    /// Sets [`Self::namespace`].
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets [`Self::content_cluster`].
    #[must_use]
    pub fn with_content_cluster(mut self, cluster: impl Into<String>) -> Self {
        self.content_cluster = cluster.into();
        self
    }

    /// Sets [`Self::hosts`].
    #[must_use]
    pub fn with_hosts(mut self, hosts: Vec<String>) -> Self {
        self.hosts = hosts;
        self
    }

    /// Sets [`Self::redundancy`].
    #[must_use]
    pub fn with_redundancy(mut self, copies: u32) -> Self {
        self.redundancy = Some(copies);
        self
    }

    /// Sets [`Self::resource_limits`].
    #[must_use]
    pub fn with_resource_limits(mut self, limits: ResourceLimits) -> Self {
        self.resource_limits = Some(limits);
        self
    }

    /// Sets [`Self::warn_schemas`] and [`Self::max_schemas`].
    #[must_use]
    pub fn with_schema_budget(mut self, warn: usize, max: usize) -> Self {
        self.warn_schemas = warn;
        self.max_schemas = max;
        self
    }

    /// Sets [`Self::timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`Self::deploy_timeout`].
    #[must_use]
    pub fn with_deploy_timeout(mut self, timeout: Duration) -> Self {
        self.deploy_timeout = timeout;
        self
    }

    /// Sets [`Self::attempts`].
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets [`Self::connections`] and [`Self::max_in_flight`].
    #[must_use]
    pub fn with_feed(mut self, connections: usize, max_in_flight: usize) -> Self {
        self.connections = connections;
        self.max_in_flight = max_in_flight;
        self
    }

    /// Sets [`Self::overload_patience`].
    #[must_use]
    pub fn with_overload_patience(mut self, patience: Duration) -> Self {
        self.overload_patience = patience;
        self
    }

    /// Sets [`Self::catalog_age`].
    #[must_use]
    pub fn with_catalog_age(mut self, age: Duration) -> Self {
        self.catalog_age = age;
        self
    }

    /// Sets a token that every call carries.
    #[must_use]
    pub fn with_bearer_token(mut self, token: impl Into<String>) -> Self {
        self.bearer_token = Some(token.into().into());
        self
    }

    /// Trusts certificate authorities besides the system's, as PEM. Needs the feature `tls`.
    #[must_use]
    pub fn with_ca_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// Sets the caller's own certificate and key, as PEM, for mutual TLS. Needs the feature `tls`.
    #[must_use]
    pub fn with_client_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_certificate = Some(pem.into());
        self
    }

    pub(crate) fn bearer(&self) -> Option<&ApiKey> {
        self.bearer_token.as_ref()
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::default()
            .with_ca_certificate(self.ca_certificate.clone())
            .with_client_certificate(self.client_certificate.clone())
            .with_connect_timeout(Duration::from_secs(5).min(self.timeout))
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
            .with_attempts(self.attempts)
            .with_pauses(Duration::from_millis(50), Duration::from_secs(2))
    }

    /// Refuses what could not work, and gives the two addresses.
    pub(crate) fn check(&self) -> Result<(Endpoint, Endpoint)> {
        let word = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if !word(&self.namespace) {
            return Err(Error::invalid(format!(
                "the namespace \"{}\" is not 1 to 64 of [A-Za-z0-9_-]",
                self.namespace
            )));
        }
        if !word(&self.content_cluster) {
            return Err(Error::invalid(format!(
                "the content cluster \"{}\" is not 1 to 64 of [A-Za-z0-9_-]",
                self.content_cluster
            )));
        }
        let host = |host: &String| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
        };
        if let Some(host) = self.hosts.iter().find(|name| !host(name)) {
            return Err(Error::invalid(format!("\"{host}\" is not a host name")));
        }
        let share = |share: f64| share > 0.0 && share < 1.0;
        if self.resource_limits.is_some_and(|limits| !share(limits.disk) || !share(limits.memory)) {
            return Err(Error::invalid("resource limits are shares above 0 and below 1, such as 0.8"));
        }
        if self.attempts == 0 || self.connections == 0 || self.max_in_flight == 0 || self.redundancy == Some(0) {
            return Err(Error::invalid("attempts, connections, operations in flight and copies must be at least 1"));
        }
        self.bearer_token.as_ref().map(ApiKey::bearer).transpose()?;
        Ok((address(&self.url)?, address(&self.config_url)?))
    }
}

fn address(given: &Address) -> Result<Endpoint> {
    let endpoint = given.endpoint("Vespa")?;
    if endpoint.has_path_or_query() {
        return Err(Error::invalid(format!(
            "the address \"{endpoint}\" of Vespa holds more than a host and a port; give one like http://host:port"
        )));
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> VespaConfig {
        VespaConfig::new("http://localhost:8080", "http://localhost:19071")
    }

    #[test]
    fn invariant_19_secrets_are_hidden() {
        let config =
            local().with_bearer_token("s3cret").with_client_certificate("s3cret").with_ca_certificate("s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn what_needs_the_feature_tls_is_refused_without_it() {
        for (url, config_url) in [("https://localhost", "http://localhost"), ("http://localhost", "https://localhost")]
        {
            let error = VespaConfig::new(url, config_url).check().unwrap_err();
            assert!(error.to_string().contains("feature `tls`"), "{error}");
        }
        for config in [local().with_ca_certificate("x"), local().with_client_certificate("x")] {
            let error = crate::client::VespaClient::new(config).unwrap_err();
            assert_eq!(error.kind(), cogniverse_sdk::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("feature `tls`"), "{error}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for config in [
            VespaConfig::new("localhost:8080", "http://localhost:19071"),
            VespaConfig::new("ftp://localhost", "http://localhost:19071"),
            VespaConfig::new("http://localhost:8080/search", "http://localhost:19071"),
            VespaConfig::new("http://u:p@localhost:8080", "http://localhost:19071"),
            local().with_namespace("a' or true or '"),
            local().with_namespace(""),
            local().with_content_cluster("a/b"),
            local().with_hosts(vec!["a<b".into()]),
            local().with_attempts(0),
            local().with_bearer_token("a\nb"),
            local().with_resource_limits(ResourceLimits { disk: 80.0, memory: 0.8 }),
        ] {
            assert_eq!(config.check().unwrap_err().kind(), cogniverse_sdk::ErrorKind::InvalidInput, "{config:?}");
        }
        assert!(local().check().is_ok());
    }
}
