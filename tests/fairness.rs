//! Fairness: a tenant that floods the backend costs its neighbours little, and every queue is bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    ErrorCode, ErrorKind, Filter, Result, SchemaName, StrategyName, TenantId, TenantSchema,
    fairness::{FairBackend, FairScheduler, FairnessConfig},
    sdk::{
        BackendHits, BackendQuery, DeployedSchema, DocumentStore, FeedReport, OwnedDocument, Retention, Retry,
        SchemaStore, SearchBackend,
        document_store::{DeleteRequest, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
        schema_store::{DeployReport, DeployRequest},
    },
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use world::tenant;

/// A backend that works on each call for a time, on the machine's own clock.
#[derive(Debug, Default)]
struct Slow {
    running: AtomicUsize,
    most: AtomicUsize,
    served: parking_lot::Mutex<HashMap<TenantId, usize>>,
}

impl Slow {
    async fn work(&self, schema: &TenantSchema, time: Duration) {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(time).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        *self.served.lock().entry(schema.tenant().clone()).or_default() += 1;
    }

    fn served(&self, name: &str) -> usize {
        self.served.lock().get(&tenant(name)).copied().unwrap_or_default()
    }
}

#[async_trait]
impl SearchBackend for Slow {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        // A longer text is more work.
        let time = Duration::from_millis(query.text.map_or(5, |text| text.len() as u64));
        self.work(&query.schema, time).await;
        Ok(BackendHits::default())
    }
}

#[async_trait]
impl DocumentStore for Slow {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        self.work(&request.schema, Duration::from_millis(20)).await;
        Ok(FeedReport::default())
    }
    async fn update(&self, _: UpdateRequest) -> Result<FeedReport> {
        Ok(FeedReport::default())
    }
    async fn get(&self, _: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        Ok(Vec::new())
    }
    async fn delete(&self, _: DeleteRequest) -> Result<u64> {
        Ok(0)
    }
    async fn visit(&self, _: VisitRequest) -> Result<VisitPage> {
        Ok(VisitPage::new(Vec::new(), None))
    }
    async fn list(&self, _: ListRequest) -> Result<VisitPage> {
        Ok(VisitPage::new(Vec::new(), None))
    }
    async fn count(&self, _: &TenantSchema, _: Option<&Filter>) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl SchemaStore for Slow {
    async fn plan(&self, _: &DeployRequest) -> Result<DeployReport> {
        Ok(DeployReport::new(Vec::new()))
    }
    async fn deploy(&self, _: DeployRequest) -> Result<DeployReport> {
        Ok(DeployReport::new(Vec::new()))
    }
    async fn list_schemas(&self, _: &TenantId) -> Result<Vec<DeployedSchema>> {
        Ok(Vec::new())
    }
    async fn served(&self, _: &TenantSchema) -> Result<DeployedSchema> {
        Err(cogniverse::Error::unexpected("not asked for"))
    }
    async fn drop_schema(&self, _: &TenantSchema) -> Result<()> {
        Ok(())
    }
    async fn drop_empty_schema(&self, _: &TenantSchema) -> Result<bool> {
        Ok(false)
    }
    async fn finish_drops(&self, _: &TenantId) -> Result<()> {
        Ok(())
    }
    fn kept_after_drop(&self) -> Option<Retention> {
        None
    }
}

fn schema(of: &str) -> TenantSchema {
    TenantSchema::new(&tenant(of), &SchemaName::parse("videos").unwrap())
}

fn query(of: &str, milliseconds: usize) -> BackendQuery {
    BackendQuery::new(schema(of), StrategyName::parse("bm25_only").unwrap()).with_text("x".repeat(milliseconds))
}

fn fair(config: FairnessConfig) -> (Arc<Slow>, Arc<FairBackend>, FairScheduler) {
    let (slow, scheduler) = (Arc::new(Slow::default()), FairScheduler::new(config));
    (slow.clone(), Arc::new(FairBackend::new(slow, scheduler.clone())), scheduler)
}

