//! Where Vespa is, and how it is used.

use cogniverse_sdk::{Error, Result};
use reqwest::Url;
use std::{fmt, time::Duration};

/// Where Vespa is, and how it is used. Each setting but the addresses has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct VespaConfig {
    /// The container: `/search/` and `/document/v1`, such as `http://localhost:8080`.
    pub url: String,
    /// The config server, such as `http://localhost:19071`. With several, all calls go to this one.
    pub config_url: String,
    /// The namespace of document ids: 1 to 64 of `[A-Za-z0-9_-]` (default `cogniverse`). It isolates nothing.
    pub namespace: String,
    /// The content cluster that holds the schemas (default `cogniverse`). It must exist where an application does.
    pub content_cluster: String,
    /// Host names for the first deployment; none: one node, and no `hosts.xml`.
    pub hosts: Vec<String>,
    /// Copies of each document for the first deployment (default: 2 where there are several hosts, else 1).
    pub redundancy: Option<u32>,
    /// Share of disk and memory at which feeding is blocked, for the first deployment (default: Vespa's, 0.8 and 0.8).
    pub resource_limits: Option<ResourceLimits>,
    /// Schemas at which a deployment warns (default 80).
    pub warn_schemas: usize,
    /// Schemas above which a deployment is refused (default 100).
    pub max_schemas: usize,
    /// How long one search or document call may take, retries included (default 30 s).
    pub timeout: Duration,
    /// How long a deployment may take, convergence included (default 180 s).
    pub deploy_timeout: Duration,
    /// Tries of a call that may be repeated (default 4).
    pub attempts: u32,
    /// HTTP/2 connections of feeding (default 4).
    pub connections: usize,
    /// Feed operations under way at once, at most (default 2,048).
    pub max_in_flight: usize,
    /// Bodies of feed operations above so many bytes are sent with gzip (default 512).
    pub gzip_above: usize,
    /// How old knowledge of what is deployed may be before it is read again (default 5 s; invariant 22).
    pub catalog_age: Duration,
    bearer: Option<String>,
    ca: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

/// Shares of a content node's resources, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResourceLimits {
    /// Of its disk.
    pub disk: f64,
    /// Of its memory.
    pub memory: f64,
}

impl fmt::Debug for VespaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<Vec<u8>>| secret.as_ref().map(|_| "***");
        f.debug_struct("VespaConfig")
            .field("url", &self.url)
            .field("config_url", &self.config_url)
            .field("namespace", &self.namespace)
            .field("content_cluster", &self.content_cluster)
            .field("hosts", &self.hosts)
            .field("bearer", &self.bearer.as_ref().map(|_| "***"))
            .field("ca", &hidden(&self.ca))
            .field("identity", &hidden(&self.identity))
            .finish_non_exhaustive()
    }
}

impl VespaConfig {
    /// The defaults for a container and a config server.
    #[must_use]
    pub fn new(url: impl Into<String>, config_url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            config_url: config_url.into(),
            namespace: "cogniverse".into(),
            content_cluster: "cogniverse".into(),
            hosts: Vec::new(),
            redundancy: None,
            resource_limits: None,
            warn_schemas: 80,
            max_schemas: 100,
            timeout: Duration::from_secs(30),
            deploy_timeout: Duration::from_secs(180),
            attempts: 4,
            connections: 4,
            max_in_flight: 2048,
            gzip_above: 512,
            catalog_age: Duration::from_secs(5),
            bearer: None,
            ca: None,
            identity: None,
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

    /// Sets [`Self::catalog_age`].
    #[must_use]
    pub fn with_catalog_age(mut self, age: Duration) -> Self {
        self.catalog_age = age;
        self
    }

    /// A token that every call carries.
    #[must_use]
    pub fn with_bearer_token(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// Certificate authorities to trust besides the system's, as PEM. Needs the feature `tls`.
    #[must_use]
    pub fn with_ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// The caller's own certificate and key, as PEM, for mutual TLS. Needs the feature `tls`.
    #[must_use]
    pub fn with_client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(pem.into());
        self
    }

    /// Whether it holds certificates, which can be PEM and still unusable.
    pub(crate) fn has_certificates(&self) -> bool {
        self.ca.is_some() || self.identity.is_some()
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    /// Refuses what could not work, and gives the two addresses.
    pub(crate) fn check(&self) -> Result<(Url, Url)> {
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
            return Err(Error::invalid(format!("\"{host}\" is no host name")));
        }
        let share = |share: f64| share > 0.0 && share < 1.0;
        if self.resource_limits.is_some_and(|limits| !share(limits.disk) || !share(limits.memory)) {
            return Err(Error::invalid("resource limits are shares above 0 and below 1, such as 0.8"));
        }
        if self.attempts == 0 || self.connections == 0 || self.max_in_flight == 0 || self.redundancy == Some(0) {
            return Err(Error::invalid("attempts, connections, operations in flight and copies must be at least 1"));
        }
        if self.bearer.as_deref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::invalid("the bearer token holds a character that no header can"));
        }
        Ok((address(&self.url)?, address(&self.config_url)?))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn secure(&self, mut builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
        if let Some(pem) = &self.ca {
            let wrong = || Error::invalid("the certificate authority is no PEM certificate");
            let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| wrong().with_source(e))?;
            // A text without any certificate is an empty list.
            if authorities.is_empty() {
                return Err(wrong());
            }
            builder = authorities.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        if let Some(pem) = &self.identity {
            let identity = reqwest::Identity::from_pem(pem).map_err(|e| {
                Error::invalid("the client certificate is no PEM with a certificate and a key").with_source(e)
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn secure(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
        if self.has_certificates() {
            return Err(Error::invalid("certificates need the feature \"tls\" of cogniverse-vespa"));
        }
        Ok(builder)
    }
}

fn address(text: &str) -> Result<Url> {
    let wrong = |why: &str| Error::invalid(format!("\"{text}\" {why}; write it as http://host:port"));
    let url = Url::parse(text).map_err(|e| wrong("is no address").with_source(e))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err(Error::invalid("https needs the feature \"tls\" of cogniverse-vespa")),
        _ => return Err(wrong("is neither http nor https")),
    }
    if url.host().is_none() || url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(wrong("holds more than a host and a port"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> VespaConfig {
        VespaConfig::new("http://localhost:8080", "http://localhost:19071")
    }

    #[test]
    fn secrets_are_hidden() {
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
            assert!(error.to_string().contains("feature \"tls\""), "{error}");
        }
        for config in [local().with_ca_certificate("x"), local().with_client_certificate("x")] {
            let error = config.secure(reqwest::Client::builder()).unwrap_err();
            assert_eq!(error.kind(), cogniverse_sdk::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("feature \"tls\""), "{error}");
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
