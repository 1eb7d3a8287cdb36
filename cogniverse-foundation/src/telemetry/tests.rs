#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use super::*;
use crate::TelemetryConfig;
use cogniverse_sdk::{Error, ErrorKind, TenantId};
use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(10);

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn pipeline(settings: TelemetrySettings) -> (TelemetryManager, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::new();
    (TelemetryManager::new(settings, exporter.clone()).unwrap(), exporter)
}

fn quick() -> TelemetrySettings {
    TelemetrySettings::new().with_export_interval(Duration::from_millis(5)).with_max_backoff(Duration::from_millis(20))
}

/// Does what it is told: waits at a gate, fails so often, refuses a project.
#[derive(Debug, Clone, Default)]
struct Scripted {
    taken: InMemorySpanExporter,
    script: Arc<(Mutex<Script>, Condvar)>,
}

#[derive(Debug, Default)]
struct Script {
    shut: bool,
    inside: bool,
    failures: usize,
    refuse: Option<String>,
    panics: usize,
}

impl Scripted {
    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.0.lock());
        self.script.1.notify_all();
    }

    fn wait_until_inside(&self) {
        let mut script = self.script.0.lock();
        while !script.inside {
            assert!(!self.script.1.wait_for(&mut script, SOON).timed_out());
        }
    }
}

impl SpanExporter for Scripted {
    fn export(&mut self, batches: &[ScopeBatch]) -> Result<(), ExportError> {
        let mut script = self.script.0.lock();
        script.inside = true;
        self.script.1.notify_all();
        while script.shut {
            self.script.1.wait(&mut script);
        }
        script.inside = false;
        if script.panics > 0 {
            script.panics -= 1;
            drop(script);
            panic!("as the script says");
        }
        if script.failures > 0 {
            script.failures -= 1;
            return Err(ExportError::Retry { after: None, error: Error::new(ErrorKind::Unavailable, "away") });
        }
        if batches.iter().any(|batch| Some(&batch.project) == script.refuse.as_ref()) {
            return Err(ExportError::Refused(Error::invalid("a span it cannot read")));
        }
        drop(script);
        self.taken.export(batches)
    }
}

#[test]
fn invariant_07_a_trace_never_joins_two_tenants() {
    let (telemetry, exporter) = pipeline(quick());
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    {
        let outer = telemetry.span("outer", &acme);
        let _entered = outer.enter();
        drop(telemetry.span("inner", &acme));
        drop(telemetry.span("foreign", &globex));
        drop(telemetry.system_span("ours"));
        // A context that came in for another tenant, or for nobody, is not continued.
        let context = outer.context().unwrap();
        let (parent, state) = (context.traceparent(), context.tracestate());
        let claimed = TraceContext::parse(&parent, Some(&format!("other=1, {state}"))).unwrap();
        drop(telemetry.span_in("continued", &acme, &claimed));
        drop(telemetry.span_in("not continued", &globex, &claimed));
        drop(telemetry.span_in("nobody's", &acme, &TraceContext::parse(&parent, None).unwrap()));
    }
    telemetry.flush(SOON).unwrap();
    let acme_spans = exporter.spans_of("acme");
    let named = |name: &str| acme_spans.iter().find(|span| span.name == name).unwrap();
    let outer = named("outer");
    assert_eq!((named("inner").trace_id, named("inner").parent_id), (outer.trace_id, Some(outer.span_id)));
    assert_eq!((named("continued").trace_id, named("continued").parent_id), (outer.trace_id, Some(outer.span_id)));
    assert_ne!(named("nobody's").trace_id, outer.trace_id);
    let others = [exporter.spans_of("globex"), exporter.spans_of("system")].concat();
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|span| span.trace_id != outer.trace_id && span.parent_id.is_none()));
    // Sessions, and a tenant with the name of our own project.
    assert_ne!(session_id(&acme, "s1"), session_id(&globex, "s1"));
    drop(telemetry.span("x", &tenant("system")));
    telemetry.flush(SOON).unwrap();
    assert_eq!((exporter.spans_of("system").len(), exporter.spans_of("tenant ~ system").len()), (1, 1));
}

