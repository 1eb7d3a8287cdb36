//! Quotas: counted for real, never exceeded, kept across restarts and processes, and free of charge for what fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, ErrorCode, ErrorKind, Operation, Result, SearchRequest, Suspend, Template,
    config::{
        ConfigManager, InMemoryConfigStore, InMemoryQuotaStore, QuotaConfig, QuotaMode, Source, SqliteQuotaStore,
    },
    embedded::{Durability, EmbeddedConfig},
    quotas::{OnQuotaStoreUnavailable, QuotaUsage, Quotas},
    sdk::{
        Document, DocumentId, Error, FieldName, Filter, ManualClock, OutcomeStatus, Quota, QuotaState, QuotaStore,
        Retry, TenantId, TenantSchema, Timestamp,
        document_store::{DeleteRequest, PutRequest},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;
use world::{TEXT, World, profile, strategy, tenant};

fn ask(of: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), "words").with_strategy(strategy("bm25_only"))
}

fn schema(of: &str) -> TenantSchema {
    TenantSchema::new(&tenant(of), &cogniverse::SchemaName::parse(TEXT).unwrap())
}

fn documents(numbers: std::ops::Range<u32>, words: &str) -> Vec<Document> {
    let field = |name: &str| FieldName::parse(name).unwrap();
    numbers
        .map(|number| {
            Document::new(DocumentId::parse(format!("v/{number:06}")).unwrap())
                .with(field("video_id"), "v")
                .with(field("segment_id"), i64::from(number))
                .with(field("audio_transcript"), words)
        })
        .collect()
}

async fn limit(c: &Cogniverse, of: &str, quota: Quota, limit: Option<u64>) {
    change(c, of, |config| config.with_limit(quota, limit)).await;
}

async fn change(c: &Cogniverse, of: &str, by: impl FnOnce(QuotaConfig) -> QuotaConfig) {
    let config = c.operator().config();
    let known = config.get_quota_config(&tenant(of)).await.unwrap().value;
    config.set_quota_config(&tenant(of), by(known)).await.unwrap();
}

async fn usage(c: &Cogniverse, of: &str, quota: Quota) -> QuotaUsage {
    let usage = c.usage(&tenant(of)).await.unwrap();
    usage.into_iter().find(|usage| usage.quota == quota).unwrap()
}

#[tokio::test]
async fn a_template_sets_every_quota_and_says_so() {
    let world = World::with(&[], |b| b).await;
    let c = &world.cogniverse;
    c.create_tenant(&tenant("small"), Template::Trial).await.unwrap();
    let set = c.operator().config().get_quota_config(&tenant("small")).await.unwrap();
    assert_eq!(set.source, Source::Template("trial".to_owned()));
    for quota in Quota::ALL {
        assert!(set.value.limit(quota).is_some(), "{quota}");
    }
    assert_eq!(usage(c, "small", Quota::ApiCalls).await.limit, Some(10_000));
    // The same creation again changes nothing, and another one is refused as before.
    c.create_tenant(&tenant("small"), Template::Trial).await.unwrap();
    assert!(c.create_tenant(&tenant("small"), Template::Enterprise).await.is_err());
    assert_eq!(c.operator().config().get_quota_config(&tenant("small")).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_at_once_are_never_one_too_many() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    let c = &world.cogniverse;
    limit(c, "acme", Quota::ApiCalls, Some(50)).await;
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let c = c.clone();
        calls.spawn(async move { c.search(ask("acme")).await.map(drop) });
    }
    let mut served = 0;
    while let Some(result) = calls.join_next().await {
        match result.unwrap() {
            Ok(()) => served += 1,
            Err(error) => {
                assert_eq!((error.kind(), error.code()), (ErrorKind::RateLimited, ErrorCode::RateLimited), "{error}");
                for part in ["50 of 50", "api_calls", "try again after"] {
                    assert!(error.to_string().contains(part), "{error}");
                }
                assert!(matches!(error.retry(), Retry::After(Some(wait)) if wait <= Duration::from_secs(3600)));
                assert_eq!(error.public().message(), "Too many requests. Try again later.");
            }
        }
    }
    assert_eq!(served, 50);
    let used = usage(c, "acme", Quota::ApiCalls).await;
    assert_eq!((used.used, used.limit), (Some(50), Some(50)));
    assert!(used.window_ends.unwrap() > Timestamp::now());
    // Another tenant is served as ever, and what an administrator needs is not counted.
    c.search(ask("globex")).await.unwrap();
    c.list_schemas(&tenant("acme")).await.unwrap();
    limit(c, "acme", Quota::ApiCalls, Some(51)).await;
    c.search(ask("acme")).await.unwrap();
    assert_eq!(c.search(ask("acme")).await.unwrap_err().code(), ErrorCode::RateLimited);
}

