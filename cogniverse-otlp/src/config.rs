//! Where spans go, how, and with which key.

use cogniverse_foundation::TelemetryConfig;
use cogniverse_sdk::{Error, Result};
use std::{fmt, time::Duration};

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protobuf over HTTP/1.1, at `/v1/traces`.
    Http,
    /// gRPC over HTTP/2.
    Grpc,
}

/// Where spans go. Each setting but the address has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The address, as `http://host:port`. For HTTP, `/v1/traces` is added where it holds no path.
    pub endpoint: String,
    /// How OTLP is spoken.
    pub protocol: OtlpProtocol,
    /// How long one request may take (default 10 s).
    pub timeout: Duration,
    /// The service in the resource (default `cogniverse`).
    pub service_name: String,
    api_key: Option<String>,
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("timeout", &self.timeout)
            .field("service_name", &self.service_name)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish()
    }
}

impl OtlpConfig {
    fn new(endpoint: impl Into<String>, protocol: OtlpProtocol) -> Self {
        Self {
            endpoint: endpoint.into(),
            protocol,
            timeout: Duration::from_secs(10),
            service_name: "cogniverse".to_owned(),
            api_key: None,
        }
    }

    /// Over gRPC, to the collector of a configuration: `host:port`, or with `http://` or `https://` before it.
    ///
    /// For the configuration that the application starts its pipeline with. One pipeline serves all tenants, so the
    /// endpoint of a tenant's own configuration is not followed.
    #[must_use]
    pub fn of(config: &TelemetryConfig) -> Self {
        let endpoint = &config.otlp_endpoint;
        Self::grpc(if endpoint.contains("://") { endpoint.clone() } else { format!("http://{endpoint}") })
    }

    /// Over HTTP, such as Phoenix's `http://localhost:6006`.
    #[must_use]
    pub fn http(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint, OtlpProtocol::Http)
    }

    /// Over gRPC, such as Phoenix's `http://localhost:4317`.
    #[must_use]
    pub fn grpc(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint, OtlpProtocol::Grpc)
    }

    /// A key, sent as `Authorization: Bearer`.
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

    /// Sets [`Self::service_name`].
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = name.into();
        self
    }

    pub(crate) fn authorization(&self) -> Option<String> {
        self.api_key.as_ref().map(|key| format!("Bearer {key}"))
    }

    /// The address, checked.
    pub(crate) fn url(&self) -> Result<String> {
        let wrong =
            |why: &str| Error::invalid(format!("the OTLP endpoint {:?} {why}; give http://host:port", self.endpoint));
        let rest = self.endpoint.strip_prefix("http://").or_else(|| self.endpoint.strip_prefix("https://"));
        let rest = rest.ok_or_else(|| wrong("has no http:// or https://"))?;
        if !cfg!(feature = "tls") && self.endpoint.starts_with("https://") {
            return Err(wrong("needs the feature `tls` of cogniverse-otlp"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || authority.contains(['@', ' ']) {
            return Err(wrong("names no host, or holds credentials"));
        }
        if !self.authorization().unwrap_or_default().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(Error::invalid("the API key holds characters that a header cannot carry"));
        }
        let base = self.endpoint.trim_end_matches('/');
        let add = self.protocol == OtlpProtocol::Http && path.trim_matches('/').is_empty();
        Ok(if add { format!("{base}/v1/traces") } else { base.to_owned() })
    }
}