#[test]
fn what_people_said_needs_permission() {
    let (telemetry, exporter) = pipeline(quick());
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    telemetry.configure_tenant(&globex, &TelemetryConfig::new().with_record_query_text(true)).unwrap();
    for tenant in [&acme, &globex] {
        let span = telemetry.span("video_search", tenant);
        span.set_attribute("input.value", "secret plans");
        span.set_attribute("retrieval.documents.0.document.content", "what was found");
        span.set_attribute("retrieval.documents.0.document.id", "v/1");
        span.set_attribute("session.id", "s1");
        span.add_event("said", vec![("input.value".into(), "secret plans".into())]);
    }
    telemetry.flush(SOON).unwrap();
    let (plain, allowed) = (exporter.spans_of("acme").remove(0), exporter.spans_of("globex").remove(0));
    assert!(!format!("{plain:?}").contains("secret") && !format!("{plain:?}").contains("what was found"));
    assert_eq!(plain.attribute("retrieval.documents.0.document.id").unwrap().as_str(), Some("v/1"));
    assert_eq!(plain.attribute("session.id").unwrap().as_str(), Some("acme/s1"));
    assert_eq!(allowed.attribute("session.id").unwrap().as_str(), Some("globex/s1"));
    assert_eq!(allowed.attribute("input.value").unwrap().as_str(), Some("secret plans"));
    // Off for one tenant.
    telemetry.configure_tenant(&acme, &TelemetryConfig::new().with_enabled(false)).unwrap();
    assert!(!telemetry.span("x", &acme).is_recording());
    telemetry.configure_tenant(&acme, &TelemetryConfig::new().with_project_template("prod ~ {tenant}")).unwrap();
    drop(telemetry.span("x", &acme));
    telemetry.flush(SOON).unwrap();
    assert_eq!((exporter.spans_of("acme").len(), exporter.spans_of("prod ~ acme").len()), (1, 1));
}

#[test]
fn attributes_events_and_texts_are_bounded() {
    let (telemetry, exporter) = pipeline(quick());
    let span = telemetry.span("wide", &tenant("acme"));
    for number in 0..1_000 {
        span.set_attribute(format!("key.{number}"), number);
        span.add_event("tick", Vec::new());
    }
    span.set_attribute("key.0", "é".repeat(10_000));
    drop(span);
    telemetry.flush(SOON).unwrap();
    let span = exporter.spans_of("acme").remove(0);
    assert_eq!((span.attributes.len(), span.events.len(), span.left_out), (256, 64, 744 + 936));
    assert!(span.attribute("key.0").unwrap().as_str().unwrap().len() <= 4096 + '…'.len_utf8());
}

#[tokio::test]
async fn work_in_a_span_nests_over_awaits_and_records_its_error() {
    let (telemetry, exporter) = pipeline(quick());
    let acme = tenant("acme");
    let work = telemetry.in_span("outer", &acme, |span| {
        let (telemetry, acme) = (telemetry.clone(), acme.clone());
        async move {
            span.set_attribute("n", 1);
            tokio::task::yield_now().await;
            telemetry.in_span("inner", &acme, |_| async { Err::<(), _>(Error::invalid("no good")) }).await
        }
    });
    // Beside it, on the same thread, another tenant's.
    let beside = telemetry.in_span("beside", &acme, |_| async {
        tokio::task::yield_now().await;
        Ok::<_, Error>(())
    });
    let (result, _) = tokio::join!(work, beside);
    assert!(result.is_err());
    telemetry.flush(SOON).unwrap();
    let spans = exporter.spans_of("acme");
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(named("inner").parent_id, Some(named("outer").span_id));
    assert_eq!(named("beside").parent_id, None);
    assert!(matches!(&named("inner").status, SpanStatus::Error(message) if message.contains("no good")));
    assert!(named("inner").events.iter().any(|event| event.name == "exception"));
}

