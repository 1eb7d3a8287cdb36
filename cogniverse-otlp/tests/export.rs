//! What reaches a sink over HTTP and gRPC, and what does not when it is out of order.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod sink;

use cogniverse_foundation::{
    TelemetryConfig,
    telemetry::{SpanKind, TelemetryManager, TelemetryScope, TelemetrySettings},
};
use cogniverse_otlp::{OtlpConfig, OtlpExporter};
use cogniverse_sdk::TenantId;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::ResourceSpans,
};
use sink::{Fault, Sink, text};
use std::{
    collections::{BTreeMap, HashSet},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};
use tonic::{Request, Response, Status};

const SOON: Duration = Duration::from_secs(20);

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn settings() -> TelemetrySettings {
    TelemetrySettings::new().with_export_interval(Duration::from_millis(5)).with_max_backoff(Duration::from_millis(50))
}

fn pipeline(config: OtlpConfig) -> TelemetryManager {
    TelemetryManager::new(settings(), OtlpExporter::new(config).unwrap()).unwrap()
}

#[test]
fn invariant_01_07_each_tenants_spans_are_a_resource_of_their_own() {
    let sink = Sink::start();
    let telemetry = pipeline(OtlpConfig::http(&sink.url).with_api_key("k3y"));
    telemetry
        .configure_tenant(&tenant("globex"), &TelemetryConfig::new().with_project_template("prod ~ {tenant}"))
        .unwrap();
    {
        let span = telemetry.span("video_search", &tenant("acme"));
        span.set_kind(SpanKind::Retriever);
        span.set_attribute("search.top_k", 10);
        span.record_error("NotFound", &"no such thing");
        drop(span.child("encode"));
        drop(telemetry.span("video_search", &tenant("globex")));
        drop(telemetry.system_span("started"));
    }
    telemetry.flush(SOON).unwrap();
    let spans = sink.spans();
    let projects: BTreeMap<String, usize> = spans.iter().fold(BTreeMap::new(), |mut counts, (project, _)| {
        *counts.entry(project.clone()).or_default() += 1;
        counts
    });
    assert_eq!(projects, BTreeMap::from([("acme".into(), 2), ("prod ~ globex".into(), 1), ("system".into(), 1)]));
    let search = &spans.iter().find(|(project, span)| project == "acme" && span.name == "video_search").unwrap().1;
    let encode = &spans.iter().find(|(_, span)| span.name == "encode").unwrap().1;
    assert_eq!((&encode.trace_id, &encode.parent_span_id), (&search.trace_id, &search.span_id));
    assert_eq!(text(&search.attributes, "openinference.span.kind").as_deref(), Some("RETRIEVER"));
    assert_eq!(text(&search.attributes, "search.top_k").as_deref(), Some("10"));
    assert_eq!(search.status.as_ref().unwrap().message, "no such thing");
    assert_eq!(text(&search.events[0].attributes, "exception.type").as_deref(), Some("NotFound"));
    assert!(search.end_time_unix_nano >= search.start_time_unix_nano);
    assert_eq!(sink.taken().authorization.as_deref(), Some("Bearer k3y"));
    assert!(!format!("{:?}", OtlpConfig::http("http://x").with_api_key("k3y")).contains("k3y"));
}

