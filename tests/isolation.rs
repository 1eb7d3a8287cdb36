//! The isolation of tenants, verified: every surface is attacked, each planted fault is caught, and users notice nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, ErrorCode, ErrorKind, Result, SearchRequest, Suspend, Template, TenantId,
    embedded::{Durability, EmbeddedBackend, EmbeddedConfig},
    encoders::HashEncoder,
    isolation::IsolationReport,
    memory::Remember,
    sdk::{
        AgentId, Caller, CallerId, DeployedSchema, Document, DocumentId, Inventory, MemoryScope, Remains, Role,
        SchemaName, SearchBackend, SurfaceErasure, TenantSchema, TenantSurface, Timestamp, VectorKind,
        document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
        isolation::{self, Attack, Canary, Planting},
    },
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};
use vespa_testkit::TestServer;
use world::{
    TEXT, World,
    leaky::{Fault, Leaky},
    profile, strategy, tenant,
};

const TENANTS: [&str; 2] = ["acme", "acme_corp"];

fn schema_of(name: &str) -> TenantSchema {
    TenantSchema::new(&tenant(name), &SchemaName::parse(TEXT).unwrap())
}

/// Two tenants with documents and memories, over an embedded backend that a fault may be put before.
async fn world(fault: impl FnOnce() -> Option<Fault>) -> (World, Arc<dyn SearchBackend>) {
    let data = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(data.path()).with_durability(Durability::ProcessCrash);
    let raw: Arc<dyn SearchBackend> = Arc::new(EmbeddedBackend::open(config).await.unwrap());
    let leaky = fault().map(|fault| Arc::new(Leaky::with_fault(Arc::clone(&raw), fault)));
    let backend: Arc<dyn SearchBackend> = match &leaky {
        Some(leaky) => Arc::clone(leaky) as _,
        None => Arc::clone(&raw),
    };
    leaky.iter().for_each(|leaky| leaky.sound.store(true, Ordering::SeqCst));
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&TENANTS, |b| b.backend(backend).text_embedder(embedder)).await;
    std::mem::forget(data);
    fill(&world).await;
    leaky.iter().for_each(|leaky| leaky.sound.store(false, Ordering::SeqCst));
    (world, raw)
}

async fn fill(world: &World) {
    for name in TENANTS {
        let text = format!("words of {name}");
        world.ingest(name, &[("talk", 0.0, 1.0, &text), ("talk", 1.0, 2.0, "more words")]).await;
        let scope = MemoryScope::new(AgentId::parse("search").unwrap());
        let memory = world.cogniverse.memory(&tenant(name)).await.unwrap();
        memory.add(Remember::text(scope, "prefers short videos")).await.unwrap();
    }
}

async fn verify(world: &World) -> IsolationReport {
    world.cogniverse.verify_isolation(&tenant("acme"), &tenant("acme_corp")).await.unwrap()
}

