//! Reading, annotating and erasing traces in Arize Phoenix, and analytics per tenant.
//!
//! Phoenix has no tenants: any key sees all projects. Every call here therefore names one project, and an id of a
//! trace, a span or a dataset is looked up in that project before it is used.
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
//! | `config`, `client`, `error` | configuration; the HTTP client; conversion of errors |
//! | `provider` | the role `TelemetryProvider`: projects, spans, annotations, erasure |
//! | `datasets`, `experiments` | examples for evaluation; measurements against them |
//! | `erase` | erasure of a tenant's traces, including those in flight |
//! | `analytics` | statistics, of one tenant or by grants of several |
//! | `memory` | a trace store in memory, for tests |

mod analytics;
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
pub use client::{Health, PhoenixClient};
pub use config::PhoenixConfig;
pub use datasets::{Dataset, DatasetAction, Example, StoredExample};
pub use erase::erase_tenant;
pub use experiments::{Evaluation, Experiment, ExperimentRun};
pub use memory::InMemoryTraces;