#[test]
fn invariant_23_24_a_flood_pushes_out_its_own_spans_only() {
    let exporter = Scripted::default();
    exporter.change(|script| script.shut = true);
    let settings = quick().with_bounds(1_000, 100);
    let telemetry = TelemetryManager::new(settings, exporter.clone()).unwrap();
    let noisy = tenant("noisy");
    for _ in 0..10_000 {
        drop(telemetry.span("flood", &noisy));
    }
    for quiet in 0..10 {
        for _ in 0..50 {
            drop(telemetry.span("work", &tenant(&format!("quiet{quiet}"))));
        }
    }
    for _ in 0..10_000 {
        drop(telemetry.span("flood", &noisy));
    }
    let stats = telemetry.stats();
    assert!(stats.queued <= 1_000, "{stats:?}");
    exporter.change(|script| script.shut = false);
    telemetry.flush(SOON).unwrap();
    for quiet in 0..10 {
        assert_eq!(exporter.taken.spans_of(&format!("quiet{quiet}")).len(), 50);
    }
    let stats = telemetry.stats();
    let kept = exporter.taken.spans_of("noisy").len() as u64;
    assert_eq!(stats.dropped_by_scope, BTreeMap::from([(TelemetryScope::Tenant(noisy), 20_000 - kept)]));
    assert_eq!((stats.dropped, stats.exported), (20_000 - kept, kept + 500));
    assert!(kept >= 100, "{kept}");
}

#[test]
fn a_sink_that_is_away_loses_nothing_within_the_bound() {
    let exporter = Scripted::default();
    exporter.change(|script| script.failures = 5);
    let telemetry = TelemetryManager::new(quick(), exporter.clone()).unwrap();
    for _ in 0..100 {
        drop(telemetry.span("work", &tenant("acme")));
    }
    telemetry.flush(SOON).unwrap();
    let stats = telemetry.stats();
    assert_eq!((stats.exported, stats.dropped, stats.last_error), (100, 0, None));
    assert!(stats.failed_exports >= 5);
    // For good: the flush says why, and the spans are kept until the end, which is bounded.
    exporter.change(|script| script.failures = usize::MAX);
    drop(telemetry.span("work", &tenant("acme")));
    let error = telemetry.flush(Duration::from_millis(200)).unwrap_err();
    assert!(error.kind() == ErrorKind::Timeout && error.to_string().contains("away"), "{error}");
    let began = Instant::now();
    assert!(telemetry.shutdown(Duration::from_millis(200)).is_err());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((telemetry.stats().dropped, telemetry.stats().queued), (1, 0));
    // After the end: no panic, counted.
    drop(telemetry.span("late", &tenant("acme")));
    assert_eq!(telemetry.stats().dropped, 2);
    assert!(telemetry.flush(Duration::from_millis(50)).is_ok());
}

#[test]
fn spans_that_nobody_takes_hold_up_no_others() {
    let exporter = Scripted::default();
    exporter.change(|script| {
        script.refuse = Some("bad".to_owned());
        script.panics = 1;
    });
    let telemetry = TelemetryManager::new(quick().with_export_interval(SOON), exporter.clone()).unwrap();
    for name in ["acme", "bad", "globex"] {
        drop(telemetry.span("work", &tenant(name)));
    }
    telemetry.flush(SOON).unwrap();
    assert_eq!((exporter.taken.spans_of("acme").len(), exporter.taken.spans_of("globex").len()), (1, 1));
    let stats = telemetry.stats();
    assert_eq!(stats.dropped_by_scope.into_iter().collect::<Vec<_>>(), [(TelemetryScope::Tenant(tenant("bad")), 1)]);
}

/// An interval that no instant can hold ends no thread, and does not mean "at once".
#[test]
fn an_endless_interval_waits_for_a_flush() {
    let (telemetry, exporter) = pipeline(TelemetrySettings::new().with_export_interval(Duration::MAX));
    drop(telemetry.span("work", &tenant("acme")));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(exporter.spans_of("acme").len(), 0);
    telemetry.flush(Duration::MAX).unwrap();
    assert_eq!(exporter.spans_of("acme").len(), 1);
}

#[test]
fn invariant_04_a_closed_tenant_sends_nothing_more() {
    let exporter = Scripted::default();
    exporter.change(|script| script.shut = true);
    let telemetry = TelemetryManager::new(quick(), exporter.clone()).unwrap();
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let under_way = telemetry.span("ends late", &acme);
    drop(telemetry.span("in flight", &acme));
    exporter.wait_until_inside();
    for _ in 0..10 {
        drop(telemetry.span("queued", &acme));
        drop(telemetry.span("queued", &globex));
    }
    // An export that holds the tenant's spans is on its way: closing waits, and says so when it has waited enough.
    assert_eq!(telemetry.close_tenant(&acme, Duration::from_millis(50)).unwrap_err().kind(), ErrorKind::Timeout);
    // It comes back with an error: what is tried again is without the tenant.
    exporter.change(|script| {
        script.failures = 3;
        script.shut = false;
    });
    telemetry.close_tenant(&acme, SOON).unwrap();
    drop(under_way);
    drop(telemetry.span("later", &acme));
    telemetry.flush(SOON).unwrap();
    assert_eq!((exporter.taken.spans_of("acme").len(), exporter.taken.spans_of("globex").len()), (0, 10));
    assert_eq!(telemetry.stats().dropped_by_scope[&TelemetryScope::Tenant(acme.clone())], 13);
    telemetry.reopen_tenant(&acme);
    drop(telemetry.span("new", &acme));
    telemetry.flush(SOON).unwrap();
    assert_eq!(exporter.taken.spans_of("acme").len(), 1);
}

