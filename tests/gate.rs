//! The gate and the guard: one admission for every call, one reading of the configuration, one check of every answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, ErrorCode, ErrorKind, Filter, IngestRequest, IngestSource, MemoryOptions, NewTenant, Operation, Result,
    SearchRequest, Suspend, Template, TenantId, TenantSchema,
    config::{InMemoryConfigStore, RoutingConfig},
    embedded::{EmbeddedBackend, EmbeddedConfig},
    encoders::HashEncoder,
    guarded_backend::LeakPolicy,
    sdk::{
        AuditEvent, BackendHits, BackendQuery, ConfigEntry, ConfigKey, ConfigOwner, ConfigStore, DeployedSchema,
        DocumentId, DocumentStore, EncoderInfo, Expected, FeedReport, Matrix, OwnedDocument, PageCursor, QueryEncoder,
        Retention, SchemaStore, SearchBackend, TextEmbedder, TextKind, UserId, VectorKind,
        config_store::{ConfigPage, ConfigVersions, ListConfig, PutConfig},
        document_store::{DeleteRequest, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
        schema_store::{DeployReport, DeployRequest},
    },
    tenants::TenantState,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use world::{TEXT, World, profile, strategy, tenant};

fn ask(of: &str, query: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), query).with_strategy(strategy("bm25_only"))
}

fn schema(of: &str) -> TenantSchema {
    TenantSchema::new(&tenant(of), &cogniverse::SchemaName::parse(TEXT).unwrap())
}

/// What the backend does wrong.
const NOTHING: u8 = 0;
const HITS: u8 = 1;
const DOCUMENTS: u8 = 2;
const PAGES: u8 = 3;
const OTHER_IDS: u8 = 4;
const SCHEMAS: u8 = 5;

/// A backend that answers with a neighbour's hits, documents, pages or schemas.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn SearchBackend>,
    fault: AtomicU8,
}

impl Faulty {
    fn is(&self, fault: u8) -> bool {
        self.fault.load(Ordering::SeqCst) == fault
    }

    fn neighbour(schema: &TenantSchema) -> TenantSchema {
        TenantSchema::new(&tenant("globex"), schema.base())
    }
}

#[async_trait]
impl SearchBackend for Faulty {
    async fn search(&self, mut query: BackendQuery) -> Result<BackendHits> {
        if self.is(HITS) {
            query.schema = Self::neighbour(&query.schema);
        }
        self.inner.search(query).await
    }
}

#[async_trait]
impl DocumentStore for Faulty {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        self.inner.put(request).await
    }
    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        self.inner.update(request).await
    }
    async fn get(&self, mut request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        if self.is(DOCUMENTS) {
            request.schema = Self::neighbour(&request.schema);
        }
        if self.is(OTHER_IDS) {
            request.ids.reverse();
        }
        self.inner.get(request).await
    }
    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        self.inner.delete(request).await
    }
    async fn visit(&self, mut request: VisitRequest) -> Result<VisitPage> {
        if self.is(PAGES) {
            request.schema = Self::neighbour(&request.schema);
        }
        self.inner.visit(request).await
    }
    async fn list(&self, mut request: ListRequest) -> Result<VisitPage> {
        if self.is(PAGES) {
            request.schema = Self::neighbour(&request.schema);
        }
        self.inner.list(request).await
    }
    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        self.inner.count(schema, filter).await
    }
}

#[async_trait]
impl SchemaStore for Faulty {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        self.inner.plan(request).await
    }
    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        self.inner.deploy(request).await
    }
    async fn list_schemas(&self, of: &TenantId) -> Result<Vec<DeployedSchema>> {
        let of = if self.is(SCHEMAS) { tenant("globex") } else { of.clone() };
        self.inner.list_schemas(&of).await
    }
    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        self.inner.served(schema).await
    }
    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        self.inner.drop_schema(schema).await
    }
    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        self.inner.drop_empty_schema(schema).await
    }
    async fn finish_drops(&self, tenant: &TenantId) -> Result<()> {
        self.inner.finish_drops(tenant).await
    }
    fn kept_after_drop(&self) -> Option<Retention> {
        self.inner.kept_after_drop()
    }
}

