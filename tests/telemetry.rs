//! The library's own spans: in the project of the tenant that the work was for, and nowhere else.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    SearchRequest,
    config::TelemetryConfig,
    encoders::HashEncoder,
    memory::{MemoryQuery, Remember},
    sdk::{AgentId, MemoryScope, VectorKind},
    telemetry::{InMemorySpanExporter, SpanKind, SpanRecord, SpanStatus, TelemetryManager, TelemetrySettings},
};
use cogniverse_otlp::TenantLayer;
use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::{
    Event, Id,
    field::{Field, Visit},
    instrument::WithSubscriber,
    span::{Attributes, Record},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};
use world::{Probe, TEXT, World, profile, strategy, tenant};

const SOON: Duration = Duration::from_secs(10);

/// Runs work on a world whose spans are kept, with the probe as encoder.
async fn traced<F: Future<Output = World> + Send + 'static>(
    work: impl FnOnce(World) -> F,
) -> (InMemorySpanExporter, TelemetryManager, Log) {
    let exporter = InMemorySpanExporter::new();
    let telemetry = TelemetryManager::new(TelemetrySettings::new(), exporter.clone()).unwrap();
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(TenantLayer::new(&telemetry)).with(log.clone());
    let wired = telemetry.clone();
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&["acme", "globex"], |builder| {
        builder.telemetry(wired).encoder("probe", Probe::new(384)).text_embedder(embedder)
    })
    .await;
    // On a task of its own, whose subscriber is ours, so that tests may run at once.
    let world = tokio::spawn(work(world).with_subscriber(subscriber)).await.unwrap();
    drop(world);
    let flushed = telemetry.clone();
    tokio::task::spawn_blocking(move || flushed.flush(SOON)).await.unwrap().unwrap();
    (exporter, telemetry, log)
}

/// What any other subscriber gets to read: every field of every span and event.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{}={value:?}", field.name()).unwrap();
    }
}

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        attributes.record(&mut self.clone());
    }
    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

fn named<'a>(spans: &'a [SpanRecord], name: &str) -> &'a SpanRecord {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}: {spans:?}"))
}

