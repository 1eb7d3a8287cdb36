//! From `tracing` to the tenants' projects.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_foundation::{
    TelemetryConfig,
    telemetry::{InMemorySpanExporter, SpanKind, SpanStatus, TelemetryManager, TelemetrySettings},
};
use cogniverse_otlp::{OTHER, TenantLayer, TenantMetrics};
use cogniverse_sdk::TenantId;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData},
};
use std::{sync::Arc, time::Duration};
use tracing::{Instrument, debug_span, error, info, info_span, subscriber::with_default};
use tracing_subscriber::layer::SubscriberExt;

const SOON: Duration = Duration::from_secs(10);

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn recorded(work: impl FnOnce(&TelemetryManager)) -> (TelemetryManager, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::new();
    let telemetry = TelemetryManager::new(TelemetrySettings::new(), exporter.clone()).unwrap();
    let layer = TenantLayer::new(&telemetry).with_target("layer");
    with_default(tracing_subscriber::registry().with(layer), || work(&telemetry));
    telemetry.flush(SOON).unwrap();
    (telemetry, exporter)
}

#[test]
fn invariant_01_spans_reach_the_tenant_that_they_or_their_parents_name() {
    let (telemetry, exporter) = recorded(|telemetry| {
        let search =
            info_span!("search", tenant.id = "acme", openinference.span.kind = "AGENT", hits = tracing::field::Empty);
        search.in_scope(|| {
            info_span!("step").in_scope(|| {
                drop(info_span!("deeper", n = 3));
                // The caller's own spans hang under the library's.
                drop(telemetry.span("manual", &tenant("acme")));
            });
            drop(info_span!("ours", tenant.id = ""));
            drop(info_span!("foreign", tenant.id = "globex"));
            info!(found = 2, "half way");
            error!(exception.r#type = "Timeout", "too late");
        });
        search.record("hits", 7);
        // Names nobody: counted, not exported. So is a tenant id that is none.
        info_span!("unscoped").in_scope(|| drop(info_span!("unscoped too")));
        drop(info_span!("wrong", tenant.id = "no/tenant"));
        drop(debug_span!("small", tenant.id = "acme"));
        drop(info_span!(target: "somebody_else", "not asked for", tenant.id = "acme"));
    });
    let spans = exporter.spans_of("acme");
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}"));
    let search = named("search");
    assert_eq!(named("step").parent_id, Some(search.span_id));
    assert_eq!(named("deeper").parent_id, Some(named("step").span_id));
    assert_eq!(named("manual").parent_id, Some(named("step").span_id));
    assert_eq!((search.kind, search.attribute("hits")), (SpanKind::Agent, Some(&7.into())));
    assert_eq!(search.status, SpanStatus::Error("too late".into()));
    assert_eq!(search.events.iter().map(|event| event.name.as_ref()).collect::<Vec<_>>(), ["half way", "exception"]);
    assert_eq!(spans.len(), 4);
    let others = [exporter.spans_of("globex"), exporter.spans_of("system")].concat();
    assert_eq!(others.len(), 2);
    assert!(others.iter().all(|span| span.trace_id != search.trace_id && span.parent_id.is_none()));
    assert_eq!(telemetry.stats().unscoped, 3);
}

#[test]
fn documents_are_spread_and_their_texts_need_permission() {
    let (_, exporter) = recorded(|telemetry| {
        telemetry.configure_tenant(&tenant("open"), &TelemetryConfig::new().with_record_query_text(true)).unwrap();
        for name in ["shy", "open"] {
            let span = info_span!(
                "retrieve",
                tenant.id = name,
                input.value = "secret",
                retrieval.documents = tracing::field::Empty
            );
            span.record(
                "retrieval.documents",
                r#"[{"id": "v/1", "score": 0.5, "content": "secret too"}, {"id": "v/2"}]"#,
            );
        }
    });
    let (shy, open) = (exporter.spans_of("shy").remove(0), exporter.spans_of("open").remove(0));
    assert!(!format!("{shy:?}").contains("secret"));
    assert_eq!(shy.attribute("retrieval.documents.0.document.score"), Some(&0.5.into()));
    assert_eq!(shy.attribute("retrieval.documents.1.document.id"), Some(&"v/2".into()));
    assert_eq!(open.attribute("retrieval.documents.0.document.content"), Some(&"secret too".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_of_tenants_at_once_over_awaits() {
    let exporter = InMemorySpanExporter::new();
    let telemetry = TelemetryManager::new(TelemetrySettings::new(), exporter.clone()).unwrap();
    let subscriber = tracing_subscriber::registry().with(TenantLayer::new(&telemetry).with_target("layer"));
    let dispatch = tracing::Dispatch::new(subscriber);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let work = async move {
                let span = info_span!("outer", tenant.id = format!("t{number}"));
                async {
                    for _ in 0..5 {
                        tokio::task::yield_now().await;
                        async { tokio::task::yield_now().await }.instrument(info_span!("inner")).await;
                    }
                }
                .instrument(span)
                .await;
            };
            tokio::spawn(tracing::instrument::WithSubscriber::with_subscriber(work, dispatch.clone()))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    tokio::task::spawn_blocking(move || telemetry.flush(SOON)).await.unwrap().unwrap();
    for number in 0..200 {
        let spans = exporter.spans_of(&format!("t{number}"));
        assert_eq!(spans.len(), 6);
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
    }
}

#[test]
fn requests_errors_and_times_are_measured_per_tenant() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let metrics = Arc::new(TenantMetrics::new(&provider.meter("test"), 2));
    let telemetry = TelemetryManager::observed(TelemetrySettings::new(), InMemorySpanExporter::new(), metrics).unwrap();
    for name in ["acme", "acme", "globex", "third", "fourth"] {
        let span = telemetry.span("search", &tenant(name));
        span.set_kind(SpanKind::Agent);
        if name == "globex" {
            span.record_error("Timeout", &"late");
        }
        // A step is no request.
        drop(span.child("step"));
    }
    provider.force_flush().unwrap();
    let finished = exporter.get_finished_metrics().unwrap();
    let sum = |name: &str, label: &str| -> u64 {
        let metrics = finished.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics());
        let AggregatedMetrics::U64(MetricData::Sum(sum)) =
            metrics.into_iter().find(|m| m.name() == name).unwrap().data()
        else {
            panic!("{name} is no sum")
        };
        let points = sum.data_points().filter(|point| point.attributes().any(|pair| pair.value.as_str() == label));
        points.map(|point| point.value()).sum()
    };
    assert_eq!(["acme", "globex", OTHER].map(|label| sum("cogniverse.requests", label)), [2, 1, 2]);
    assert_eq!(["acme", "globex"].map(|label| sum("cogniverse.errors", label)), [0, 1]);
}
