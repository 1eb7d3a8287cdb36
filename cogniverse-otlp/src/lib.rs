//! Spans and metrics of tenants, to whoever speaks OTLP: Arize Phoenix, an OpenTelemetry collector.
//!
//! One exporter serves all tenants: each tenant's spans are a resource of their own in the request, with the tenant's project
//! in `openinference.project.name`, which is how Phoenix files them.
//!
//! ```no_run
//! use cogniverse_foundation::telemetry::{TelemetryManager, TelemetrySettings};
//! use cogniverse_otlp::{OtlpConfig, OtlpExporter, TenantLayer};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let exporter = OtlpExporter::new(OtlpConfig::http("http://localhost:6006"))?;
//! let telemetry = TelemetryManager::new(TelemetrySettings::new(), exporter)?;
//! // The library's own spans reach the project of the tenant that they name.
//! tracing::subscriber::set_global_default(tracing_subscriber::registry().with(TenantLayer::new(&telemetry)))?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | where to, how, with which key |
//! | `exporter`, `http`, `grpc` | sending |
//! | `wire` | from our spans to OTLP's messages |
//! | `layer` | from `tracing`'s spans to ours |
//! | `metrics` | requests, errors and times per tenant, by OpenTelemetry |

mod config;
mod exporter;
mod grpc;
mod http;
mod layer;
mod metrics;
mod wire;

pub use config::{OtlpConfig, OtlpProtocol};
pub use exporter::OtlpExporter;
pub use layer::TenantLayer;
pub use metrics::{OTHER, TenantMetrics};