async fn faulty(policy: LeakPolicy) -> (World, Arc<Faulty>) {
    let folder = tempfile::tempdir().unwrap();
    let inner = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
    let faulty = Arc::new(Faulty { inner: Arc::new(inner), fault: AtomicU8::new(NOTHING) });
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world =
        World::with(&["acme", "globex"], |b| b.backend(faulty.clone()).on_leak(policy).text_embedder(embedder)).await;
    std::mem::forget(folder);
    for name in ["acme", "globex"] {
        world.ingest(name, &[("v", 0.0, 1.0, &format!("words of_{name}")), ("v", 1.0, 2.0, "more words")]).await;
    }
    (world, faulty)
}

#[tokio::test]
async fn invariant_05_a_neighbours_hits_documents_pages_and_schemas_never_come_through() {
    let (world, backend) = faulty(LeakPolicy::Fail).await;
    let c = &world.cogniverse;
    let ids = || vec![DocumentId::parse("v/0").unwrap(), DocumentId::parse("v/1").unwrap()];
    let mut leaked = 0;
    for fault in [HITS, DOCUMENTS, PAGES, OTHER_IDS, SCHEMAS] {
        backend.fault.store(fault, Ordering::SeqCst);
        let error = match fault {
            HITS => c.search(ask("acme", "words")).await.unwrap_err(),
            DOCUMENTS | OTHER_IDS => c.get_documents(GetRequest::new(schema("acme"), ids())).await.unwrap_err(),
            PAGES => c.visit_documents(VisitRequest::new(schema("acme"))).await.unwrap_err(),
            _ => c.list_schemas(&tenant("acme")).await.unwrap_err(),
        };
        assert_eq!(error.code(), ErrorCode::IsolationViolation, "fault {fault}: {error}");
        assert!(!format!("{error:?}").contains("globex"), "the neighbour is not named: {error:?}");
        leaked += if fault == SCHEMAS { 0 } else { 2 };
        assert_eq!(c.agent().leaked_hits(), leaked, "fault {fault}");
    }
    // Nothing is erased by a neighbour's list.
    backend.fault.store(NOTHING, Ordering::SeqCst);
    c.suspend(&tenant("acme"), Suspend::new("the contract ended")).await.unwrap();
    backend.fault.store(SCHEMAS, Ordering::SeqCst);
    let receipt = c.erase(&tenant("acme")).await.unwrap();
    assert!(!receipt.is_complete());
    backend.fault.store(NOTHING, Ordering::SeqCst);
    assert_eq!(c.search(ask("globex", "words")).await.unwrap().results.len(), 2);
    let entries = c.audit(&tenant("acme"), 0, 100).await.unwrap().entries;
    let counted: u64 =
        entries.iter().map(|entry| if let AuditEvent::Leaked { count, .. } = entry.event { count } else { 0 }).sum();
    assert_eq!(counted, leaked, "each leak is in the log of the tenant that asked");
}

#[tokio::test]
async fn invariant_05_a_policy_may_answer_without_what_leaked() {
    let (world, backend) = faulty(LeakPolicy::Drop).await;
    backend.fault.store(HITS, Ordering::SeqCst);
    assert_eq!(world.cogniverse.search(ask("acme", "words")).await.unwrap().results, []);
    backend.fault.store(PAGES, Ordering::SeqCst);
    assert!(world.cogniverse.visit_documents(VisitRequest::new(schema("acme"))).await.unwrap().documents.is_empty());
    assert_eq!(world.cogniverse.agent().leaked_hits(), 4);
    // A listing by a field as well.
    let audit = Arc::new(cogniverse::config::InMemoryAuditLog::new(Arc::new(cogniverse::sdk::SystemClock)));
    let guarded = cogniverse::guarded_backend::GuardedBackend::new(backend, audit);
    let sort = cogniverse::sdk::Sort::ascending(cogniverse::sdk::FieldName::parse("video_id").unwrap());
    let list = || ListRequest::new(schema("acme"), sort.clone());
    let error = guarded.list(list()).await.unwrap_err();
    assert_eq!((error.code(), guarded.leaked()), (ErrorCode::IsolationViolation, 2));
    let guarded = guarded.with_leak_policy(LeakPolicy::Drop);
    assert!(guarded.list(list()).await.unwrap().documents.is_empty());
}

/// A store that counts its readings, and stops one where it is told to.
#[derive(Debug)]
struct Counting {
    inner: InMemoryConfigStore,
    readings: AtomicUsize,
    marked: bool,
    stops: AtomicBool,
    stopped: Semaphore,
    goes_on: Semaphore,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            inner: InMemoryConfigStore::new(),
            readings: AtomicUsize::new(0),
            marked: false,
            stops: AtomicBool::new(false),
            stopped: Semaphore::new(0),
            goes_on: Semaphore::new(0),
        }
    }
}

