//! Analytics of tenants' traces: counts, durations, outliers and errors.

mod html;
mod report;
mod statistics;

pub use html::html_report;
pub use report::TenantReport;
pub use statistics::{Durations, Group, HourStatistics, TraceMetrics, TraceStatistics};

use crate::wire::Cursors;
use cogniverse_core::tenants::TenantGrant;
use cogniverse_foundation::TelemetryConfig;
use cogniverse_sdk::{
    Error, ErrorKind, Operation, Result,
    telemetry_provider::{Continuation, ProjectName, SpanQuery, TelemetryProvider, TimeWindow},
};
use std::sync::Arc;

/// The number of spans in a page.
const PAGE: usize = 1000;

/// Analytics over a trace store. Only the root span of each trace counts: one request, one sample.
#[derive(Debug, Clone)]
pub struct PhoenixAnalytics {
    provider: Arc<dyn TelemetryProvider>,
}

impl PhoenixAnalytics {
    /// Creates analytics over a trace store, such as [`crate::PhoenixClient`].
    #[must_use]
    pub fn new(provider: impl TelemetryProvider) -> Self {
        Self { provider: Arc::new(provider) }
    }

    /// Reads the metrics of each trace of a project, oldest first. They take about 100 bytes a trace.
    ///
    /// # Errors
    /// `NotFound` for a project that does not exist, as opposed to one without traces; those of
    /// [`TelemetryProvider::read_spans`].
    pub async fn traces(&self, project: &ProjectName, window: TimeWindow) -> Result<Vec<TraceMetrics>> {
        let (mut traces, mut next, mut cursors) = (Vec::new(), None, Cursors::default());
        loop {
            let query = SpanQuery::new(project.clone())
                .with_window(Some(window))
                .with_roots_only()
                .with_page_size(PAGE)
                .with_continuation(next);
            let page = self.provider.read_spans(query).await?;
            traces.extend(page.spans.iter().map(TraceMetrics::of));
            next = cursors.next(page.next.map(|next| next.as_str().to_owned()))?.map(Continuation::new);
            if next.is_none() {
                return Ok(traces);
            }
        }
    }

    /// Computes the statistics of one tenant's project.
    ///
    /// # Errors
    /// Those of [`PhoenixAnalytics::traces`].
    pub async fn tenant(&self, project: &ProjectName, window: TimeWindow) -> Result<TenantReport> {
        Ok(TenantReport::of(project.clone(), window, self.traces(project, window).await?))
    }

    /// Computes the statistics of several tenants, each separately, in their projects as each tenant's configuration
    /// names them. Every tenant needs a grant of the gate, which has recorded the access in that tenant's audit log.
    ///
    /// ```no_run
    /// # async fn shown(cogniverse: &cogniverse_core::tenants::Gate, analytics: &cogniverse_phoenix::PhoenixAnalytics,
    /// #     tenants: &[cogniverse_sdk::TenantId], window: cogniverse_sdk::TimeWindow) -> cogniverse_sdk::Result<()> {
    /// let mut grants = Vec::new();
    /// for tenant in tenants {
    ///     grants.push(cogniverse.admit(tenant, cogniverse_sdk::Operation::ReadTelemetry).await?);
    /// }
    /// for report in analytics.across_tenants(&grants, window).await? {
    ///     println!("{report}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `PermissionDenied` for a grant of another operation; those of [`TenantGrant::check`] and
    /// [`PhoenixAnalytics::traces`].
    pub async fn across_tenants(&self, grants: &[TenantGrant], window: TimeWindow) -> Result<Vec<TenantReport>> {
        let mut projects = Vec::with_capacity(grants.len());
        for grant in grants {
            if grant.operation() != Operation::ReadTelemetry {
                let message =
                    format!("a grant to {} reads no telemetry; ask the gate for read_telemetry", grant.operation());
                return Err(Error::new(ErrorKind::PermissionDenied, message));
            }
            let config = grant.config().section::<TelemetryConfig>()?.value;
            projects.push((grant, ProjectName::parse(config.project_name(grant.tenant()))?));
        }
        let mut reports = Vec::with_capacity(projects.len());
        for (grant, project) in projects {
            reports.push(grant.run(self.tenant(&project, window)).await?);
        }
        Ok(reports)
    }
}
