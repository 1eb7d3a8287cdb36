//! What a service meets first: opening, schemas of its own, a clock, queries without a word, and what is logged.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    Cogniverse, ErrorKind, IngestRequest, IngestSource, SchemaName, SearchRequest, Template,
    encoders::HashEncoder,
    memory::MemoryQuery,
    schemas::{EmbeddedSchemaLoader, FilesystemSchemaLoader, InMemorySchemaLoader},
    sdk::{
        BaseSchema, ManualClock, Matrix, MemoryReach, SchemaLoader, TenantSchema, Timestamp, VectorKind,
        document_store::VisitRequest,
    },
};
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
};
use tracing_subscriber::{Layer, layer::SubscriberExt};
use world::{Probe, TEXT, World, ffmpeg_is_there, profile, strategy, tenant};

#[test]
fn opening_outside_of_a_runtime_is_an_error_that_tells_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = pin!(Cogniverse::builder().data_dir(folder.path()).open());
    let Poll::Ready(opened) = open.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for a runtime that is not there")
    };
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("#[tokio::main]"), "{error}");
    // Also where the first thing to be read is a folder of schemas, which Tokio reads.
    let schemas = Arc::new(FilesystemSchemaLoader::new(folder.path()));
    let mut open = pin!(Cogniverse::builder().data_dir(folder.path()).schema_loader(schemas).open());
    let opened = open.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(opened, Poll::Ready(Err(error)) if error.kind() == ErrorKind::FailedPrecondition));
}

#[test]
fn what_was_opened_in_a_runtime_refuses_calls_outside_of_it_and_may_be_dropped_there() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::with(&["acme"], |b| b));
    drop(runtime);
    {
        let mut search = pin!(world.cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), "words")));
        let Poll::Ready(answer) = search.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it waits for a runtime that is not there")
        };
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    }
    // The folder is free again.
    let folder = world.folder.path().to_owned();
    drop(world.cogniverse);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Cogniverse::builder().data_dir(folder).open()).unwrap();
}

async fn shipped(name: &str) -> BaseSchema {
    (*EmbeddedSchemaLoader.load(&SchemaName::parse(name).unwrap()).await.unwrap()).clone()
}

#[tokio::test]
async fn own_schemas_come_beside_the_shipped_ones_and_memory_works_on() {
    let mut own = shipped(TEXT).await;
    own.name = SchemaName::parse("lectures").unwrap();
    // A copy of a shipped schema says the same, and is no clash.
    let loader = Arc::new(InMemorySchemaLoader::new([own, shipped(TEXT).await]));
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&["acme"], |b| b.schema_loader(loader).text_embedder(embedder)).await;
    let schemas = world.cogniverse.operator().schemas();
    schemas.deploy(&tenant("acme"), &SchemaName::parse("lectures").unwrap()).await.unwrap();
    world.cogniverse.memory(&tenant("acme")).await.unwrap();
    let unknown = schemas.deploy(&tenant("acme"), &SchemaName::parse("none").unwrap()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.to_string().contains("lectures") && unknown.to_string().contains("agent_memories"), "{unknown}");
}

#[tokio::test]
async fn a_schema_that_takes_a_shipped_ones_name_is_refused_unless_it_is_said_to_count() {
    let mut own = shipped(TEXT).await;
    own.rank_profiles.retain(|ranks| ranks.name.as_str() == "bm25_only");
    let loader = Arc::new(InMemorySchemaLoader::new([own]));
    let folder = tempfile::tempdir().unwrap();
    let builder = || Cogniverse::builder().data_dir(folder.path());
    let error = builder().schema_loader(loader.clone()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(TEXT) && error.to_string().contains("schema_overrides"), "{error}");
    let cogniverse = builder().schema_overrides(loader).open().await.unwrap();
    cogniverse.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
    cogniverse.deploy(&tenant("acme"), &profile(TEXT)).await.unwrap();
    let ranked = SearchRequest::new(tenant("acme"), profile(TEXT), "x").with_strategy(strategy("phased"));
    assert_eq!(cogniverse.search(ranked).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_builders_clock_tells_every_part_the_time() {
    let then: Timestamp = "2001-02-03T04:05:06Z".parse().unwrap();
    let world = World::with(&["acme"], |b| b.clock(Arc::new(ManualClock::new(then)))).await;
    let acme = tenant("acme");
    world.ingest("acme", &[("talk", 0.0, 1.0, "words")]).await;
    let config = world.cogniverse.operator().config();
    assert_eq!(config.get_system_config(&acme).await.unwrap().created_at, Some(then), "the configuration's store");
    assert_eq!(config.export_tenant(&acme).await.unwrap().exported_at, then, "an export");
    let schema = TenantSchema::new(&acme, &SchemaName::parse(TEXT).unwrap());
    let page = world.cogniverse.operator().backend().visit(VisitRequest::new(schema)).await.unwrap();
    let written = page.documents[0].get("creation_timestamp").and_then(|value| value.as_i64()).unwrap();
    assert!([then.as_second(), then.as_millisecond()].contains(&written), "ingestion: {written}");
}

#[tokio::test]
async fn a_query_without_a_word_is_refused_alike_everywhere() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&["acme"], |b| b.encoder("probe", Probe::new(384)).text_embedder(embedder)).await;
    let acme = tenant("acme");
    let config = world.cogniverse.operator().config();
    let ask =
        |query: &str, how: &str| SearchRequest::new(acme.clone(), profile(TEXT), query).with_strategy(strategy(how));
    let memory = world.cogniverse.memory(&acme).await.unwrap();
    let known = config.get_profile(&acme, &profile(TEXT)).await.unwrap().config.value;
    config.set_profile(&acme, &profile(TEXT), known.with_encoder("probe")).await.unwrap();
    world.ingest("acme", &[("talk", 0.0, 1.0, "the words")]).await;
    for query in ["", " \t", "?!", "_ - …"] {
        let mut errors = vec![memory.search(MemoryQuery::new(MemoryReach::everything(), query)).await.unwrap_err()];
        for how in ["bm25_only", "float_float", "phased"] {
            errors.push(world.cogniverse.search(ask(query, how)).await.unwrap_err());
        }
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{query:?}");
            assert!(error.to_string().contains("no word to search by"), "{query:?}: {error}");
        }
    }
    // There is no list of words that do not count, and vectors that are given need no word.
    assert_eq!(world.cogniverse.search(ask("the", "bm25_only")).await.unwrap().results.len(), 1);
    let vectors = Matrix::new(384, vec![0.5; 384]).unwrap();
    world.cogniverse.search(ask("", "float_float").with_query_vectors(vectors)).await.unwrap();
}

