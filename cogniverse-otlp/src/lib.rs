//! Export of tenants' spans and metrics over OTLP, to Arize Phoenix or any OpenTelemetry collector.
//!
//! One exporter serves all tenants: each tenant's spans are a resource of their own in the request, with the tenant's
//! project in `openinference.project.name`, by which Phoenix files them.
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
//! | `config` | address, transport and key |
//! | `exporter`, `http`, `grpc` | the exporter and its transports |
//! | `wire` | conversion of spans to OTLP messages |
//! | `layer` | conversion of `tracing` spans to tenants' spans |
//! | `metrics` | requests, errors and durations per tenant, by OpenTelemetry |

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