#[tokio::test]
async fn what_fails_costs_nothing() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    limit(c, "acme", Quota::ApiCalls, Some(2)).await;
    for _ in 0..5 {
        assert!(c.search(ask("acme").with_strategy(strategy("no_such"))).await.is_err());
        assert!(c.memory(&tenant("acme")).await.is_err());
        let nothing = cogniverse::IngestSource::Segments("/no/such/file".into());
        assert!(c.ingest(cogniverse::IngestRequest::new(tenant("acme"), profile(TEXT), nothing)).await.is_err());
    }
    assert_eq!(usage(c, "acme", Quota::ApiCalls).await.used, Some(0));
    c.search(ask("acme")).await.unwrap();
    c.search(ask("acme")).await.unwrap();
    assert!(c.search(ask("acme")).await.is_err());
}

#[tokio::test]
async fn what_was_used_is_kept_across_restarts() {
    let world = World::with(&["acme"], |b| b).await;
    limit(&world.cogniverse, "acme", Quota::ApiCalls, Some(10)).await;
    for _ in 0..7 {
        world.cogniverse.search(ask("acme")).await.unwrap();
    }
    // Within a second, and at once where it is asked for.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let World { cogniverse, folder } = world;
    drop(cogniverse);
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let c = loop {
        match Cogniverse::builder().embedded(config.clone()).open().await {
            Ok(c) => break c,
            Err(error) => assert_eq!(error.code(), ErrorCode::DataFolderInUse, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(usage(&c, "acme", Quota::ApiCalls).await.used, Some(7));
    for _ in 0..3 {
        c.search(ask("acme")).await.unwrap();
    }
    assert!(c.search(ask("acme")).await.is_err());
    c.operator().quotas().flush().await.unwrap();
}

/// The quotas of one process over a store.
fn process(store: &Arc<dyn QuotaStore>, clock: &Arc<ManualClock>, limit: u64) -> (Quotas, Arc<QuotaConfig>) {
    let quota = Quota::ApiCalls;
    let config = Arc::new(QuotaConfig::new(tenant("acme")).with_limit(quota, Some(limit)));
    let manager = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
    (Quotas::new(Arc::clone(store), manager, clock.clone()), config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_the_store_share_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quotas.sqlite");
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_100).unwrap()));
    let mut processes = Vec::new();
    for _ in 0..3 {
        let store: Arc<dyn QuotaStore> = Arc::new(SqliteQuotaStore::open(&path).await.unwrap());
        processes.push(process(&store, &clock, 100));
    }
    let mut calls = JoinSet::new();
    for number in 0..300 {
        let (quotas, config) = processes[number % 3].clone();
        calls.spawn(async move { quotas.admit(&config).await.map(drop).is_ok() });
    }
    let served = calls.join_all().await.into_iter().filter(|served| *served).count();
    assert!(served <= 100, "{served}");
    // What one process leased and did not need comes back to the others.
    for (quotas, _) in &processes {
        quotas.flush().await.unwrap();
    }
    let (quotas, config) = &processes[0];
    let mut more = 0;
    while quotas.admit(config).await.map(drop).is_ok() {
        more += 1;
    }
    assert_eq!(served + more, 100);
    // A new window begins at nothing.
    clock.advance(Duration::from_secs(3_600));
    for (quotas, config) in &processes {
        quotas.admit(config).await.unwrap();
    }
}

/// A store that can be away.
#[derive(Debug)]
struct Away {
    inner: InMemoryQuotaStore,
    is_away: AtomicBool,
    is_read_only: AtomicBool,
}

impl Away {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: InMemoryQuotaStore::new(),
            is_away: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<()> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the store is away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl QuotaStore for Away {
    async fn get(&self, tenant: &TenantId, quota: Quota) -> Result<Option<(QuotaState, u64)>> {
        self.check()?;
        self.inner.get(tenant, quota).await
    }
    async fn replace(
        &self,
        tenant: &TenantId,
        quota: Quota,
        expected: Option<u64>,
        state: &QuotaState,
    ) -> Result<Option<u64>> {
        self.check()?;
        if self.is_read_only.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store cannot be written"));
        }
        self.inner.replace(tenant, quota, expected, state).await
    }
    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        self.check()?;
        self.inner.count(tenant).await
    }
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.check()?;
        self.inner.erase_tenant(tenant).await
    }
}

