//! A tenant's statistics as a table.

use super::statistics::{Group, TraceMetrics, TraceStatistics};
use cogniverse_sdk::telemetry_provider::{ProjectName, TimeWindow};
use serde::Serialize;
use std::fmt;

/// The statistics of one tenant's project within a time window. `Display` formats a table.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TenantReport {
    /// The project.
    pub project: ProjectName,
    /// The time window.
    pub window: TimeWindow,
    /// The statistics.
    pub statistics: TraceStatistics,
    /// The traces, for charts; not serialized.
    #[serde(skip)]
    pub(crate) traces: Vec<TraceMetrics>,
}

impl TenantReport {
    /// Computes the report of a project's traces.
    #[must_use]
    pub fn of(project: ProjectName, window: TimeWindow, traces: Vec<TraceMetrics>) -> Self {
        Self { project, window, statistics: TraceStatistics::of(&traces), traces }
    }
}

/// A name that fits a column; names of spans are untrusted text.
fn cell(name: &str, width: usize) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut: String = clean.chars().take(width).collect();
    format!("{cut:<width$}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, group: &Group) -> fmt::Result {
    let d = group.durations;
    writeln!(
        f,
        "  {} {:>8} {:>7} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
        cell(name, 32),
        group.count,
        group.errors,
        d.mean,
        d.p50,
        d.p95,
        d.p99
    )
}

impl fmt::Display for TenantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.statistics;
        writeln!(f, "{}: {} requests from {} to {}", self.project, s.count, self.window.from(), self.window.to())?;
        let (Some(d), Some(success)) = (s.durations, s.success_rate) else {
            return writeln!(f, "  no traces in this time");
        };
        writeln!(
            f,
            "  {:.2} % went well; ms: mean {:.1}, p50 {:.1}, p75 {:.1}, p90 {:.1}, p95 {:.1}, p99 {:.1}, max {:.1}; {} outliers",
            success * 100.0,
            d.mean,
            d.p50,
            d.p75,
            d.p90,
            d.p95,
            d.p99,
            d.max,
            s.outliers.len()
        )?;
        let title =
            format!("{:>8} {:>7} {:>10} {:>10} {:>10} {:>10}", "count", "errors", "mean ms", "p50", "p95", "p99");
        writeln!(f, "  {} {title}", cell("operation", 32))?;
        s.by_operation.iter().try_for_each(|(name, group)| row(f, name, group))?;
        writeln!(f, "  {} {title}", cell("hour (UTC)", 32))?;
        s.by_hour.iter().try_for_each(|hour| row(f, &hour.hour.to_string(), &hour.group))?;
        s.errors_by_type
            .iter()
            .try_for_each(|(kind, count)| writeln!(f, "  error {}: {count}", cell(kind, 32).trim_end()))
    }
}
