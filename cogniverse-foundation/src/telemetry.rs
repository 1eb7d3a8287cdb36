//! Per-tenant telemetry: spans are recorded where the work is done, queued fairly, and exported by one worker.
//!
//! Every span belongs to a tenant or to the system; there is no default tenant. Exported spans are grouped by tenant,
//! each group with its own resource, so that a trace store files them in the tenant's project.
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
//! | [`Span`], [`SpanRecord`] | an active span; a finished span |
//! | [`SpanExporter`] | the sink of finished spans; OTLP is in `cogniverse-otlp` |
//! | [`TelemetrySettings`] | limits and timing |

mod context;
mod current;
mod exporter;
mod failure;
mod id;
mod manager;
mod names;
mod pipeline;
mod policy;
mod queue;
mod record;
mod settings;
mod span;
mod stats;
mod worker;

pub use crate::config::telemetry::SYSTEM_PROJECT;
pub use context::TraceContext;
pub use exporter::{ExportError, InMemorySpanExporter, ScopeBatch, SpanExporter};
pub use failure::{failed, is_callers_fault};
pub use id::{SpanId, TraceId};
pub use manager::TelemetryManager;
pub use names::*;
pub use policy::session_id;
pub use record::{AttributeValue, SpanEvent, SpanKind, SpanRecord, SpanStatus, TelemetryScope};
pub use settings::TelemetrySettings;
pub use span::{Entered, Span};
pub use stats::{RequestObserver, TelemetryStats};

#[cfg(test)]
mod tests;