#[tokio::test]
async fn a_store_that_is_away_never_means_without_limit() {
    let (refusing, counting) = (Away::new(), Away::new());
    let refuse = World::with(&["acme"], |b| b.quota_store(refusing.clone())).await;
    let count = World::with(&["acme"], |b| {
        b.quota_store(counting.clone()).on_quota_store_unavailable(OnQuotaStoreUnavailable::CountInMemory)
    })
    .await;
    for (world, store) in [(&refuse, &refusing), (&count, &counting)] {
        limit(&world.cogniverse, "acme", Quota::ApiCalls, Some(5)).await;
        world.cogniverse.search(ask("acme")).await.unwrap();
        world.cogniverse.operator().quotas().flush().await.unwrap();
        store.is_away.store(true, Ordering::SeqCst);
    }
    let error = refuse.cogniverse.search(ask("acme")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::QuotaStoreUnavailable, "{error}");
    assert!(refuse.cogniverse.usage(&tenant("acme")).await.is_err(), "what cannot be read is not nothing");
    // Four more, as one was used before; then the limit holds all the same.
    for _ in 0..4 {
        count.cogniverse.search(ask("acme")).await.unwrap();
    }
    assert_eq!(count.cogniverse.search(ask("acme")).await.unwrap_err().code(), ErrorCode::RateLimited);
    // What was counted meanwhile is stored once the store is back.
    counting.is_away.store(false, Ordering::SeqCst);
    count.cogniverse.operator().quotas().flush().await.unwrap();
    assert_eq!(counting.inner.get(&tenant("acme"), Quota::ApiCalls).await.unwrap().unwrap().0.used, 5);
}

#[tokio::test]
async fn what_could_not_be_stored_is_counted_once() {
    let store = Away::new();
    let world = World::with(&["acme"], |b| {
        b.quota_store(store.clone()).on_quota_store_unavailable(OnQuotaStoreUnavailable::CountInMemory)
    })
    .await;
    let c = &world.cogniverse;
    limit(c, "acme", Quota::ApiCalls, Some(5)).await;
    c.search(ask("acme")).await.unwrap();
    c.operator().quotas().flush().await.unwrap();
    store.is_read_only.store(true, Ordering::SeqCst);
    for number in 0..4 {
        c.search(ask("acme")).await.unwrap_or_else(|e| panic!("call {number}: {e}"));
    }
    assert_eq!(c.search(ask("acme")).await.unwrap_err().code(), ErrorCode::RateLimited);
}

