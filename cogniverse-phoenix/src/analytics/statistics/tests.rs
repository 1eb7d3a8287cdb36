#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

use super::*;
use cogniverse_sdk::telemetry_provider::{SpanEvent, SpanId, TraceId};
use proptest::prelude::*;

fn trace(start: i64, milliseconds: f64, operation: &str, error: Option<&str>) -> TraceMetrics {
    TraceMetrics {
        start: Timestamp::from_second(start).unwrap(),
        milliseconds,
        operation: operation.to_owned(),
        error: error.map(str::to_owned),
        profile: None,
        strategy: Some("phased".to_owned()),
    }
}

#[test]
fn hand_computed() {
    let traces: Vec<_> =
        (1..=10).map(|n| trace(n * 600, n as f64 * 10.0, "search", (n == 3).then_some("Timeout"))).collect();
    let statistics = TraceStatistics::of(&traces);
    let durations = statistics.durations.unwrap();
    assert_eq!((statistics.count, statistics.errors, statistics.success_rate), (10, 1, Some(0.9)));
    assert_eq!((durations.mean, durations.min, durations.max), (55.0, 10.0, 100.0));
    assert_eq!((durations.p50, durations.p75, durations.p90), (55.0, 77.5, 91.0));
    assert!((durations.p95 - 95.5).abs() < 1e-9 && (durations.p99 - 99.1).abs() < 1e-9);
    assert!((durations.deviation - 30.276_503_540_974_915).abs() < 1e-9);
    assert_eq!(statistics.errors_by_type, BTreeMap::from([("Timeout".to_owned(), 1)]));
    assert_eq!(statistics.by_hour.iter().map(|hour| hour.group.count).collect::<Vec<_>>(), [5, 5]);
    assert_eq!(statistics.by_strategy["phased"].count, 10);
    assert!(statistics.by_profile.is_empty() && statistics.outliers.is_empty());
}

#[test]
fn outliers_need_four_and_stand_outside_of_the_quartiles() {
    let times = |times: &[f64]| times.iter().map(|time| trace(0, *time, "x", None)).collect::<Vec<_>>();
    assert_eq!(TraceStatistics::of(&times(&[1.0, 1.0, 1000.0])).outliers, [] as [f64; 0]);
    assert_eq!(TraceStatistics::of(&times(&[10.0, 11.0, 12.0, 13.0, 1000.0])).outliers, [1000.0]);
}

#[test]
fn nothing_is_nothing_and_not_zero() {
    let statistics = TraceStatistics::of(&[]);
    assert_eq!((statistics.count, statistics.success_rate, statistics.durations), (0, None, None));
    assert!(!serde_json::to_string(&statistics).unwrap().contains("NaN"));
}

#[test]
fn a_trace_is_its_first_span() {
    let (start, end) = (Timestamp::from_millisecond(1_000).unwrap(), Timestamp::from_millisecond(1_250).unwrap());
    let ids = || (TraceId::parse("aa").unwrap(), SpanId::parse("bb").unwrap());
    let exception = SpanEvent::new("exception", end, BTreeMap::from([("exception.type".to_owned(), "Timeout".into())]));
    let (trace_id, span_id) = ids();
    let failed = Span::new(trace_id, span_id, "search", start, end)
        .with_status(SpanStatus::Error, "too late")
        .with_event(exception)
        .with_attribute("search.profiles", "p");
    let metrics = TraceMetrics::of(&failed);
    assert_eq!(
        (metrics.milliseconds, metrics.error.as_deref(), metrics.profile.as_deref()),
        (250.0, Some("Timeout"), Some("p"))
    );
    // An end before the start, as clocks may have it, is no negative time; a status that nobody set is no error.
    let (trace_id, span_id) = ids();
    let metrics = TraceMetrics::of(&Span::new(trace_id, span_id, "x", end, start).with_status(SpanStatus::Unset, ""));
    assert_eq!((metrics.milliseconds, metrics.error), (0.0, None));
}

proptest! {
    #[test]
    fn percentiles_agree_with_their_definition(times in prop::collection::vec(0.0f64..1e6, 1..200), share in 0.0f64..=1.0) {
        let mut sorted = times;
        sorted.sort_by(f64::total_cmp);
        let value = percentile(&sorted, share);
        let below = sorted.iter().filter(|time| **time <= value + 1e-9).count() as f64;
        let above = sorted.iter().filter(|time| **time >= value - 1e-9).count() as f64;
        let count = sorted.len() as f64;
        prop_assert!(below >= (share * (count - 1.0)).floor() + 1.0 && above >= ((1.0 - share) * (count - 1.0)).floor() + 1.0);
    }

    #[test]
    fn groups_add_up(traces in prop::collection::vec((0i64..100_000, 0.0f64..1e4, 0u8..4, prop::bool::ANY), 0..100)) {
        let traces: Vec<_> = traces.into_iter().map(|(at, ms, op, bad)| trace(at, ms, &format!("op{op}"), bad.then_some("E"))).collect();
        let statistics = TraceStatistics::of(&traces);
        prop_assert_eq!(statistics.by_operation.values().map(|group| group.count).sum::<usize>(), traces.len());
        prop_assert_eq!(statistics.by_hour.iter().map(|hour| hour.group.count).sum::<usize>(), traces.len());
        prop_assert_eq!(statistics.by_operation.values().map(|group| group.errors).sum::<usize>(), statistics.errors);
        prop_assert!(statistics.by_hour.windows(2).all(|pair| pair[0].hour < pair[1].hour));
        for group in statistics.by_operation.values() {
            let d = group.durations;
            prop_assert!(d.min <= d.p50 && d.p50 <= d.p75 && d.p75 <= d.p90 && d.p90 <= d.p95 && d.p95 <= d.p99 && d.p99 <= d.max);
        }
    }
}