impl Counting {
    fn read(&self) {
        self.readings.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ConfigStore for Counting {
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry> {
        self.inner.put(put).await
    }
    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        self.read();
        self.inner.get(key, version).await
    }
    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions> {
        self.read();
        self.inner.history(key, before, limit).await
    }
    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        self.read();
        if self.stops.swap(false, Ordering::SeqCst) {
            self.stopped.add_permits(1);
            self.goes_on.acquire().await.unwrap().forget();
        }
        self.inner.list(list).await
    }
    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        self.inner.delete(key, expected).await
    }
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.inner.erase_tenant(tenant).await
    }
    async fn export(&self, owner: &ConfigOwner, after: Option<PageCursor>, limit: usize) -> Result<ConfigPage> {
        self.read();
        self.inner.export(owner, after, limit).await
    }
    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        self.inner.import(entries).await
    }
    async fn change_mark(&self) -> Result<Option<u64>> {
        if self.marked { self.inner.change_mark().await } else { Ok(None) }
    }
}

#[tokio::test]
async fn a_search_reads_the_configuration_at_most_once_and_sees_every_change() {
    for marked in [true, false] {
        let store = Arc::new(Counting { marked, ..Counting::default() });
        let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
        let world = World::with(&["acme"], |b| {
            b.config_store(store.clone()).text_embedder(embedder).config_staleness(Duration::from_millis(300))
        })
        .await;
        world.ingest("acme", &[("v", 0.0, 1.0, "words")]).await;
        let request = || ask("acme", "words").with_memory(MemoryOptions::of_user(UserId::parse("anna").unwrap()));
        world.cogniverse.search(request()).await.unwrap();
        store.readings.store(0, Ordering::SeqCst);
        for _ in 0..5 {
            world.cogniverse.search(request()).await.unwrap();
        }
        assert_eq!(store.readings.load(Ordering::SeqCst), 0, "marked {marked}: nothing changed");
        // One reading is one record and one listing for each level.
        let config = world.cogniverse.operator().config();
        config.set_routing_config(&tenant("acme"), RoutingConfig::new(tenant("acme"))).await.unwrap();
        if !marked {
            tokio::time::sleep(Duration::from_millis(350)).await;
        }
        store.readings.store(0, Ordering::SeqCst);
        world.cogniverse.search(request()).await.unwrap();
        assert_eq!(store.readings.load(Ordering::SeqCst), 3, "marked {marked}");
        // A version can be waited for.
        let set = config.set_routing_config(&tenant("acme"), RoutingConfig::new(tenant("acme"))).await.unwrap();
        let limit = Duration::from_secs(5);
        world.cogniverse.wait_for_version::<RoutingConfig>(&tenant("acme"), set.version, limit).await.unwrap();
        let short = Duration::from_millis(50);
        let error = world.cogniverse.wait_for_version::<RoutingConfig>(&tenant("acme"), 99, short).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
}

/// A reading that began before a suspension and ends after it is believed by nobody, also where the store has no mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_of_before_a_suspension_is_not_kept_after_it() {
    let store = Arc::new(Counting::default());
    let world =
        World::with(&["acme"], |b| b.config_store(store.clone()).config_staleness(Duration::from_secs(600))).await;
    world.ingest("acme", &[("v", 0.0, 1.0, "words")]).await;
    let c = &world.cogniverse;
    // A write of this process, so that the next call reads.
    let routing = RoutingConfig::new(tenant("acme"));
    c.operator().config().set_routing_config(&tenant("acme"), routing).await.unwrap();
    store.stops.store(true, Ordering::SeqCst);
    let reading = {
        let c = c.clone();
        tokio::spawn(async move { c.search(ask("acme", "words")).await })
    };
    store.stopped.acquire().await.unwrap().forget();
    let suspending = {
        let c = c.clone();
        tokio::spawn(async move { c.suspend(&tenant("acme"), Suspend::new("unpaid")).await })
    };
    while c.tenant(&tenant("acme")).await.unwrap().state == TenantState::Active {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.goes_on.add_permits(1);
    assert_eq!(reading.await.unwrap().unwrap_err().code(), ErrorCode::TenantSuspended);
    assert_eq!(suspending.await.unwrap().unwrap().in_flight, []);
    assert_eq!(c.search(ask("acme", "words")).await.unwrap_err().code(), ErrorCode::TenantSuspended);
}

/// An encoder and embedder that takes its time.
#[derive(Debug)]
struct Slow {
    inner: HashEncoder,
    time: Duration,
    asked: AtomicUsize,
}

#[async_trait]
impl QueryEncoder for Slow {
    fn info(&self) -> &EncoderInfo {
        QueryEncoder::info(&self.inner)
    }
    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.time).await;
        self.inner.encode_query(text).await
    }
}