#[tokio::test]
async fn a_stored_number_that_is_too_high_refuses_nothing_by_itself() {
    let store = Arc::new(InMemoryQuotaStore::new());
    let world = World::with(&["acme"], |b| b.quota_store(store.clone())).await;
    let c = &world.cogniverse;
    let put = |documents| c.operator().backend().put(PutRequest::new(schema("acme"), documents));
    limit(c, "acme", Quota::Documents, Some(50)).await;
    assert_eq!(put(documents(0..10, "words")).await.unwrap().stored(), 10);
    c.operator().quotas().flush().await.unwrap();
    // As a process leaves it that died after it removed forty and before it said so. This one has counted nothing.
    let (mut state, version) = store.get(&tenant("acme"), Quota::Documents).await.unwrap().unwrap();
    state.used = 50;
    assert!(state.counted && state.leases.is_empty(), "{state:?}");
    store.replace(&tenant("acme"), Quota::Documents, Some(version), &state).await.unwrap().unwrap();
    let World { cogniverse, folder } = world;
    drop(cogniverse);
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let c = loop {
        match Cogniverse::builder().embedded(config.clone()).quota_store(store.clone()).open().await {
            Ok(c) => break c,
            Err(error) => assert_eq!(error.code(), ErrorCode::DataFolderInUse, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let report = c.operator().backend().put(PutRequest::new(schema("acme"), documents(10..55, "words"))).await.unwrap();
    assert_eq!((report.stored(), report.failures().count()), (40, 5), "as many as there is room for, and no more");
}

#[tokio::test]
async fn a_dry_run_counts_and_refuses_nothing() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    change(c, "acme", |config| config.with_limit(Quota::ApiCalls, Some(2)).with_mode(QuotaMode::DryRun)).await;
    for _ in 0..5 {
        c.search(ask("acme")).await.unwrap();
    }
    assert_eq!(usage(c, "acme", Quota::ApiCalls).await.used, Some(5));
    assert_eq!(c.operator().quotas().would_have_refused(), 3);
    change(c, "acme", |config| config.with_mode(QuotaMode::Enforce)).await;
    assert!(c.search(ask("acme")).await.is_err());
}

#[tokio::test]
async fn calls_at_one_moment_are_counted_until_they_end() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    limit(c, "acme", Quota::ConcurrentRequests, Some(3)).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(c.admit(&tenant("acme"), Operation::Search).await.unwrap());
    }
    let error = c.search(ask("acme")).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (ErrorCode::RateLimited, ErrorKind::RateLimited), "{error}");
    assert!(error.to_string().contains("3 of 3 concurrent_requests"), "{error}");
    assert_eq!(usage(c, "acme", Quota::ConcurrentRequests).await.used, Some(3));
    held.pop();
    c.search(ask("acme")).await.unwrap();
    drop(held);
    c.operator().quotas().flush().await.unwrap();
    assert_eq!(usage(c, "acme", Quota::ConcurrentRequests).await.used, Some(0));
}

