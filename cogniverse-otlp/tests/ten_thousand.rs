//! 10,000 tenants with 10 spans each, to a sink: one thread more, and memory that is bounded. Alone in its process, so that
//! the figures are its own.

#![allow(clippy::unwrap_used, reason = "a test asserts")]

mod sink;

use cogniverse_foundation::telemetry::{TelemetryManager, TelemetrySettings};
use cogniverse_otlp::{OtlpConfig, OtlpExporter};
use cogniverse_sdk::TenantId;
use std::time::Duration;

/// A figure of /proc/self/status: threads, or KiB.
fn figure(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok())
}

#[test]
fn one_thread_and_bounded_memory_for_ten_thousand_tenants() {
    let sink = sink::Sink::start();
    // What the sink itself keeps would be counted as ours: it throws away at once.
    let (Some(threads), Some(before)) = (figure("Threads"), figure("VmRSS")) else {
        eprintln!("skipped: /proc tells nothing here");
        return;
    };
    let telemetry = TelemetryManager::new(
        TelemetrySettings::new().with_export_interval(Duration::from_millis(50)),
        OtlpExporter::new(OtlpConfig::http(&sink.url)).unwrap(),
    )
    .unwrap();
    let tenants: Vec<TenantId> = (0..10_000).map(|n| TenantId::parse(format!("tenant-{n}")).unwrap()).collect();
    let mut taken = 0;
    for _ in 0..10 {
        for tenant in &tenants {
            let span = telemetry.span("video_search", tenant);
            span.set_attribute("profile", "video_text_minilm_mv_segment");
            span.set_attribute("search.top_k", 10);
        }
        // The sink's own connection thread is one more; the pipeline's worker the other.
        assert!(figure("Threads").unwrap() <= threads + 2);
        telemetry.flush(Duration::from_secs(30)).unwrap();
        let resources = std::mem::take(&mut sink.taken().resources);
        taken += resources.iter().flat_map(|r| &r.scope_spans).map(|scope| scope.spans.len()).sum::<usize>();
    }
    let stats = telemetry.stats();
    assert_eq!((taken, stats.exported, stats.dropped), (100_000, 100_000, 0));
    let grown = (figure("VmHWM").unwrap() - before) / 1024;
    println!("100,000 spans of 10,000 tenants: at most {grown} MiB more, sink included");
    assert!(grown < 150, "{grown} MiB");
}