/// Level and message of each event.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(format!("{} {}", event.metadata().level(), message.0));
    }
}

/// What is logged while some work is done.
async fn logged<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let log = Log::default();
    let done = work.with_subscriber(tracing_subscriber::registry().with(log.clone())).await;
    let lines = log.0.lock().unwrap().clone();
    (done, lines)
}

#[tokio::test]
async fn what_a_caller_does_wrong_is_no_error_of_the_services_and_what_an_encoder_does_is() {
    let probe = Probe::new(384);
    let world = World::with(&["acme"], |b| b.encoder("probe", probe.clone())).await;
    let ask = |of: &str, how: &str| SearchRequest::new(tenant(of), profile(TEXT), "x").with_strategy(strategy(how));
    let wrong = [ask("nobody", "bm25_only"), ask("acme", "fastest"), ask("acme", "bm25_only").with_top_k(0)];
    for request in wrong {
        let (answer, lines) = logged(world.cogniverse.search(request)).await;
        answer.unwrap_err();
        assert!(lines.iter().any(|line| line.starts_with("WARN ")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("ERROR")), "{lines:?}");
    }
    let missing = IngestRequest::new(tenant("nobody"), profile(TEXT), IngestSource::Files(Vec::new()));
    let (answer, lines) = logged(world.cogniverse.ingest(missing)).await;
    answer.unwrap_err();
    assert!(!lines.iter().any(|line| line.contains("ERROR")), "{lines:?}");
    let config = world.cogniverse.operator().config();
    let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    config.set_profile(&tenant("acme"), &profile(TEXT), known.with_encoder("probe")).await.unwrap();
    probe.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let (answer, lines) = logged(world.cogniverse.search(ask("acme", "float_float"))).await;
    answer.unwrap_err();
    assert!(lines.iter().any(|line| line.contains("ERROR")), "{lines:?}");
}

#[tokio::test]
async fn a_video_that_failed_is_logged_with_its_name_and_cause_and_not_with_its_place() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let file = world.file("a_place_of_the_operators/broken.mp4", "no video at all");
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Files(vec![file]));
    let (report, lines) = logged(world.cogniverse.ingest(request)).await;
    let report = report.unwrap();
    let reason = report.videos[0].reason.clone().unwrap();
    let line = lines.iter().find(|line| line.contains("was not ingested")).unwrap_or_else(|| panic!("{lines:?}"));
    assert!(line.contains("the video broken.mp4 was not ingested: "), "{line}");
    let last = reason.rsplit('/').next().unwrap();
    assert!(line.contains(last) && !line.contains("a_place_of_the_operators"), "{reason}\n{line}");
}

#[tokio::test]
async fn a_tenant_that_is_there_stays_as_it_is_at_the_next_start() {
    let world = World::with(&["acme"], |b| b).await;
    let acme = tenant("acme");
    let before = world.cogniverse.operator().config().get_system_config(&acme).await.unwrap();
    let record = world.cogniverse.ensure_tenant(&acme, Template::Enterprise).await.unwrap();
    assert_eq!(record, world.cogniverse.operator().tenants().get(&acme).await.unwrap());
    let after = world.cogniverse.operator().config().get_system_config(&acme).await.unwrap();
    assert_eq!((before.version, before.value), (after.version, after.value));
}