#[tokio::test]
async fn two_tenants_are_apart_on_every_surface_and_nothing_of_the_check_is_left() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&TENANTS, |b| b.text_embedder(embedder)).await;
    fill(&world).await;
    let before = usage(&world.cogniverse, "acme").await;
    let began = Instant::now();
    let report = verify(&world).await;
    let took = began.elapsed();
    assert!(report.isolated, "{report}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let checked: BTreeSet<&str> = report.checks.iter().map(|check| check.surface.as_str()).collect();
    let expected = [
        "access",
        "audit",
        "configuration",
        "descriptions",
        "documents",
        "experience",
        "files",
        "memories",
        "quotas",
        "screen_texts",
        "telemetry",
        "transcripts",
    ];
    assert_eq!(checked.into_iter().collect::<Vec<_>>(), expected);
    let unchecked: Vec<&str> = report.not_checked.iter().map(|surface| surface.surface.as_str()).collect();
    assert_eq!(unchecked, ["backups", "caches"], "and why: {:?}", report.not_checked);
    for attack in ["bm25_only", "float_float", "binary_binary", "phased"].map(|name| format!("{TEXT}/search:{name}")) {
        let both: Vec<&str> =
            report.checks.iter().filter(|check| check.attack == attack).map(|check| check.to.as_str()).collect();
        assert_eq!(both, ["acme_corp", "acme"], "{attack}");
    }
    for attack in ["memories:tenant", "memories:scope", "memories:user"] {
        assert!(report.checks.iter().any(|check| check.attack == format!("agent_memories/{attack}")), "{attack}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["isolated"], true);
    for part in ["surface", "attack", "from", "to", "ok", "evidence"] {
        assert!(!json["checks"][0][part].is_null(), "{json}");
    }
    assert_eq!(usage(&world.cogniverse, "acme").await, before, "a check counts in no quota");
    for name in TENANTS {
        let plan = world.cogniverse.plan_erasure(&tenant(name)).await.unwrap();
        let items = |of: &str| plan.surfaces.iter().find(|surface| surface.name == of).unwrap().items;
        // Two segments, and the record of their video.
        assert_eq!((items("documents"), items("transcripts")), (Some(3), Some(0)), "{plan:?}");
    }
    for kept in ["transcripts", "descriptions", "screen_texts"] {
        assert!(!world.folder.path().join(kept).join(tenant("acme").file_name()).exists());
    }
}

async fn usage(cogniverse: &Cogniverse, of: &str) -> Vec<(String, Option<u64>)> {
    let used = cogniverse.usage(&tenant(of)).await.unwrap();
    used.into_iter()
        .map(|usage| (usage.quota.to_string(), usage.used))
        .filter(|(name, _)| name != "api_calls")
        .collect()
}

#[tokio::test]
async fn each_planted_fault_is_caught_and_named() {
    let faults: [(&str, Fault); 5] = [
        ("/search:", Fault::AnswersWith(schema_of("acme"))),
        ("/search:", Fault::CachesWithoutTenant(Mutex::default())),
        ("/visit:continuation", Fault::TakesAnyContinuation),
        ("/get:id", Fault::FindsIdsOf(schema_of("acme"))),
        ("/count:filter", Fault::TellsOf(tenant("acme"))),
    ];
    for (attack, fault) in faults {
        let kind = format!("{fault:?}");
        let (world, _) = world(|| Some(fault)).await;
        let report = verify(&world).await;
        assert!(!report.isolated, "{kind}: {report}");
        let caught = report.failed().find(|check| check.from.as_str() == "acme" && check.to.as_str() == "acme_corp");
        let caught = caught.unwrap_or_else(|| panic!("{kind}: {report}"));
        assert!(caught.attack.contains(attack), "{kind}: {report}");
        assert!(!caught.evidence.contains("words of"), "{caught:?}");
    }
}

/// A part of a service's own, with a cache that does not tell tenants apart.
#[derive(Debug, Default)]
struct Notes {
    kept: Mutex<HashMap<&'static str, String>>,
}

#[async_trait]
impl TenantSurface for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }
    async fn inventory(&self, _: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(0))
    }
    async fn erase(&self, _: &TenantId) -> Result<SurfaceErasure> {
        Ok(SurfaceErasure::of(0))
    }
    async fn remains(&self, _: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(0))
    }
    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        self.kept.lock().unwrap().insert("note", canary.word.clone());
        Ok(Planting::Planted)
    }
    async fn attack(&self, _attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let found = self.kept.lock().unwrap().get("note").is_some_and(|note| *note == canary.word);
        Ok(vec![Attack::of("read", !found, "the note is the other's")])
    }
    async fn remove_canary(&self, _: &Canary) -> Result<u64> {
        Ok(u64::from(self.kept.lock().unwrap().remove("note").is_some()))
    }
}

#[tokio::test]
async fn a_surface_of_ones_own_is_attacked_too_and_what_it_cannot_do_is_said() {
    let notes = Arc::new(Notes::default());
    let world = World::with(&TENANTS, |b| b.surface(notes.clone())).await;
    let report = verify(&world).await;
    let caught: Vec<&str> = report.failed().map(|check| check.surface.as_str()).collect();
    assert_eq!(caught, ["notes", "notes"], "{report}");
    assert!(notes.kept.lock().unwrap().is_empty(), "what was planted is removed");
    let unchecked: BTreeSet<&str> = report.not_checked.iter().map(|surface| surface.surface.as_str()).collect();
    assert_eq!(unchecked, BTreeSet::from(["memories", "backups", "caches"]), "{report}");
}

/// Plants a canary and leaves it, as a process does that is killed.
async fn leave_a_canary(raw: &dyn SearchBackend, of: &str, at: Timestamp) -> Canary {
    let canary = Canary::new(tenant(of), at, 1, Duration::from_secs(60));
    let served = raw.served(&schema_of(of)).await.unwrap();
    let deployed = DeployedSchema::new(served.schema, served.definition, served.deployed_at);
    isolation::plant_documents(raw, &deployed, &canary).await.unwrap();
    canary
}

