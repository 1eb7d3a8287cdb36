//! Traces in Arize Phoenix: reading, judging and erasing them, and what they say of each tenant.
//!
//! Phoenix knows no tenants: any key sees all projects. So every call here names one project, and an id of a trace, a span
//! or a dataset is looked up in that project before anything is done with it.
//!
//! ```no_run
//! use cogniverse_phoenix::{PhoenixAnalytics, PhoenixClient, PhoenixConfig};
//! use cogniverse_sdk::{ProjectName, TimeWindow};
//!
//! # async fn run() -> cogniverse_sdk::Result<()> {
//! let client = PhoenixClient::new(PhoenixConfig::new("http://localhost:6006"))?;
//! let analytics = PhoenixAnalytics::new(client);
//! let window = TimeWindow::last_hours(jiff::Timestamp::now(), 24)?;
//! let report = analytics.tenant(&ProjectName::parse("acme_corp")?, window).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `config`, `client`, `error` | where Phoenix is; calls; its errors, in every shape that it gives them |
//! | `provider` | the role `TelemetryProvider`: projects, spans, judgements, erasure |
//! | `datasets`, `experiments` | examples to measure against, and what was measured |
//! | `erase` | a tenant's traces gone, also those on their way |
//! | `analytics`, `audit` | counts, times, outliers and errors; leave to look across tenants |
//! | `memory` | traces in memory, for tests |

mod analytics;
mod audit;
mod client;
mod config;
mod datasets;
mod erase;
mod error;
mod experiments;
mod memory;
mod provider;
mod wire;

pub use analytics::{
    Durations, Group, HourStatistics, PhoenixAnalytics, TenantReport, TraceMetrics, TraceStatistics, html_report,
};
pub use audit::{AuditEntry, AuditLog, CrossTenantGrant, FileAuditLog};
pub use client::{Health, PhoenixClient};
pub use config::PhoenixConfig;
pub use datasets::{Dataset, DatasetAction, Example, StoredExample};
pub use erase::erase_tenant;
pub use experiments::{Evaluation, Experiment, ExperimentRun};
pub use memory::InMemoryTraces;
