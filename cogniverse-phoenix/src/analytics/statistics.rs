//! Figures of a list of traces. No reading, no clock.

use cogniverse_sdk::telemetry_provider::{Span, SpanStatus};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is needed of one trace: its first span.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TraceMetrics {
    /// When it began.
    pub start: Timestamp,
    /// How long it took, in milliseconds.
    pub milliseconds: f64,
    /// What was done.
    pub operation: String,
    /// As what it failed; none where it did not.
    pub error: Option<String>,
    /// The profile, where it names one.
    pub profile: Option<String>,
    /// The strategy, where it names one.
    pub strategy: Option<String>,
}

impl TraceMetrics {
    /// From the first span of a trace. A status that nobody set is no error, by OpenTelemetry's rule.
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

/// Times in milliseconds. Percentiles are interpolated between the two nearest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Durations {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of a sample (n - 1); 0 for one.
    pub deviation: f64,
    /// The least.
    pub min: f64,
    /// Half are at most this.
    pub p50: f64,
    /// Three quarters are at most this.
    pub p75: f64,
    /// 90 % are at most this.
    pub p90: f64,
    /// 95 % are at most this.
    pub p95: f64,
    /// 99 % are at most this.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

/// Figures of some of the traces.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// How many.
    pub count: usize,
    /// How many of them failed.
    pub errors: usize,
    /// How long they took.
    pub durations: Durations,
}

/// Figures of one hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HourStatistics {
    /// When the hour began, in UTC.
    pub hour: Timestamp,
    /// Its figures.
    pub group: Group,
}

/// Figures of all traces, and of groups of them. Without any trace, there are no times and no rates, not zeros.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TraceStatistics {
    /// How many.
    pub count: usize,
    /// How many of them failed.
    pub errors: usize,
    /// The share that did not fail, 0 to 1.
    pub success_rate: Option<f64>,
    /// How long they took.
    pub durations: Option<Durations>,
    /// Times outside of the quartiles by more than 1.5 times their distance, in milliseconds, ascending; none below four traces.
    pub outliers: Vec<f64>,
    /// Errors by type.
    pub errors_by_type: BTreeMap<String, usize>,
    /// By what was done.
    pub by_operation: BTreeMap<String, Group>,
    /// By profile, of the traces that name one.
    pub by_profile: BTreeMap<String, Group>,
    /// By strategy, of the traces that name one.
    pub by_strategy: BTreeMap<String, Group>,
    /// By hour, in order; hours without a trace are not listed.
    pub by_hour: Vec<HourStatistics>,
}

impl TraceStatistics {
    /// Figures of a list of traces.
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