#[tokio::test]
async fn users_meet_no_canary_and_what_a_crash_left_is_removed_by_the_next_check() {
    let (world, raw) = world(|| None).await;
    let (acme, c) = (tenant("acme"), &world.cogniverse);
    let counted = usage(c, "acme").await;
    let hour_ago = Timestamp::now().saturating_sub(Duration::from_secs(3600)).unwrap();
    let canary = leave_a_canary(&*raw, "acme", hour_ago).await;
    assert_eq!(raw.count(&schema_of("acme"), None).await.unwrap(), 4);
    let backend = c.operator().backend();
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap(), 2);
    let video = cogniverse::Filter::equals(cogniverse::sdk::FieldName::parse("video_id").unwrap(), "talk");
    assert_eq!(backend.count(&schema_of("acme"), Some(&video)).await.unwrap(), 2);
    assert_eq!(backend.count(&schema_of("acme"), Some(&video.negate())).await.unwrap(), 0);
    let page = backend.visit(VisitRequest::new(schema_of("acme"))).await.unwrap();
    assert_eq!(page.documents.len(), 2);
    let ids = Canary::ids(&tenant("acme")).unwrap();
    assert_eq!(backend.get(GetRequest::new(schema_of("acme"), ids.clone())).await.unwrap(), [None, None]);
    assert_eq!(usage(c, "acme").await, counted);
    // By its own word, and by what ranks everything.
    let search = |text: &str, top| {
        SearchRequest::new(acme.clone(), profile(TEXT), text).with_strategy(strategy("bm25_only")).with_top_k(top)
    };
    assert!(c.search(search(&canary.word, 10)).await.unwrap().results.is_empty());
    let mut query = cogniverse::sdk::BackendQuery::new(schema_of("acme"), strategy("float_float"));
    query.vectors = Some(cogniverse::sdk::Matrix::new(384, vec![0.05; 384]).unwrap());
    query.limit = 2;
    assert!(backend.search(query).await.unwrap().hits.iter().all(|hit| !Canary::is_reserved(&hit.document.id)));
    // No user takes the place of a canary.
    let taken = Document::new(ids[0].clone());
    let fine = Document::new(DocumentId::parse("mine").unwrap());
    let report = backend.put(PutRequest::new(schema_of("acme"), vec![taken, fine])).await.unwrap();
    assert_eq!(report.stored(), 1, "{report:?}");
    let refused = report.failures().next().unwrap();
    assert_eq!(refused.error.as_ref().unwrap().kind(), ErrorKind::InvalidInput);
    // Nor changes or removes one, by its id or by a condition that it meets.
    let update = DocumentUpdate::assign(ids[0].clone(), cogniverse::sdk::document::Fields::new());
    let report = backend.update(UpdateRequest::new(schema_of("acme"), vec![update])).await.unwrap();
    assert_eq!(report.failures().next().unwrap().error.as_ref().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(backend.delete(DeleteRequest::ids(schema_of("acme"), ids.clone())).await.unwrap(), 0);
    let early = cogniverse::Filter::between(cogniverse::sdk::FieldName::parse("start_time").unwrap(), -1.0, 0.5);
    assert_eq!(backend.count(&schema_of("acme"), Some(&early)).await.unwrap(), 1);
    assert_eq!(backend.delete(DeleteRequest::matching(schema_of("acme"), early)).await.unwrap(), 1);
    assert_eq!(
        raw.count(&schema_of("acme"), None).await.unwrap(),
        4,
        "two canaries, a segment, and the one that was put"
    );
    // A page as large as a page may be is one, whatever is in it.
    let mut query = cogniverse::sdk::BackendQuery::new(schema_of("acme"), strategy("float_float"));
    query.vectors = Some(cogniverse::sdk::Matrix::new(384, vec![0.05; 384]).unwrap());
    query.limit = cogniverse::schemas::MAX_WINDOW;
    backend.search(query).await.unwrap();
    // The next check takes over what is old, and leaves nothing.
    let report = verify(&world).await;
    assert!(report.isolated, "{report}");
    assert_eq!(raw.count(&schema_of("acme"), None).await.unwrap(), 2);
}