#[tokio::test]
async fn documents_and_bytes_are_those_that_are_stored() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    let c = &world.cogniverse;
    let backend = c.operator().backend();
    let put = |documents| backend.put(PutRequest::new(schema("acme"), documents));
    // Stored while nothing was limited, and counted once something is.
    change(c, "acme", |config| config.with_limit(Quota::Documents, None).with_limit(Quota::StorageMb, None)).await;
    assert_eq!(put(documents(0..40, "words")).await.unwrap().stored(), 40);
    assert_eq!(usage(c, "acme", Quota::Documents).await.used, Some(40), "by the backend");
    assert_eq!(usage(c, "acme", Quota::StorageMb).await.used, None, "not counted is not nothing");
    limit(c, "acme", Quota::Documents, Some(100)).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let report = put(documents(30..130, "words")).await.unwrap();
    assert_eq!(report.stored(), 70, "ten replaced, sixty new");
    let refused: Vec<_> = report.failures().collect();
    assert_eq!(refused.len(), 30);
    for outcome in &refused {
        let error = outcome.error.as_ref().unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Refused);
        assert_eq!((error.code(), error.kind()), (ErrorCode::QuotaExceeded, ErrorKind::QuotaExceeded));
        assert!(error.to_string().contains("100 of 100 documents") && error.retry() == Retry::Never, "{error}");
    }
    assert_eq!(usage(c, "acme", Quota::Documents).await.used, Some(100));
    // At the limit what is there can be replaced, and what is removed makes room.
    assert_eq!(put(documents(0..100, "other words")).await.unwrap().stored(), 100);
    let gone = backend.delete(DeleteRequest::ids(schema("acme"), vec![DocumentId::parse("v/000000").unwrap()])).await;
    assert_eq!(gone.unwrap(), 1);
    assert_eq!(put(documents(200..203, "words")).await.unwrap().stored(), 1);
    let all = Filter::between(FieldName::parse("segment_id").unwrap(), 0, 50);
    assert_eq!(backend.delete(DeleteRequest::matching(schema("acme"), all)).await.unwrap(), 49);
    assert_eq!(usage(c, "acme", Quota::Documents).await.used, Some(51));
    assert_eq!(backend.count(&schema("acme"), None).await.unwrap(), 51);
    // Bytes, of which one document has more than the whole quota.
    limit(c, "globex", Quota::StorageMb, Some(1)).await;
    let big = |number, bytes: usize| documents(number..number + 1, &"x ".repeat(bytes / 2));
    assert_eq!(backend.put(PutRequest::new(schema("globex"), big(0, 600_000))).await.unwrap().stored(), 1);
    let report = backend.put(PutRequest::new(schema("globex"), big(1, 600_000))).await.unwrap();
    let error = report.outcomes[0].error.as_ref().unwrap();
    assert_eq!(error.code(), ErrorCode::QuotaExceeded, "{error}");
    assert_eq!(backend.put(PutRequest::new(schema("globex"), big(0, 900_000))).await.unwrap().stored(), 1);
    assert_eq!(usage(c, "globex", Quota::StorageMb).await.used, Some(1));
    // A schema that is gone takes its documents along.
    backend.drop_schema(&schema("globex")).await.unwrap();
    assert_eq!(usage(c, "globex", Quota::StorageMb).await.used, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once_store_exactly_the_limit() {
    let world = World::with(&["acme"], |b| b).await;
    limit(&world.cogniverse, "acme", Quota::Documents, Some(100)).await;
    let mut writers = JoinSet::new();
    for writer in 0..20u32 {
        let backend = Arc::clone(world.cogniverse.operator().backend());
        writers.spawn(async move {
            let documents = documents(writer * 10..writer * 10 + 10, "words");
            backend.put(PutRequest::new(schema("acme"), documents)).await.unwrap().stored()
        });
    }
    assert_eq!(writers.join_all().await.into_iter().sum::<usize>(), 100);
    assert_eq!(world.cogniverse.operator().backend().count(&schema("acme"), None).await.unwrap(), 100);
    assert_eq!(usage(&world.cogniverse, "acme", Quota::Documents).await.used, Some(100));
}

#[tokio::test]
async fn ingested_minutes_are_those_that_were_stored() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    limit(c, "acme", Quota::IngestMinutes, Some(2)).await;
    let report = world.ingest("acme", &[("a", 0.0, 50.0, "one"), ("a", 50.0, 100.0, "two")]).await;
    assert_eq!(report.stored(), 2, "{report:?}");
    assert_eq!(usage(c, "acme", Quota::IngestMinutes).await.used, Some(2), "100 s are 2 minutes begun");
    // The same once more costs nothing, and more than the rest is refused with the reason.
    let again = world.ingest("acme", &[("a", 0.0, 50.0, "one"), ("a", 50.0, 100.0, "two")]).await;
    assert_eq!(again.stored(), 0);
    let report = world.ingest("acme", &[("b", 0.0, 50.0, "three")]).await;
    assert_eq!(report.stored(), 0);
    assert!(format!("{report:?}").contains("ingest_minutes"), "{report:?}");
    let report = world.ingest("acme", &[("c", 0.0, 20.0, "four")]).await;
    assert_eq!(report.stored(), 1, "what fits is stored");
}

#[tokio::test]
async fn an_erased_tenant_leaves_no_use_behind() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    c.search(ask("acme")).await.unwrap();
    c.suspend(&tenant("acme"), Suspend::new("over")).await.unwrap();
    let receipt = c.erase(&tenant("acme")).await.unwrap();
    let surface = receipt.surfaces.iter().find(|surface| surface.name == "quotas").unwrap();
    assert_eq!((surface.remaining, &surface.error), (Some(0), &None), "{surface:?}");
    // Nothing is stored later by what was on its way.
    c.operator().quotas().flush().await.unwrap();
    let store = SqliteQuotaStore::open(world.folder.path().join("quotas.sqlite")).await.unwrap();
    assert_eq!(store.count(&tenant("acme")).await.unwrap(), 0);
    c.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
    assert_eq!(usage(c, "acme", Quota::ApiCalls).await.used, Some(0));
}

