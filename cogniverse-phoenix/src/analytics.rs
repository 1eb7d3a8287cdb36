//! What the traces of tenants say: counts, times, outliers and errors.

mod html;
mod report;
mod statistics;

pub use html::html_report;
pub use report::TenantReport;
pub use statistics::{Durations, Group, HourStatistics, TraceMetrics, TraceStatistics};

use crate::audit::{AuditEntry, AuditLog, CrossTenantGrant};
use cogniverse_sdk::{
    Result,
    telemetry_provider::{ProjectName, SpanQuery, TelemetryProvider, TimeWindow},
};
use jiff::Timestamp;
use std::sync::Arc;

/// Spans of one page.
const PAGE: usize = 1000;

/// Reads traces and makes figures of them. Only the first span of each trace counts: one request, one figure.
#[derive(Debug, Clone)]
pub struct PhoenixAnalytics {
    provider: Arc<dyn TelemetryProvider>,
}

impl PhoenixAnalytics {
    /// Over a store of traces, such as [`crate::PhoenixClient`].
    #[must_use]
    pub fn new(provider: impl TelemetryProvider) -> Self {
        Self { provider: Arc::new(provider) }
    }

    /// What is needed of each trace of a project, oldest first. 100 bytes or so a trace; pages are let go as they are read.
    ///
    /// # Errors
    /// `NotFound` for a project that is not there, which is not one without traces; as [`TelemetryProvider::read_spans`].
    pub async fn traces(&self, project: &ProjectName, window: TimeWindow) -> Result<Vec<TraceMetrics>> {
        let (mut traces, mut next) = (Vec::new(), None);
        loop {
            let query = SpanQuery::new(project.clone())
                .with_window(Some(window))
                .with_roots_only()
                .with_page_size(PAGE)
                .with_continuation(next);
            let page = self.provider.read_spans(query).await?;
            traces.extend(page.spans.iter().map(TraceMetrics::of));
            next = page.next;
            if next.is_none() {
                return Ok(traces);
            }
        }
    }

    /// The figures of one tenant's project.
    ///
    /// # Errors
    /// As [`PhoenixAnalytics::traces`].
    pub async fn tenant(&self, project: &ProjectName, window: TimeWindow) -> Result<TenantReport> {
        Ok(TenantReport::of(project.clone(), window, self.traces(project, window).await?))
    }

    /// The figures of several tenants, each by itself, for an administrator. The look is written to the audit log before.
    ///
    /// # Errors
    /// `PermissionDenied` where the leave has expired; where the audit log cannot be written, in which case nothing is read;
    /// as [`PhoenixAnalytics::traces`].
    pub async fn across_tenants(
        &self,
        grant: &CrossTenantGrant,
        audit: &Arc<dyn AuditLog>,
        projects: &[ProjectName],
        window: TimeWindow,
    ) -> Result<Vec<TenantReport>> {
        grant.check()?;
        let (log, own, names) = (Arc::clone(audit), grant.clone(), projects.to_vec());
        let record = move || {
            let projects = names.iter().map(ProjectName::as_str).collect();
            log.record(&AuditEntry { at: Timestamp::now(), grant: &own, projects })
        };
        tokio::task::spawn_blocking(record)
            .await
            .map_err(|e| cogniverse_sdk::Error::unexpected("writing the audit log ended early").with_source(e))??;
        let mut reports = Vec::with_capacity(projects.len());
        for project in projects {
            reports.push(self.tenant(project, window).await?);
        }
        Ok(reports)
    }
}
