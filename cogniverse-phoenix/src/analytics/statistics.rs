//! Statistics of traces, as pure functions.

use cogniverse_sdk::telemetry_provider::{Span, SpanStatus};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The metrics of one trace, from its root span.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TraceMetrics {
    /// The start time.
    pub start: Timestamp,
    /// The duration in milliseconds.
    pub milliseconds: f64,
    /// The operation.
    pub operation: String,
    /// The type of the error; `None` for a success.
    pub error: Option<String>,
    /// The profile, if the span names one.
    pub profile: Option<String>,
    /// The strategy, if the span names one.
    pub strategy: Option<String>,
}

impl TraceMetrics {
    /// Extracts the metrics from the root span of a trace. An unset status is not an error, as OpenTelemetry defines.
    #[must_use]
    pub fn of(span: &Span) -> Self {
        let text = |keys: [&str; 2]| {
            keys.iter()
                .find_map(|key| span.attributes.get(*key)?.as_str().map(str::to_owned))
                .filter(|text| !text.is_empty())
        };
        let exception = span.events.iter().find_map(|event| event.attributes.get("exception.type")?.as_str());
        let error = (span.status == SpanStatus::Error).then(|| exception.unwrap_or("error").to_owned());
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a request")]
        let milliseconds = span.end.duration_since(span.start).as_nanos().max(0) as f64 / 1e6;
        Self {
            start: span.start,
            milliseconds,
            operation: span.name.clone(),
            error,
            profile: text(["profile", "search.profiles"]),
            strategy: text(["strategy", "ranking_strategy"]),
        }
    }
}

/// Statistics of durations in milliseconds. Percentiles are interpolated linearly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Durations {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation (n - 1); 0 for a single value.
    pub deviation: f64,
    /// The minimum.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 75th percentile.
    pub p75: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The maximum.
    pub max: f64,
}

/// Statistics of a group of traces.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// The number of traces.
    pub count: usize,
    /// The number of failed traces.
    pub errors: usize,
    /// The durations.
    pub durations: Durations,
}

/// Statistics of one hour.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct HourStatistics {
    /// The start of the hour in UTC.
    pub hour: Timestamp,
    /// The statistics.
    pub group: Group,
}

/// Statistics of all traces and of groups of them. Without traces, durations and rates are `None` rather than zero.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TraceStatistics {
    /// The number of traces.
    pub count: usize,
    /// The number of failed traces.
    pub errors: usize,
    /// The share of successful traces, from 0 to 1.
    pub success_rate: Option<f64>,
    /// The durations.
    pub durations: Option<Durations>,
    /// Durations more than 1.5 interquartile ranges outside the quartiles, in milliseconds, ascending; empty below
    /// four traces.
    pub outliers: Vec<f64>,
    /// The number of errors by type.
    pub errors_by_type: BTreeMap<String, usize>,
    /// The statistics by operation.
    pub by_operation: BTreeMap<String, Group>,
    /// The statistics by profile, of the traces that name one.
    pub by_profile: BTreeMap<String, Group>,
    /// The statistics by strategy, of the traces that name one.
    pub by_strategy: BTreeMap<String, Group>,
    /// The statistics by hour, in order; hours without traces are left out.
    pub by_hour: Vec<HourStatistics>,
}

impl TraceStatistics {
    /// Computes the statistics of a list of traces.
    #[must_use]
    pub fn of(traces: &[TraceMetrics]) -> Self {
        let mut errors_by_type = BTreeMap::new();
        for error in traces.iter().filter_map(|trace| trace.error.as_ref()) {
            *errors_by_type.entry(error.clone()).or_insert(0) += 1;
        }
        let all = group(traces.iter());
        let by_hour = grouped(traces, |trace| Some(hour_of(trace.start)));
        Self {
            count: traces.len(),
            errors: errors_by_type.values().sum(),
            success_rate: all.as_ref().map(|all| 1.0 - ratio(all.errors, all.count)),
            durations: all.map(|all| all.durations),
            outliers: outliers(traces),
            errors_by_type,
            by_operation: grouped(traces, |trace| Some(trace.operation.clone())),
            by_profile: grouped(traces, |trace| trace.profile.clone()),
            by_strategy: grouped(traces, |trace| trace.strategy.clone()),
            by_hour: by_hour.into_iter().map(|(hour, group)| HourStatistics { hour, group }).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of traces")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn hour_of(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second().div_euclid(3600) * 3600).unwrap_or(time)
}

fn grouped<K: Ord>(traces: &[TraceMetrics], key: impl Fn(&TraceMetrics) -> Option<K>) -> BTreeMap<K, Group> {
    let mut members: BTreeMap<K, Vec<&TraceMetrics>> = BTreeMap::new();
    for trace in traces {
        if let Some(key) = key(trace) {
            members.entry(key).or_default().push(trace);
        }
    }
    members.into_iter().filter_map(|(key, traces)| Some((key, group(traces.into_iter())?))).collect()
}

fn group<'a>(traces: impl Iterator<Item = &'a TraceMetrics>) -> Option<Group> {
    let (mut times, mut errors) = (Vec::new(), 0);
    for trace in traces {
        times.push(trace.milliseconds);
        errors += usize::from(trace.error.is_some());
    }
    times.sort_by(f64::total_cmp);
    Some(Group { count: times.len(), errors, durations: durations(&times)? })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of traces")]
fn durations(sorted: &[f64]) -> Option<Durations> {
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let squares: f64 = sorted.iter().map(|time| (time - mean).powi(2)).sum();
    let deviation = if sorted.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
    let at = |share| percentile(sorted, share);
    let [p50, p75, p90, p95, p99] = [0.5, 0.75, 0.9, 0.95, 0.99].map(at);
    Some(Durations { mean, deviation, min, p50, p75, p90, p95, p99, max })
}

/// The value at a share of a sorted list, interpolated linearly between its neighbours.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a list"
)]
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        _ => 0.0,
    }
}

fn outliers(traces: &[TraceMetrics]) -> Vec<f64> {
    let mut times: Vec<f64> = traces.iter().map(|trace| trace.milliseconds).collect();
    if times.len() < 4 {
        return Vec::new();
    }
    times.sort_by(f64::total_cmp);
    let (first, third) = (percentile(&times, 0.25), percentile(&times, 0.75));
    let reach = 1.5 * (third - first);
    times.retain(|time| *time < first - reach || *time > third + reach);
    times
}

#[cfg(test)]
mod tests;