#[tokio::test]
async fn another_process_that_checks_is_not_disturbed() {
    let (world, raw) = world(|| None).await;
    leave_a_canary(&*raw, "acme", Timestamp::now()).await;
    let report = verify(&world).await;
    assert!(!report.isolated);
    assert!(report.failed().any(|check| check.evidence.contains("another check")), "{report}");
    let ids = Canary::ids(&tenant("acme")).unwrap();
    let left = raw.get(GetRequest::new(schema_of("acme"), ids)).await.unwrap();
    assert!(left.iter().all(Option::is_some), "the other's canary is its own to remove");
}

#[tokio::test]
async fn what_is_planted_is_removed_also_where_the_caller_gives_up() {
    let (world, raw) = world(|| None).await;
    let (a, b) = (tenant("acme"), tenant("acme_corp"));
    for wait in [0, 1, 3, 10, 30] {
        let checking = world.cogniverse.verify_isolation(&a, &b);
        drop(tokio::time::timeout(Duration::from_millis(wait), checking).await);
    }
    // The one after them takes its turn, and finds nothing but its own.
    assert!(verify(&world).await.isolated);
    for name in TENANTS {
        assert_eq!(raw.count(&schema_of(name), None).await.unwrap(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_deleted_memory_does_not_come_back_by_a_check_and_an_empty_store_is_empty() {
    let (world, raw) = world(|| None).await;
    let memories = TenantSchema::new(&tenant("acme"), &SchemaName::parse("agent_memories").unwrap());
    let backend = world.cogniverse.operator().backend();
    let before = backend.count(&memories, None).await.unwrap();
    let served = raw.served(&memories).await.unwrap();
    let canary = Canary::new(tenant("acme"), Timestamp::now(), 1, Duration::ZERO);
    isolation::plant_documents(&*raw, &served, &canary).await.unwrap();
    assert_eq!(backend.count(&memories, None).await.unwrap(), before);
    let all = cogniverse::Filter::All(Vec::new());
    backend.delete(DeleteRequest::matching(memories.clone(), all)).await.unwrap();
    assert_eq!(backend.count(&memories, None).await.unwrap(), 0);
    assert!(backend.drop_empty_schema(&memories).await.unwrap(), "canaries alone are nothing");
}

#[tokio::test]
async fn who_may_check_and_what() {
    let world = World::with(&TENANTS, |b| b).await;
    let (acme, other) = (tenant("acme"), tenant("acme_corp"));
    let c = &world.cogniverse;
    assert_eq!(c.verify_isolation(&acme, &acme).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let unknown = c.verify_isolation(&acme, &tenant("nobody")).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::TenantUnknown);
    let anna = Caller::new(CallerId::parse("anna").unwrap()).with_tenant(acme.clone()).with_role(Role::Admin);
    let denied = c.for_caller(anna).verify_isolation(&acme, &other).await.unwrap_err();
    assert_eq!(denied.code(), ErrorCode::TenantUnknown);
    c.suspend(&acme, Suspend::new("unpaid")).await.unwrap();
    assert!(verify(&world).await.isolated, "a suspended tenant is one to be kept apart too");
    c.erase(&acme).await.unwrap();
    let gone = c.verify_isolation(&acme, &other).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::FailedPrecondition);
}

#[tokio::test]
async fn a_tenant_that_is_being_erased_is_not_said_to_be_isolated() {
    let world = World::with(&TENANTS, |b| b).await;
    let tenants = world.cogniverse.operator().tenants();
    let mut json = serde_json::to_value(tenants.get(&tenant("acme")).await.unwrap()).unwrap();
    (json["tenant"], json["state"]) = ("half_gone".into(), "erasing".into());
    let record = serde_json::from_value(json).unwrap();
    tenants.put(&record, cogniverse::sdk::Expected::Absent).await.unwrap();
    let report = world.cogniverse.verify_isolation(&tenant("half_gone"), &tenant("acme")).await.unwrap();
    assert!(!report.isolated && report.checks.is_empty() && !report.not_checked.is_empty(), "{report}");
}

#[tokio::test]
async fn all_tenants_are_checked_against_each_other_or_their_neighbours() {
    let world = World::with(&["acme"], |b| b).await;
    let alone = world.cogniverse.operator().verify_isolation_of_all().await.unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::FailedPrecondition);
    for number in 0..13 {
        world.cogniverse.create_tenant(&tenant(&format!("tenant_{number:02}")), Template::Trial).await.unwrap();
    }
    let report = world.cogniverse.operator().verify_isolation_of_all().await.unwrap();
    assert!(report.isolated, "{report}");
    let pairs: BTreeSet<(&str, &str)> =
        report.checks.iter().map(|check| (check.from.as_str(), check.to.as_str())).collect();
    assert_eq!(pairs.len(), 14, "{pairs:?}");
    assert!(pairs.contains(&("tenant_12", "acme")) && pairs.contains(&("tenant_03", "tenant_04")));
}

#[tokio::test]
async fn the_same_check_on_vespas_wire() {
    let server = TestServer::start().await.unwrap();
    let vespa = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&TENANTS, |b| b.backend(Arc::new(vespa)).text_embedder(embedder)).await;
    fill(&world).await;
    let began = Instant::now();
    let report = verify(&world).await;
    let took = began.elapsed();
    assert!(report.isolated, "{report}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let searches = report.checks.iter().filter(|check| check.attack.contains("search:")).count();
    assert!(searches >= 8, "{searches}");
}

/// What a service keeps in its folder, as the surface that knows it.
const STORES: &[(&str, &str)] = &[
    ("config.sqlite", "configuration"),
    ("quotas.sqlite", "quotas"),
    ("experience.sqlite", "experience"),
    ("transcripts/", "transcripts"),
    ("descriptions/", "descriptions"),
    ("screen_texts/", "screen_texts"),
    ("tenants/", "files"),
    ("catalog.sqlite", "documents"),
];
/// What is there for all tenants, and holds nothing of any.
const SHARED: &[&str] = &["LOCK"];
/// The tables of the databases, each with the surface that reads and erases the tenant's rows.
const TABLES: &[(&str, &str)] = &[
    ("config.sqlite config_versions", "configuration"),
    ("quotas.sqlite quotas", "quotas"),
    ("experience.sqlite experiences", "experience"),
    ("experience.sqlite states", "experience"),
    // Which generations were erased, so that nothing of them is stored any more.
    ("experience.sqlite erased", "experience"),
    ("catalog.sqlite deployments", "documents"),
    ("catalog.sqlite drops", "documents"),
    ("documents.sqlite documents", "documents"),
    ("documents.sqlite vector_files", "documents"),
    ("documents.sqlite blocks", "documents"),
];
/// The tables without rows of one tenant among others': counters, and what belongs to the database as a whole. A store of
/// vectors lies in the tenant's own database.
const TABLES_OF_NOBODY: &[&str] = &["meta", "changes", "sqlite_sequence"];

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => below(&path, found),
            false => found.push(path),
        }
    }
}