#[tokio::test]
async fn a_process_that_died_neither_frees_nor_keeps_what_it_leased() {
    let store: Arc<dyn QuotaStore> = Arc::new(InMemoryQuotaStore::new());
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let (dying, config) = process(&store, &clock, 10);
    for _ in 0..4 {
        drop(dying.admit(&config).await.unwrap());
    }
    let leased: u64 = {
        let (state, _) = store.get(&tenant("acme"), Quota::ApiCalls).await.unwrap().unwrap();
        state.used + state.leases.iter().map(|lease| lease.amount).sum::<u64>()
    };
    assert!((4..=10).contains(&leased), "{leased}");
    drop(dying);
    clock.advance(Duration::from_secs(40));
    let (other, config) = process(&store, &clock, 10);
    let mut served = 0;
    while other.admit(&config).await.map(drop).is_ok() {
        served += 1;
    }
    assert_eq!(served, 10 - leased, "used or leased counts as used");
    // Calls at one moment ended with their process.
    let config = Arc::new(QuotaConfig::new(tenant("globex")).with_limit(Quota::ConcurrentRequests, Some(1)));
    let held = other.admit(&config).await.unwrap();
    let (third, _) = process(&store, &clock, 10);
    assert!(third.admit(&config).await.is_err());
    std::mem::forget(held);
    clock.advance(Duration::from_secs(360));
    third.admit(&config).await.unwrap();
}

#[tokio::test]
async fn quotas_that_cannot_be_read_admit_nobody() {
    let store = Arc::new(InMemoryConfigStore::new());
    let world = World::with(&["acme"], |b| b.config_store(store.clone())).await;
    let c = &world.cogniverse;
    use cogniverse::sdk::{ConfigKey, ConfigScope, ConfigStore, config_store::PutConfig};
    let key = ConfigKey::tenant(&tenant("acme"), ConfigScope::System, "quotas", "quota_config");
    store.put(PutConfig::new(key, serde_json::json!({"tenant_id": "acme", "documents": "many"}))).await.unwrap();
    assert_eq!(c.search(ask("acme")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    // It can be seen and mended.
    c.list_schemas(&tenant("acme")).await.unwrap();
    c.operator().config().set_quota_config(&tenant("acme"), QuotaConfig::new(tenant("acme"))).await.unwrap();
    c.search(ask("acme")).await.unwrap();
}

#[tokio::test]
async fn what_another_process_still_had_to_store_does_not_outlive_an_erasure() {
    let (config, quotas) = (Arc::new(InMemoryConfigStore::new()), Arc::new(InMemoryQuotaStore::new()));
    let world = World::with(&["acme"], |b| b.config_store(config.clone()).quota_store(quotas.clone())).await;
    let backend = world.cogniverse.operator().backend().clone();
    let folder = tempfile::tempdir().unwrap();
    let other = Cogniverse::builder()
        .data_dir(folder.path())
        .backend(backend)
        .config_store(config)
        .quota_store(quotas.clone())
        .open()
        .await
        .unwrap();
    for _ in 0..5 {
        other.search(ask("acme")).await.unwrap();
    }
    world.cogniverse.suspend(&tenant("acme"), Suspend::new("the contract ended")).await.unwrap();
    assert!(world.cogniverse.erase(&tenant("acme")).await.unwrap().is_complete());
    other.close().await.unwrap();
    assert_eq!(quotas.count(&tenant("acme")).await.unwrap(), 0, "the use of an erased tenant is stored again");
    world.cogniverse.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
    let usage = other.usage(&tenant("acme")).await.unwrap();
    assert!(usage.iter().all(|usage| usage.quota != Quota::ApiCalls || usage.used == Some(0)), "{usage:?}");
}