fn text<'a>(span: &'a SpanRecord, key: &str) -> &'a str {
    span.attribute(key).and_then(|value| value.as_str()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_01_07_searches_and_ingests_are_traced_for_their_tenant() {
    let (exporter, telemetry, log) = traced(|world| async move {
        world.set_encoder("acme", "probe").await;
        world.set_encoder("globex", "probe").await;
        let config = world.cogniverse.operator().config();
        config
            .set_telemetry_config(&tenant("globex"), TelemetryConfig::new().with_record_query_text(true))
            .await
            .unwrap();
        for name in ["acme", "globex"] {
            world.ingest(name, &[("v", 0.0, 10.0, &format!("the secret of {name}"))]).await;
            let request = SearchRequest::new(tenant(name), profile(TEXT), format!("secret of {name}"))
                .with_strategy(strategy("phased"));
            assert_eq!(world.cogniverse.search(request).await.unwrap().results.len(), 1);
        }
        world
    })
    .await;
    for name in ["acme", "globex"] {
        let spans = exporter.spans_of(name);
        let (search, retrieve, encode) = (
            named(&spans, "cogniverse.search"),
            named(&spans, "cogniverse.search.retrieve"),
            named(&spans, "cogniverse.search.encode"),
        );
        assert_eq!(
            [search.kind, retrieve.kind, encode.kind],
            [SpanKind::Agent, SpanKind::Retriever, SpanKind::Embedding]
        );
        assert_eq!((retrieve.parent_id, encode.parent_id), (Some(search.span_id), Some(retrieve.span_id)));
        assert_eq!(
            (text(retrieve, "profile"), text(retrieve, "strategy"), text(retrieve, "schema")),
            (TEXT, "phased", TEXT)
        );
        assert!(retrieve.attribute("config.version").is_some());
        assert_eq!(search.attribute("search.hits"), Some(&1.into()));
        assert_eq!(text(retrieve, "retrieval.documents.0.document.id"), "v/0");
        assert!(retrieve.attribute("retrieval.documents.0.document.score").is_some());
        assert_eq!(text(encode, "embedding.model_name"), "hash-384");
        let ingest = named(&spans, "cogniverse.ingest");
        assert_eq!((ingest.kind, ingest.attribute("ingest.stored")), (SpanKind::Chain, Some(&1.into())));
        assert_eq!(named(&spans, "cogniverse.ingest.encode").parent_id, Some(ingest.span_id));
    }
    // What was asked and found is recorded for the tenant that allows it, and for nobody else.
    let (acme, globex) = (exporter.spans_of("acme"), exporter.spans_of("globex"));
    assert!(!format!("{acme:?}").contains("secret"));
    let read = log.0.lock().unwrap().clone();
    assert!(
        read.contains("secret of globex") && !read.contains("secret of acme"),
        "a log reads what the tenant does not allow"
    );
    assert_eq!(text(named(&globex, "cogniverse.search"), "input.value"), "secret of globex");
    assert_eq!(
        text(named(&globex, "cogniverse.search.retrieve"), "retrieval.documents.0.document.content"),
        "the secret of globex"
    );
    assert!(!format!("{globex:?}").contains("acme") && !format!("{acme:?}").contains("globex"));
    assert_eq!(telemetry.stats().unscoped, 0, "every span of the library names a tenant or is of the system");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_said_and_nobody_makes_projects_by_asking() {
    let (exporter, ..) = traced(|world| async move {
        let search = |of: &str, how: &str| {
            world.cogniverse.search(SearchRequest::new(tenant(of), profile(TEXT), "x").with_strategy(strategy(how)))
        };
        search("no_such_tenant", "bm25_only").await.unwrap_err();
        search("acme", "no_such_strategy").await.unwrap_err();
        world
    })
    .await;
    let projects: Vec<String> = exporter.batches().into_iter().map(|batch| batch.project).collect();
    assert!(!projects.contains(&"no_such_tenant".to_owned()), "{projects:?}");
    let refused = exporter.spans_of("system");
    // What the caller asked wrongly is said, and is no failure of the service's.
    let refused = named(&refused, "cogniverse.search.refused");
    assert!(!matches!(&refused.status, SpanStatus::Error(_)), "{refused:?}");
    assert_eq!(text_of_event(refused, "exception.type"), "NotFound");
    let acme = exporter.spans_of("acme");
    let search = named(&acme, "cogniverse.search");
    assert!(!matches!(&search.status, SpanStatus::Error(_)), "{search:?}");
    assert!(search.events.iter().any(|event| event.name.contains("no_such_strategy")), "{search:?}");
    assert_eq!(text_of_event(search, "exception.type"), "NotFound");
}

fn text_of_event(span: &SpanRecord, key: &str) -> String {
    let found = span.events.iter().flat_map(|event| &event.attributes).find(|(name, _)| name == key);
    found.and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned()
}

/// Two tenants search at once, again and again: no span of one ever in the project of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_searches_at_once_stay_apart() {
    let (exporter, ..) = traced(|world| async move {
        for name in ["acme", "globex"] {
            world.ingest(name, &[("v", 0.0, 10.0, "words")]).await;
        }
        let cogniverse = Arc::new(world.cogniverse.clone());
        let searches: Vec<_> = (0..100)
            .map(|number| {
                let (cogniverse, name) = (Arc::clone(&cogniverse), if number % 2 == 0 { "acme" } else { "globex" });
                let search =
                    async move { cogniverse.search(SearchRequest::new(tenant(name), profile(TEXT), "words")).await };
                tokio::spawn(search.with_current_subscriber())
            })
            .collect();
        for search in searches {
            search.await.unwrap().unwrap();
        }
        world
    })
    .await;
    for (own, other) in [("acme", "globex"), ("globex", "acme")] {
        let spans = exporter.spans_of(own);
        assert_eq!(spans.iter().filter(|span| span.name == "cogniverse.search").count(), 50);
        assert!(!format!("{spans:?}").contains(other));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_07_memories_are_traced_for_their_tenant() {
    let (exporter, telemetry, log) = traced(|world| async move {
        let allowed = TelemetryConfig::new().with_record_query_text(true);
        world.cogniverse.operator().config().set_telemetry_config(&tenant("globex"), allowed).await.unwrap();
        let scope = MemoryScope::new(AgentId::parse("video_search").unwrap());
        for name in ["acme", "globex"] {
            let memory = world.cogniverse.memory(&tenant(name)).await.unwrap();
            memory.add(Remember::text(scope.clone(), format!("the secret of {name}"))).await.unwrap();
            let found = memory.search(MemoryQuery::new(&scope, format!("secret of {name}"))).await.unwrap();
            assert_eq!(found.hits.len(), 1);
            assert!(memory.add(Remember::text(scope.clone(), format!("secret of {name}\u{0}"))).await.is_err());
        }
        world
    })
    .await;
    let (acme, globex) = (exporter.spans_of("acme"), exporter.spans_of("globex"));
    for spans in [&acme, &globex] {
        let (add, search) = (named(spans, "cogniverse.memory"), named(spans, "cogniverse.memory.search"));
        assert_eq!([add.kind, search.kind], [SpanKind::Chain, SpanKind::Retriever]);
        assert_eq!((text(add, "memory.operation"), add.attribute("memory.count")), ("add", Some(&1.into())));
        assert_eq!(search.attribute("memory.count"), Some(&1.into()));
        let embed = spans.iter().filter(|span| span.name == "cogniverse.memory.embed");
        let parents: Vec<_> = embed.map(|span| (span.kind, span.parent_id)).collect();
        assert!(parents.contains(&(SpanKind::Embedding, Some(add.span_id))), "{parents:?}");
        assert!(parents.contains(&(SpanKind::Embedding, Some(search.span_id))), "{parents:?}");
    }
    let read = log.0.lock().unwrap().clone();
    assert!(!format!("{acme:?}").contains("secret") && !read.contains("secret of acme"));
    assert_eq!(text(named(&globex, "cogniverse.memory.search"), "input.value"), "secret of globex");
    assert_eq!(telemetry.stats().unscoped, 0);
}