#[async_trait]
impl cogniverse::sdk::SegmentEncoder for Slow {
    fn info(&self) -> &EncoderInfo {
        QueryEncoder::info(&self.inner)
    }
    async fn encode_segments(&self, segments: &[cogniverse::sdk::SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        self.inner.encode_segments(segments).await
    }
}

#[async_trait]
impl TextEmbedder for Slow {
    fn info(&self) -> &EncoderInfo {
        QueryEncoder::info(&self.inner)
    }
    async fn embed(&self, texts: &[String], kind: TextKind) -> Result<Matrix<f32>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if kind == TextKind::Query {
            tokio::time::sleep(self.time).await;
        }
        self.inner.embed(texts, kind).await
    }
}

fn slow(kind: VectorKind, time: Duration) -> Arc<Slow> {
    Arc::new(Slow { inner: HashEncoder::new(384, kind), time, asked: AtomicUsize::new(0) })
}

#[tokio::test]
async fn the_time_limit_of_a_request_bounds_its_encoder_and_its_recall() {
    let encoder = slow(VectorKind::Multi, Duration::from_secs(20));
    let embedder = slow(VectorKind::Single, Duration::from_secs(20));
    let world = World::with(&["acme"], |b| b.encoder("slow", encoder.clone()).text_embedder(embedder.clone())).await;
    world.set_encoder("acme", "slow").await;
    world.ingest("acme", &[("v", 0.0, 1.0, "words")]).await;
    let scope = cogniverse::sdk::MemoryScope::new(cogniverse::sdk::AgentId::parse("video_search").unwrap());
    let memory = world.cogniverse.memory(&tenant("acme")).await.unwrap();
    memory.add(cogniverse::memory::Remember::text(scope, "likes words")).await.unwrap();
    let begin = Instant::now();
    let limit = Duration::from_millis(200);
    let by_vectors = ask("acme", "words").with_strategy(strategy("float_float")).with_timeout(limit);
    let error = world.cogniverse.search(by_vectors).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, ErrorCode::SearchTimeout), "{error}");
    assert!(begin.elapsed() < Duration::from_millis(400), "{:?}", begin.elapsed());
    assert_eq!(encoder.asked.load(Ordering::SeqCst), 1);
    // The recall never fails the search, and is given up with the request's time.
    let begin = Instant::now();
    let recalling =
        ask("acme", "words").with_timeout(limit).with_memory(MemoryOptions::of_user(UserId::parse("anna").unwrap()));
    let found = world.cogniverse.search(recalling).await.unwrap();
    assert_eq!(found.results.len(), 1);
    assert!(found.recall.unwrap().problem.unwrap().contains("longer"));
    assert!(begin.elapsed() < Duration::from_millis(400), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_recall_runs_beside_the_search_and_not_before_it() {
    let time = Duration::from_millis(400);
    let (encoder, embedder) = (slow(VectorKind::Multi, time), slow(VectorKind::Single, time));
    let world = World::with(&["acme"], |b| b.encoder("slow", encoder).text_embedder(embedder)).await;
    world.set_encoder("acme", "slow").await;
    world.ingest("acme", &[("v", 0.0, 1.0, "words")]).await;
    let scope = cogniverse::sdk::MemoryScope::new(cogniverse::sdk::AgentId::parse("video_search").unwrap());
    let scope = scope.of_user(UserId::parse("anna").unwrap());
    let memory = world.cogniverse.memory(&tenant("acme")).await.unwrap();
    memory.add(cogniverse::memory::Remember::text(scope, "likes words")).await.unwrap();
    let options = MemoryOptions::of_user(UserId::parse("anna").unwrap());
    let request = ask("acme", "words").with_strategy(strategy("float_float")).with_memory(options);
    let begin = Instant::now();
    let found = world.cogniverse.search(request).await.unwrap();
    assert_eq!((found.results.len(), found.recall.unwrap().memories.len()), (1, 1));
    assert!(begin.elapsed() < time.mul_f64(1.7), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_ends_searches_in_flight_within_a_second() {
    let encoder = slow(VectorKind::Multi, Duration::from_secs(60));
    let world = World::with(&["acme", "globex"], |b| b.encoder("slow", encoder.clone())).await;
    for name in ["acme", "globex"] {
        world.set_encoder(name, "slow").await;
        world.ingest(name, &[("v", 0.0, 1.0, "words")]).await;
    }
    let mut searches = Vec::new();
    for number in 0..64 {
        let c = world.cogniverse.clone();
        let request = ask("acme", &format!("words {number}")).with_strategy(strategy("float_float"));
        searches.push(tokio::spawn(async move { c.search(request).await }));
    }
    let neighbour = {
        let c = world.cogniverse.clone();
        tokio::spawn(async move { c.search(ask("globex", "words").with_strategy(strategy("float_float"))).await })
    };
    while encoder.asked.load(Ordering::SeqCst) < 65 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let gate = world.cogniverse.operator().gate();
    assert_eq!(gate.in_flight(&tenant("acme")).len(), 64);
    let begin = Instant::now();
    let suspension = world.cogniverse.suspend(&tenant("acme"), Suspend::new("unpaid")).await.unwrap();
    assert_eq!(suspension.in_flight, []);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    for search in searches {
        assert_eq!(search.await.unwrap().unwrap_err().code(), ErrorCode::TenantSuspended);
    }
    assert!(!neighbour.is_finished() && gate.in_flight(&tenant("globex")).len() == 1, "the neighbour goes on");
    neighbour.abort();
}

#[tokio::test]
async fn asking_for_tenants_that_do_not_exist_keeps_nothing() {
    let world = World::with(&["acme"], |b| b).await;
    for number in 0..2000 {
        let error = world.cogniverse.search(ask(&format!("nobody_{number}"), "x")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::TenantUnknown);
        assert!(!error.to_string().contains("acme"), "no other tenant is named: {error}");
    }
    for near in ["acm", "acme_", "ACME", "acme.corp", "globex_acme"] {
        let error = world.cogniverse.search(ask(near, "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{near}");
        assert!(error.to_string().contains("not found or not allowed"), "{error}");
        assert!(!error.to_string().replace(near, "").contains("acme"), "{error}");
    }
    let shown = format!("{:?}", world.cogniverse.operator().gate());
    assert!(!shown.contains("nobody_"), "they are remembered");
}

/// As many registered tenants as an operator may have: opening is quick and an inactive one costs nothing.
#[tokio::test]
async fn an_inactive_tenant_has_no_open_file_and_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    let c = Cogniverse::builder().data_dir(folder.path()).open().await.unwrap();
    for number in 0..200 {
        c.create_tenant(&tenant(&format!("t{number}")), Template::Trial).await.unwrap();
    }
    c.create(NewTenant::new(tenant("served"), Template::Trial).with_profile(profile(TEXT))).await.unwrap();
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).map(Iterator::count);
    if let Ok(files) = count("fd") {
        assert!(files < 100, "{files} open files");
    }
    let error = c.ingest(IngestRequest::new(tenant("t1"), profile(TEXT), IngestSource::Files(vec![]))).await;
    drop(error);
    drop(c.admit(&tenant("t2"), Operation::Search).await.unwrap());
}

/// The contract suites of a backend, behind the guard.
mod guarded {
    use super::*;
    use cogniverse::{config::InMemoryAuditLog, guarded_backend::GuardedBackend, sdk::SystemClock};

    async fn backend() -> (Arc<dyn SearchBackend>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let inner = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
        let audit = Arc::new(InMemoryAuditLog::new(Arc::new(SystemClock)));
        (GuardedBackend::new(Arc::new(inner), audit).to_dyn(), folder)
    }

    mod schemas {
        cogniverse_sdk::schema_store_contract! { make: super::backend(), skips: [] }
    }
    mod documents {
        cogniverse_sdk::document_store_contract! { make: super::backend(), skips: [] }
    }
    mod search {
        cogniverse_sdk::search_backend_contract! { make: super::backend(), skips: [] }
    }
    mod isolation {
        cogniverse_sdk::isolation_contract! { make: super::backend(), skips: [] }
    }
}
