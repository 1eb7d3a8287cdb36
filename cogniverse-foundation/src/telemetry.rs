//! Spans of tenants: recorded where the work is done, queued fairly, exported by one worker.
//!
//! Every span names a tenant or is of the system; there is no default tenant. Spans are grouped by tenant when they are
//! exported, each group with its own resource, so that a trace store files them in the tenant's project.
//!
//! ```
//! use cogniverse_foundation::telemetry::{InMemorySpanExporter, SpanKind, TelemetryManager, TelemetrySettings};
//! use cogniverse_sdk::TenantId;
//! use std::time::Duration;
//!
//! # fn main() -> cogniverse_sdk::Result<()> {
//! let exporter = InMemorySpanExporter::new();
//! let telemetry = TelemetryManager::new(TelemetrySettings::new(), exporter.clone())?;
//! let acme = TenantId::parse("acme_corp")?;
//! {
//!     let span = telemetry.span("video_search", &acme);
//!     span.set_kind(SpanKind::Retriever);
//!     span.set_attribute("search.top_k", 10);
//! }
//! telemetry.flush(Duration::from_secs(5))?;
//! assert_eq!(exporter.spans_of("acme_corp").len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`TelemetryManager`] | spans, flush, shutdown, closing a tenant |
//! | [`TenantTelemetry`] | tenants' configuration, brought to it |
//! | [`Span`], [`SpanRecord`] | a span under way; a finished one |
//! | [`SpanExporter`] | where finished spans go; OTLP is `cogniverse-otlp` |
//! | [`TelemetrySettings`] | bounds and times |

mod context;
mod current;
mod exporter;
mod id;
mod manager;
mod names;
mod policy;
mod queue;
mod record;
mod settings;
mod span;
mod stats;
mod tenants;
mod worker;

pub use crate::config::telemetry::SYSTEM_PROJECT;
pub use context::TraceContext;
pub use exporter::{ExportError, InMemorySpanExporter, ScopeBatch, SpanExporter};
pub use id::{SpanId, TraceId};
pub use manager::TelemetryManager;
pub use names::*;
pub use policy::session_id;
pub use record::{AttributeValue, SpanEvent, SpanKind, SpanRecord, SpanStatus, TelemetryScope};
pub use settings::TelemetrySettings;
pub use span::{Entered, Span};
pub use stats::{RequestObserver, TelemetryStats};
pub use tenants::TenantTelemetry;

#[cfg(test)]
mod tests;