/// 8 threads, 40 tenants, a sink that fails in every way in between: nothing is lost, nothing rides with another tenant.
#[test]
fn invariant_05_under_load_and_retries_no_span_changes_its_tenant() {
    let sink = Sink::start();
    let faults = [
        Fault::Status(500, "internal"),
        Fault::Broken,
        Fault::Status(503, "busy"),
        Fault::TakenAndBroken,
        Fault::Html,
        Fault::Status(401, "Invalid token"),
        Fault::Slow(Duration::from_millis(300)),
        Fault::Status(429, "slow down"),
    ];
    sink.fail(faults.iter().cycle().take(40).cloned());
    let telemetry = pipeline(OtlpConfig::http(&sink.url).with_timeout(Duration::from_millis(200)));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let telemetry = telemetry.clone();
            std::thread::spawn(move || {
                for number in 0..500 {
                    let who = tenant(&format!("t{}", number % 40));
                    drop(telemetry.span(format!("{who} {thread} {number}"), &who));
                    if number % 50 == 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    telemetry.shutdown(SOON).unwrap();
    let spans = sink.spans();
    let distinct: HashSet<&[u8]> = spans.iter().map(|(_, span)| span.span_id.as_slice()).collect();
    assert_eq!(distinct.len(), 4_000);
    assert!(spans.iter().all(|(project, span)| span.name.split(' ').next() == Some(project)));
    let stats = telemetry.stats();
    assert_eq!((stats.exported, stats.dropped, stats.queued), (4_000, 0, 0));
    assert!(stats.failed_exports >= 5, "{stats:?}");
}

#[test]
fn a_sink_that_comes_late_gets_what_waited() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let telemetry = pipeline(OtlpConfig::http(format!("http://{address}")));
    for _ in 0..100 {
        drop(telemetry.span("early", &tenant("acme")));
    }
    let error = telemetry.flush(Duration::from_millis(200)).unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert_eq!(telemetry.stats().queued, 100);
    let sink = Sink::on(TcpListener::bind(address).unwrap());
    telemetry.flush(SOON).unwrap();
    assert_eq!(sink.names_of("acme").len(), 100);
}

/// One tenant's spans are refused for good: they are counted, and the others' arrive.
#[test]
fn refused_spans_are_counted_for_their_tenant() {
    let sink = Sink::start();
    sink.fail([Fault::Status(422, "all together: no"), Fault::Status(422, "the first alone: no")]);
    let telemetry = TelemetryManager::new(
        settings().with_export_interval(Duration::from_secs(60)),
        OtlpExporter::new(OtlpConfig::http(&sink.url)).unwrap(),
    )
    .unwrap();
    for name in ["a", "b", "c"] {
        drop(telemetry.span("work", &tenant(name)));
    }
    telemetry.flush(SOON).unwrap();
    let stats = telemetry.stats();
    assert_eq!((stats.exported, stats.dropped), (2, 1));
    assert_eq!(stats.dropped_by_scope.keys().collect::<Vec<_>>(), [&TelemetryScope::Tenant(tenant("a"))]);
    assert_eq!(sink.spans().len(), 2);
}

#[test]
fn large_batches_are_sent_in_pieces() {
    let sink = Sink::start();
    let telemetry = pipeline(OtlpConfig::http(&sink.url));
    for number in 0..1_500 {
        let span = telemetry.span("wide", &tenant(if number % 3 == 0 { "acme" } else { "globex" }));
        span.set_attribute("text.of.work", "x".repeat(4_000));
    }
    telemetry.flush(SOON).unwrap();
    assert_eq!((sink.names_of("acme").len(), sink.names_of("globex").len()), (500, 1_000));
    assert!(sink.taken().requests >= 2);
}

#[test]
fn wrong_addresses_are_named() {
    for wrong in ["localhost:6006", "http://", "http://user:pass@host:1", "https://phoenix.example", "ftp://x"] {
        let error = OtlpExporter::new(OtlpConfig::http(wrong)).unwrap_err();
        assert!(
            error.to_string().contains("the OTLP collector") && !error.to_string().contains("user:pass"),
            "{wrong}: {error}"
        );
    }
}

type Kept = Arc<Mutex<Vec<ResourceSpans>>>;

#[derive(Debug, Clone, Default)]
struct GrpcSink {
    kept: Kept,
    failures: Arc<Mutex<Vec<Status>>>,
}

#[tonic::async_trait]
impl TraceService for GrpcSink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if let Some(failure) = self.failures.lock().unwrap().pop() {
            return Err(failure);
        }
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer k3y");
        self.kept.lock().unwrap().extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[test]
fn over_grpc_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sink = GrpcSink::default();
    sink.failures.lock().unwrap().extend([Status::unavailable("away"), Status::unauthenticated("no key")]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    runtime
        .spawn(tonic::transport::Server::builder().add_service(TraceServiceServer::new(sink.clone())).serve(address));
    let config = TelemetryConfig::new().with_otlp_endpoint(address.to_string());
    let telemetry = pipeline(OtlpConfig::of(&config).with_api_key("k3y"));
    for name in ["acme", "globex", "acme"] {
        drop(telemetry.span("work", &tenant(name)));
    }
    telemetry.flush(SOON).unwrap();
    let kept = sink.kept.lock().unwrap();
    let counts: BTreeMap<String, usize> = kept.iter().fold(BTreeMap::new(), |mut counts, resource| {
        let project = text(&resource.resource.as_ref().unwrap().attributes, "openinference.project.name").unwrap();
        *counts.entry(project).or_default() += resource.scope_spans[0].spans.len();
        counts
    });
    assert_eq!(counts, BTreeMap::from([("acme".into(), 2), ("globex".into(), 1)]));
    assert!(telemetry.stats().failed_exports >= 2);
}

/// Collectors that take the spans and say so in their own way have taken them: none is sent again.
#[test]
fn whatever_says_taken_is_taken_once() {
    let sink = Sink::start();
    let answers = [
        Fault::Taken(202, "text/plain", "accepted"),
        Fault::Taken(204, "", ""),
        Fault::Taken(200, "application/json", "{}"),
        Fault::Taken(
            200,
            "application/json; charset=utf-8",
            r#"{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "x"}}"#,
        ),
        Fault::Taken(201, "application/json", r#"{"status": "ok"}"#),
    ];
    let count = answers.len();
    sink.fail(answers);
    let telemetry = pipeline(OtlpConfig::http(&sink.url));
    for number in 0..count {
        drop(telemetry.span(format!("span {number}"), &tenant("acme")));
        telemetry.flush(SOON).unwrap();
    }
    telemetry.shutdown(SOON).unwrap();
    assert_eq!((sink.names_of("acme").len(), sink.taken().requests), (count, count));
    let stats = telemetry.stats();
    assert_eq!((stats.exported, stats.failed_exports, stats.queued), (count as u64, 0, 0), "{stats:?}");
}