#[test]
fn off_is_off() {
    let telemetry = TelemetryManager::disabled();
    let span = telemetry.span("x", &tenant("acme"));
    span.set_attribute("a", 1);
    span.record_error("e", &"message");
    let _entered = span.enter();
    assert!(!span.is_recording() && span.child("y").context().is_none());
    assert_eq!(telemetry.stats(), TelemetryStats::default());
    telemetry.flush(SOON).unwrap();
    telemetry.shutdown(SOON).unwrap();
}

#[test]
fn the_last_owner_waits_for_the_last_export() {
    let (telemetry, exporter) = pipeline(TelemetrySettings::new().with_export_interval(Duration::from_secs(60)));
    let detached = telemetry.detached();
    drop(detached.span("x", &tenant("acme")));
    drop(telemetry);
    assert_eq!(exporter.spans_of("acme").len(), 1);
    drop(detached.span("late", &tenant("acme")));
    assert_eq!(detached.stats().dropped, 1);
}

#[test]
fn ids_differ_between_threads() {
    let ids = || (0..2_000).map(|_| TraceId::random()).collect::<Vec<_>>();
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(ids)).collect();
    let all: BTreeSet<TraceId> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(all.len(), 16_000);
    let id = *all.first().unwrap();
    assert_eq!(TraceId::from_hex(&id.to_string()), Some(id));
    for wrong in ["", "00", "zz", &"0".repeat(32), &"A".repeat(32), &"1".repeat(31)] {
        assert_eq!(TraceId::from_hex(wrong), None, "{wrong}");
    }
    for wrong in ["", "00-x-y-01", "01-1-1-01", &format!("00-{id}-{}-01-x", SpanId::random())] {
        assert_eq!(TraceContext::parse(wrong, None), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_span_changes_its_owner_or_is_counted_twice(
        pushes in prop::collection::vec((0u8..6, 1usize..40), 1..60), limit in 1usize..50, batch in 1usize..20,
    ) {
        let (telemetry, _) = pipeline(TelemetrySettings::new());
        let names: Vec<TenantId> = (0..6).map(|n| tenant(&format!("t{n}"))).collect();
        let mut queue = queue::FairQueue::new(limit, 100);
        let (mut pushed, mut taken) = (0, 0);
        for (who, count) in pushes {
            for _ in 0..count {
                let span = telemetry.span("x", &names[usize::from(who)]);
                let scope = span.scope().unwrap().clone();
                queue.push(record_of(&scope));
                pushed += 1;
                prop_assert!(queue.len() + queue.in_flight() <= limit);
            }
            let batches = queue.take(batch, |scope| scope.to_string());
            let size: usize = batches.iter().map(|b| b.spans.len()).sum();
            prop_assert!(size <= batch);
            let scopes: BTreeSet<_> = batches.iter().map(|b| b.scope.clone()).collect();
            prop_assert_eq!(scopes.len(), batches.len());
            for one in &batches {
                prop_assert!(one.spans.iter().all(|span| span.scope == one.scope) && one.project == one.scope.to_string());
            }
            taken += size;
            queue.settle(size);
        }
        prop_assert_eq!(pushed, taken + queue.len() + usize::try_from(queue.dropped()).unwrap());
        prop_assert_eq!(queue.dropped(), queue.dropped_by_scope().values().sum::<u64>());
    }
}

fn record_of(scope: &TelemetryScope) -> SpanRecord {
    SpanRecord {
        scope: scope.clone(),
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        parent_id: None,
        name: "x".into(),
        kind: SpanKind::Unset,
        start: 0,
        end: 1,
        attributes: Vec::new(),
        events: Vec::new(),
        status: SpanStatus::Unset,
        left_out: 0,
    }
}