/// Calls of a tenant without a pause, until they are told to end.
struct Flood {
    ends: Arc<AtomicBool>,
    calls: JoinSet<()>,
}

impl Flood {
    fn begin(backend: &Arc<FairBackend>, of: &'static str, searches: usize, feeds: usize, milliseconds: usize) -> Self {
        let (ends, mut calls) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for number in 0..searches + feeds {
            let (backend, ends) = (Arc::clone(backend), Arc::clone(&ends));
            calls.spawn(async move {
                while !ends.load(Ordering::SeqCst) {
                    match number < searches {
                        true => drop(backend.search(query(of, milliseconds)).await.unwrap()),
                        false => drop(backend.put(PutRequest::new(schema(of), Vec::new())).await.unwrap()),
                    }
                }
            });
        }
        Self { ends, calls }
    }

    async fn end(self) {
        self.ends.store(true, Ordering::SeqCst);
        self.calls.join_all().await;
    }
}

/// Held by tests that compare times, which otherwise measure each other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Tries a comparison of times up to three times, as a busy machine can spoil one.
async fn thrice<F: Future<Output = Result<(), String>>>(attempt: impl Fn() -> F) {
    let _alone = ALONE.lock().await;
    let mut last = String::new();
    for _ in 0..3 {
        match attempt().await {
            Ok(()) => return,
            Err(why) => last = why,
        }
    }
    panic!("{last}");
}

