//! Configuration of the exporter.

use cogniverse_foundation::TelemetryConfig;
use cogniverse_http::{Address, ApiKey, Endpoint};
use cogniverse_sdk::Result;
use serde::Deserialize;
use std::time::Duration;

/// The OTLP transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protobuf over HTTP/1.1, at `/v1/traces`.
    Http,
    /// gRPC over HTTP/2.
    Grpc,
}

/// The configuration of an [`OtlpExporter`](crate::OtlpExporter). Only the address and the protocol are required.
///
/// It loads from a file, as `{"endpoint": "http://localhost:6006", "protocol": "http"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The address, as `http://host:port`. For HTTP, `/v1/traces` is added to one without a path.
    pub endpoint: Address,
    /// The transport.
    pub protocol: OtlpProtocol,
    /// The timeout of one request (default 10 s).
    #[serde(rename = "timeout_seconds", with = "cogniverse_http::seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// The service name in the resource (default `cogniverse`).
    #[serde(default = "default_service_name")]
    pub service_name: String,
    #[serde(default)]
    api_key: Option<ApiKey>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_service_name() -> String {
    "cogniverse".to_owned()
}

impl OtlpConfig {
    fn new(endpoint: impl Into<String>, protocol: OtlpProtocol) -> Self {
        Self {
            endpoint: endpoint.into().into(),
            protocol,
            timeout: default_timeout(),
            service_name: default_service_name(),
            api_key: None,
        }
    }

    /// Creates the configuration of a gRPC exporter to the collector of a telemetry configuration: `host:port`,
    /// optionally with `http://` or `https://` in front.
    ///
    /// It is meant for the configuration that the application starts its pipeline with. One pipeline serves all
    /// tenants, so the endpoint in a tenant's own configuration is not used.
    #[must_use]
    pub fn of(config: &TelemetryConfig) -> Self {
        let endpoint = &config.otlp_endpoint;
        Self::grpc(if endpoint.contains("://") { endpoint.clone() } else { format!("http://{endpoint}") })
    }

    /// Creates the configuration of an HTTP exporter, such as for Phoenix's `http://localhost:6006`.
    #[must_use]
    pub fn http(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint, OtlpProtocol::Http)
    }

    /// Creates the configuration of a gRPC exporter, such as for Phoenix's `http://localhost:4317`.
    #[must_use]
    pub fn grpc(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint, OtlpProtocol::Grpc)
    }

    /// Sets an API key, sent as `Authorization: Bearer`.
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

    /// Sets [`Self::service_name`].
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = name.into();
        self
    }

    pub(crate) fn api_key(&self) -> Option<&ApiKey> {
        self.api_key.as_ref()
    }

    /// The address, checked, with the path of its route.
    pub(crate) fn checked(&self) -> Result<Endpoint> {
        self.api_key.as_ref().map(ApiKey::bearer).transpose()?;
        let endpoint = self.endpoint.endpoint("the OTLP collector")?;
        Ok(match self.protocol {
            OtlpProtocol::Http => endpoint.with_default_path("/v1/traces"),
            OtlpProtocol::Grpc => endpoint,
        })
    }
}