#[tokio::test]
async fn every_table_folder_and_store_has_a_surface() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&TENANTS, |b| b.text_embedder(embedder)).await;
    fill(&world).await;
    for kept in ["transcripts", "descriptions", "screen_texts"] {
        let kept = world.folder.path().join(kept);
        std::fs::create_dir_all(kept.join("acme")).unwrap();
        std::fs::write(kept.join("acme/a.b.json"), "{}").unwrap();
    }
    let names: BTreeSet<&str> =
        world.cogniverse.operator().lifecycle().surfaces().iter().map(|surface| surface.name()).collect();
    let mut found = Vec::new();
    below(world.folder.path(), &mut found);
    found.retain(|path| !path.ends_with("segments.jsonl"));
    let mut met = BTreeSet::new();
    for path in &found {
        let name = path.strip_prefix(world.folder.path()).unwrap().to_string_lossy().replace('\\', "/");
        match STORES.iter().find(|(start, _)| name.starts_with(start)) {
            Some((start, surface)) => {
                assert!(names.contains(surface), "{name}: no surface {surface}");
                met.insert(*start);
            }
            None => assert!(SHARED.contains(&&*name), "{name} has no surface; give it one, or say why it needs none"),
        }
    }
    assert_eq!(met.len(), STORES.len(), "a store of the list is not there: {met:?}");
    let mut tables = 0;
    for path in found.iter().filter(|path| path.extension().is_some_and(|end| end == "sqlite")) {
        let database = rusqlite::Connection::open(path).unwrap();
        let mut all = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        for table in all.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap) {
            let name = format!("{} {table}", path.file_name().unwrap().to_string_lossy());
            if TABLES_OF_NOBODY.contains(&&*table) {
                continue;
            }
            let surface = TABLES.iter().find(|(known, _)| *known == name);
            let (_, surface) = surface.unwrap_or_else(|| panic!("the table {name} has no surface"));
            assert!(names.contains(surface), "{name}: no surface {surface}");
            tables += 1;
        }
    }
    assert!(tables >= TABLES.len(), "{tables}");
}