async fn p99(backend: &FairBackend, of: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        backend.search(query(of, 5)).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[98]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_24_a_flood_at_most_doubles_a_neighbours_slowest_searches() {
    thrice(|| async {
        let (slow, backend, scheduler) = fair(FairnessConfig::new(2));
        let alone = p99(&backend, "quiet").await;
        let flood = Flood::begin(&backend, "loud", 64, 64, 5);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(scheduler.stats().waiting > 100, "{:?}", scheduler.stats());
        let beside = p99(&backend, "quiet").await;
        flood.end().await;
        assert_eq!(slow.most.load(Ordering::SeqCst), 2, "the backend works on as many calls as it was said to");
        assert!(slow.served("loud") > 50, "and the flood goes on beside");
        assert_eq!((scheduler.stats().running, scheduler.stats().waiting), (0, 0));
        match beside <= alone * 2 {
            true => Ok(()),
            false => Err(format!("{beside:?} beside a flood, {alone:?} alone")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_alone_has_the_whole_backend() {
    let (slow, backend, _) = fair(FairnessConfig::new(4));
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let backend = Arc::clone(&backend);
        calls.spawn(async move { backend.search(query("alone", 5)).await.unwrap() });
    }
    calls.join_all().await;
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
}

/// Returns how many times as much was served of `a` as of `b` while both wait all the time.
async fn shares(weights: (u32, u32), cost: (usize, usize)) -> f64 {
    let (slow, backend, scheduler) = fair(FairnessConfig::new(2));
    scheduler.set_weight(&tenant("a"), weights.0);
    scheduler.set_weight(&tenant("b"), weights.1);
    let floods = [Flood::begin(&backend, "a", 40, 0, cost.0), Flood::begin(&backend, "b", 40, 0, cost.1)];
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (a, b) = (slow.served("a"), slow.served("b"));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let ratio = (slow.served("a") - a) as f64 / (slow.served("b") - b) as f64;
    for flood in floods {
        flood.end().await;
    }
    ratio
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_shared_by_weight_and_not_by_calls() {
    thrice(|| async {
        let equal = shares((1, 1), (5, 5)).await;
        let weighted = shares((3, 1), (5, 5)).await;
        // The calls of one are four times as long: it gets a quarter of them, and the same work.
        let long = shares((1, 1), (5, 20)).await;
        let are_fair = (0.7..1.4).contains(&equal) && (2.0..4.2).contains(&weighted) && (2.6..6.0).contains(&long);
        if are_fair { Ok(()) } else { Err(format!("equal {equal}, weighted {weighted}, long {long}")) }
    })
    .await;
}

#[tokio::test]
async fn invariant_23_queues_are_bounded_in_length_and_in_time() {
    let config = FairnessConfig::new(1).with_queues(3, 5).with_max_wait(Duration::from_millis(150));
    let (_, backend, scheduler) = fair(config);
    let search = |of: &'static str, milliseconds| {
        let backend = Arc::clone(&backend);
        tokio::spawn(async move { backend.search(query(of, milliseconds)).await })
    };
    let first = search("loud", 400);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waiting = [search("loud", 1), search("loud", 1), search("loud", 1)];
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = backend.search(query("loud", 1)).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (ErrorCode::TenantQueueFull, ErrorKind::RateLimited), "{error}");
    assert!(matches!(error.retry(), Retry::After(Some(_))), "{error}");
    let others = [search("quiet", 1), search("silent", 1)];
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(backend.search(query("third", 1)).await.unwrap_err().code(), ErrorCode::TenantQueueFull);
    assert_eq!(scheduler.stats().waiting, 5);
    // All of them waited for too long.
    for waiting in waiting.into_iter().chain(others) {
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::TenantQueueFull, "{error}");
    }
    first.await.unwrap().unwrap();
    assert_eq!((scheduler.stats().waiting, scheduler.stats().refused), (0, 7));
    backend.search(query("loud", 1)).await.unwrap();
}

#[tokio::test]
async fn a_search_waits_no_longer_than_its_own_limit_and_can_be_given_up() {
    let (_, backend, scheduler) = fair(FairnessConfig::new(1));
    let first = {
        let backend = Arc::clone(&backend);
        tokio::spawn(async move { backend.search(query("loud", 300)).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let began = Instant::now();
    let error = backend.search(query("quiet", 1).with_timeout(Some(Duration::from_millis(50)))).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (ErrorCode::SearchTimeout, ErrorKind::Timeout), "{error}");
    assert!(began.elapsed() < Duration::from_millis(200));
    // One whose caller has gone leaves the queue.
    let gone = tokio::time::timeout(Duration::from_millis(20), backend.search(query("quiet", 1))).await;
    assert!(gone.is_err());
    assert_eq!(scheduler.stats().waiting, 0);
    first.await.unwrap().unwrap();
    backend.search(query("quiet", 1)).await.unwrap();
    assert_eq!(scheduler.stats().running, 0);
}

/// The values that spans recorded under `throttled_ms`.
#[derive(Clone, Default)]
struct Waits(Arc<parking_lot::Mutex<Vec<u64>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Waits {
    fn on_record(
        &self,
        _: &tracing::span::Id,
        values: &tracing::span::Record<'_>,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        struct Visit<'v>(&'v Waits);
        impl tracing::field::Visit for Visit<'_> {
            fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
                if field.name() == "throttled_ms" {
                    self.0.0.lock().push(value);
                }
            }
            fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
        }
        values.record(&mut Visit(self));
    }
}

#[tokio::test]
async fn the_time_that_a_search_waited_is_on_its_span() {
    use tracing::instrument::WithSubscriber;
    use tracing_subscriber::layer::SubscriberExt;
    let waits = Waits::default();
    let subscriber = tracing_subscriber::registry().with(waits.clone());
    let world = world::World::with(&["loud", "quiet"], |b| b.fairness(FairnessConfig::new(1))).await;
    world.ingest("quiet", &[("v", 0.0, 1.0, "words")]).await;
    let scheduler = world.cogniverse.operator().scheduler().clone();
    let slow = Arc::new(FairBackend::new(Arc::new(Slow::default()), scheduler));
    let held = {
        let slow = Arc::clone(&slow);
        tokio::spawn(async move { slow.search(query("loud", 600)).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let request = cogniverse::SearchRequest::new(tenant("quiet"), world::profile(world::TEXT), "words")
        .with_strategy(world::strategy("bm25_only"));
    world.cogniverse.search(request).with_subscriber(subscriber).await.unwrap();
    held.await.unwrap().unwrap();
    let waits = waits.0.lock().clone();
    assert!(waits.iter().any(|wait| (100..=2_000).contains(wait)), "{waits:?}");
}
