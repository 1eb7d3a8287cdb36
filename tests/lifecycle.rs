//! The life of tenants: creation, suspension, reactivation, erasure, and the next generation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, ErrorCode, ErrorKind, IngestRequest, IngestSource, NewTenant, Operation, Result, SearchRequest,
    Suspend, Template, TenantId,
    agents::PageCursor,
    config::{InMemoryConfigStore, SqliteConfigStore, SystemConfig, TelemetryConfig},
    embedded::{EmbeddedBackend, EmbeddedConfig},
    encoders::HashEncoder,
    memory::{MemoryQuery, Remember},
    sdk::{
        AgentId, AuditEvent, ConfigEntry, ConfigKey, ConfigOwner, ConfigStore, Expected, ManualClock, MemoryReach,
        MemoryScope, ProjectName, Remains, SpanQuery, SurfaceErasure, TelemetryProvider, TenantSurface, Timestamp,
        VectorKind,
        config_store::{ConfigPage, ConfigVersions, ListConfig, PutConfig},
        document_store::VisitRequest,
        memory_store::ListMemories,
        telemetry_provider::{
            AnnotateReceipt, AnnotateSpans, AnnotationPage, AnnotationQuery, ErasureReceipt as ProjectReceipt,
            ProjectInfo, Settle, SpanPage,
        },
        tenant_surface::Inventory,
    },
    tenants::{ErasureReceipt, TenantState},
};
use serde_json::Map;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use world::{TEXT, World, profile, strategy, tenant};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn ask(of: &str, query: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), query).with_strategy(strategy("bm25_only"))
}

fn surface<'r>(receipt: &'r ErasureReceipt, name: &str) -> &'r cogniverse::tenants::SurfaceReceipt {
    receipt.surfaces.iter().find(|surface| surface.name == name).unwrap()
}

async fn suspend_and_erase(cogniverse: &Cogniverse, name: &str) -> ErasureReceipt {
    cogniverse.suspend(&tenant(name), Suspend::new("the contract ended")).await.unwrap();
    cogniverse.erase(&tenant(name)).await.unwrap()
}

#[tokio::test]
async fn a_tenant_moves_as_it_may_and_each_refusal_names_the_state_and_the_way_out() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let world = World::with(&[], |b| b.clock(clock.clone())).await;
    let (c, acme) = (&world.cogniverse, tenant("acme"));
    let refused = |error: cogniverse::Error, parts: &[&str]| {
        assert_eq!(error.code(), ErrorCode::TenantStateMismatch, "{error}");
        parts.iter().for_each(|part| assert!(error.to_string().contains(part), "{part}: {error}"));
    };
    assert_eq!(c.erase(&acme).await.unwrap_err().kind(), ErrorKind::NotFound);
    c.create_tenant(&acme, Template::Startup).await.unwrap();
    refused(c.reactivate(&acme).await.unwrap_err(), &["active", "nothing is to be done"]);
    refused(c.erase(&acme).await.unwrap_err(), &["active", "suspend it first"]);
    clock.advance(DAY);
    let suspended = c.suspend(&acme, Suspend::new("unpaid")).await.unwrap().record;
    assert_eq!(suspended.retain_until, Some(Timestamp::UNIX_EPOCH + 91 * DAY));
    refused(c.suspend(&acme, Suspend::new("again")).await.unwrap_err(), &["suspended", "reactivate it, or erase it"]);
    let again = c.suspend(&acme, Suspend::new("unpaid")).await.unwrap().record;
    assert_eq!(again, suspended, "the same suspension is finished, not begun again");
    let error = c.search(ask("acme", "words")).await.unwrap_err();
    for part in ["1970-01-02", "unpaid", "reactivate"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(c.reactivate(&acme).await.unwrap().reason, None);
    let receipt = suspend_and_erase(c, "acme").await;
    assert!(receipt.is_complete(), "{receipt:?}");
    assert_eq!(c.erase(&acme).await.unwrap(), receipt, "the receipt is given again");
    refused(c.suspend(&acme, Suspend::new("x")).await.unwrap_err(), &["erased", "create it anew"]);
    refused(c.reactivate(&acme).await.unwrap_err(), &["erased", "create it anew"]);
    assert_eq!(c.search(ask("acme", "words")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
}

#[tokio::test]
async fn retention_ends_by_the_clock_and_a_clock_that_goes_back_ends_none() {
    let clock = Arc::new(ManualClock::new("2030-01-01T00:00:00Z".parse().unwrap()));
    let world = World::with(&["acme", "globex", "initech"], |b| b.clock(clock.clone())).await;
    let (c, operator) = (&world.cogniverse, world.cogniverse.operator());
    c.suspend(&tenant("acme"), Suspend::new("unpaid").with_retention(2 * DAY)).await.unwrap();
    c.suspend(&tenant("globex"), Suspend::new("unpaid").with_retention(20 * DAY)).await.unwrap();
    assert_eq!(operator.expired(None).await.unwrap().0, []);
    clock.advance(3 * DAY);
    let (expired, next) = operator.expired(None).await.unwrap();
    assert_eq!((expired.len(), expired[0].tenant.as_str(), next), (1, "acme", None));
    let error = c.reactivate(&tenant("acme")).await.unwrap_err();
    assert!(error.to_string().contains("2030-01-03") && error.to_string().contains("erase it"), "{error}");
    // The clock is set back before the suspension: nothing is believed to be over.
    clock.advance(Duration::ZERO);
    let sweep = operator.erase_expired().await.unwrap();
    assert_eq!((sweep.receipts.len(), sweep.failed), (1, vec![]));
    assert!(sweep.receipts[0].1.is_complete());
    assert_eq!(c.tenant(&tenant("acme")).await.unwrap().state, TenantState::Erased);
    assert_eq!(c.tenant(&tenant("globex")).await.unwrap().state, TenantState::Suspended);
    assert_eq!(c.reactivate(&tenant("globex")).await.unwrap().state, TenantState::Active);
}

#[tokio::test]
async fn a_creation_is_one_call_and_the_same_call_changes_nothing() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&[], |b| b.text_embedder(embedder)).await;
    let (c, acme) = (&world.cogniverse, tenant("acme"));
    let overrides = [("llm_model".to_owned(), "deepseek-r1:7b".into())].into_iter().collect::<Map<_, _>>();
    let new = || {
        NewTenant::new(acme.clone(), Template::Enterprise)
            .with_overrides(overrides.clone())
            .with_profile(profile(TEXT))
            .with_memories()
    };
    let made = c.create(new()).await.unwrap();
    assert_eq!((made.state, made.generation), (TenantState::Active, 1));
    let config = c.get_config::<SystemConfig>(&acme).await.unwrap();
    assert_eq!((config.version, config.value.llm_model.as_str()), (1, "deepseek-r1:7b"));
    let bases = async || -> Vec<String> {
        c.list_schemas(&acme).await.unwrap().iter().map(|deployed| deployed.schema.base().to_string()).collect()
    };
    assert_eq!(bases().await, ["agent_memories", TEXT]);
    assert_eq!(c.create(new()).await.unwrap(), made);
    assert_eq!(c.get_config::<SystemConfig>(&acme).await.unwrap().version, 1);
    // Another input is another creation.
    let error = c.create(NewTenant::new(acme.clone(), Template::Trial)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TenantExists, "{error}");
    // What cannot be created is refused as a whole, before anything is written.
    let wrong = NewTenant::new(tenant("wrong"), Template::Trial).with_profile(profile("no_such_profile"));
    assert_eq!(c.create(wrong).await.unwrap_err().code(), ErrorCode::ProfileUnknown);
    let wrong = [("no_such_field".to_owned(), 1.into())].into_iter().collect();
    let wrong = NewTenant::new(tenant("wrong"), Template::Trial).with_overrides(wrong);
    assert_eq!(c.create(wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(c.operator().tenants().find(&tenant("wrong")).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_left_under_an_id_never_becomes_a_new_tenants() {
    let world = World::with(&[], |b| b).await;
    let (c, acme) = (&world.cogniverse, tenant("acme"));
    // As a release before left it: a configuration, and no record.
    let left = serde_json::json!({ "tenant_id": "acme", "llm_model": "left/over" });
    let key = <SystemConfig as cogniverse::config::ConfigSection>::key_of(&acme);
    let store = c.operator().config().store().clone();
    store.put(PutConfig::new(key, left)).await.unwrap();
    let error = c.create_tenant(&acme, Template::Enterprise).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("erase_tenant") && !error.to_string().contains("left/over"), "{error}");
    assert_eq!(c.tenant(&acme).await.unwrap_err().kind(), ErrorKind::NotFound, "there is no half of a tenant");
    c.operator().config().erase_tenant(&acme).await.unwrap();
    // A schema counts as well: its documents would be the new tenant's.
    let base = cogniverse::SchemaName::parse(TEXT).unwrap();
    c.operator().schemas().deploy(&acme, &base).await.unwrap();
    let error = c.create_tenant(&acme, Template::Enterprise).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Conflict && error.to_string().contains(TEXT), "{error}");
    c.operator().schemas().drop_schema(&acme, &base).await.unwrap();
    c.create_tenant(&acme, Template::Enterprise).await.unwrap();
    assert_eq!(c.get_config::<SystemConfig>(&acme).await.unwrap().value.llm_model, "mistral:7b-instruct");
}

/// Two libraries over one configuration and one backend, as two processes are.
async fn two_processes(folder: &Path) -> [Cogniverse; 2] {
    let backend = Arc::new(EmbeddedBackend::open(EmbeddedConfig::new(folder.join("index"))).await.unwrap());
    let mut both = Vec::new();
    for _ in 0..2 {
        let store: Arc<dyn ConfigStore> =
            Arc::new(SqliteConfigStore::open(folder.join("config.sqlite")).await.unwrap());
        let builder = Cogniverse::builder().data_dir(folder).backend(backend.clone()).config_store(store);
        both.push(builder.open().await.unwrap());
    }
    both.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_at_once_one_moves_a_tenant_and_the_other_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = two_processes(folder.path()).await;
    for round in 0..24 {
        let name = format!("tenant_{round}");
        let id = tenant(&name);
        let make = |c: &Cogniverse, template| {
            let (c, id) = (c.clone(), id.clone());
            tokio::spawn(async move { c.create_tenant(&id, template).await })
        };
        // The same input in both: one tenant, both told of it.
        let (a, b) = (make(&one, Template::Trial), make(&two, Template::Trial));
        let (a, b) = (a.await.unwrap().unwrap(), b.await.unwrap().unwrap());
        assert_eq!((a.generation, a.state), (b.generation, b.state), "round {round}");
        let moved = |c: &Cogniverse, reason: &'static str| {
            let (c, id) = (c.clone(), id.clone());
            tokio::spawn(async move { c.suspend(&id, Suspend::new(reason)).await })
        };
        let (a, b) = (moved(&one, "first"), moved(&two, "second"));
        let outcomes = [a.await.unwrap(), b.await.unwrap()];
        let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "round {round}: {outcomes:?}");
        for c in [&one, &two] {
            assert_eq!(c.tenant(&id).await.unwrap(), won[0].record);
            assert_eq!(c.search(ask(&name, "x")).await.unwrap_err().code(), ErrorCode::TenantSuspended);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_creations_of_other_templates_leave_the_one_that_won() {
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = two_processes(folder.path()).await;
        let make =
            |c: Cogniverse, template| tokio::spawn(async move { c.create_tenant(&tenant("acme"), template).await });
        let both = [
            (Template::Enterprise, make(one.clone(), Template::Enterprise)),
            (Template::Trial, make(two, Template::Trial)),
        ];
        let mut won = Vec::new();
        for (template, task) in both {
            match task.await.unwrap() {
                Ok(_) => won.push(template),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        let source = one.get_config::<SystemConfig>(&tenant("acme")).await.unwrap().source;
        assert_eq!(source, cogniverse::config::Source::Template(won[0].to_string()), "round {round}");
    }
}

#[tokio::test]
async fn invariant_22_a_suspension_by_another_process_is_seen_by_the_next_call_and_empties_the_caches() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = two_processes(folder.path()).await;
    one.create(NewTenant::new(tenant("acme"), Template::Trial).with_profile(profile(TEXT))).await.unwrap();
    two.search(ask("acme", "words")).await.unwrap();
    let grant = two.admit(&tenant("acme"), Operation::Ingest).await.unwrap();
    one.suspend(&tenant("acme"), Suspend::new("unpaid")).await.unwrap();
    assert_eq!(two.search(ask("acme", "words")).await.unwrap_err().code(), ErrorCode::TenantSuspended);
    // What is under way there was told as well.
    assert_eq!(grant.check().unwrap_err().code(), ErrorCode::TenantSuspended);
    assert_eq!(grant.renew().await.unwrap_err().code(), ErrorCode::TenantSuspended);
    drop(grant);
    let plan = two.plan_erasure(&tenant("acme")).await.unwrap();
    let caches = plan.surfaces.iter().find(|surface| surface.name == "caches").unwrap();
    assert_eq!(caches.items, Some(0), "{plan:?}");
    one.reactivate(&tenant("acme")).await.unwrap();
    two.search(ask("acme", "words")).await.unwrap();
}

/// Every file under a folder, whole.
fn all_bytes(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(all_bytes(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

fn files_with(folder: &Path, word: &str) -> Vec<std::path::PathBuf> {
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    all_bytes(folder).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
}

#[tokio::test]
async fn after_an_erasure_no_word_of_the_tenant_is_left_in_any_byte() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let folder = tempfile::tempdir().unwrap();
    let open = || Cogniverse::builder().data_dir(folder.path().join("data")).text_embedder(embedder.clone()).open();
    let c = open().await.unwrap();
    let scope = MemoryScope::new(AgentId::parse("agent").unwrap());
    for (name, word) in [("acme", "xylophonist"), ("globex", "zeppelins")] {
        let model = format!("ollama/{word}model");
        let overrides = [("llm_model".to_owned(), model.into())].into_iter().collect();
        let new = NewTenant::new(tenant(name), Template::Trial).with_overrides(overrides);
        c.create(new.with_profile(profile(TEXT)).with_memories()).await.unwrap();
        for version in 0..40 {
            let changed = SystemConfig::new(tenant(name)).with_llm_model(format!("ollama/{word}{version}"));
            c.set_config(&tenant(name), changed, Expected::Any, "a better model").await.unwrap();
        }
        let mut lines = String::new();
        for number in 0..300 {
            lines.push_str(&format!(
                "{{\"video_id\":\"{word}video\",\"segment_id\":{number},\"start_time\":{number},\"end_time\":{},\"audio_transcript\":\"{word} number {number}\"}}\n",
                number + 1
            ));
        }
        let file = folder.path().join(format!("{name}.jsonl"));
        std::fs::write(&file, lines).unwrap();
        c.ingest(IngestRequest::new(tenant(name), profile(TEXT), IngestSource::Segments(file))).await.unwrap();
        let memory = c.memory(&tenant(name)).await.unwrap();
        memory.add(Remember::text(scope.clone(), format!("likes {word}"))).await.unwrap();
        for kept in ["transcripts", "descriptions", "screen_texts"] {
            let kept = folder.path().join("data").join(kept).join(tenant(name).file_name());
            std::fs::create_dir_all(&kept).unwrap();
            std::fs::write(kept.join("digest.key.json"), format!("{{\"text\": \"{word}\"}}")).unwrap();
        }
        c.search(ask(name, word)).await.unwrap();
    }
    assert!(files_with(&folder.path().join("data"), "xylophonist").len() >= 3, "the test looks in the right place");
    let plan = {
        c.suspend(&tenant("acme"), Suspend::new("the contract ended")).await.unwrap();
        c.plan_erasure(&tenant("acme")).await.unwrap()
    };
    let planned = |name: &str| plan.surfaces.iter().find(|surface| surface.name == name).unwrap().items.unwrap();
    assert_eq!((planned("documents"), planned("memories"), planned("transcripts")), (301, 2, 1), "{plan:?}");
    assert_eq!(planned("configuration"), 42);
    let receipt = c.erase(&tenant("acme")).await.unwrap();
    assert!(receipt.is_complete(), "{receipt:?}");
    let kept = [("transcripts", 1), ("descriptions", 1), ("screen_texts", 1)];
    for (name, erased) in [("documents", 301), ("memories", 2), ("configuration", 42)].into_iter().chain(kept) {
        let entry = surface(&receipt, name);
        assert_eq!((entry.erased, entry.remaining, &entry.error), (erased, Some(0), &None), "{name}");
    }
    assert_eq!(files_with(&folder.path().join("data"), "xylophonist"), Vec::<std::path::PathBuf>::new());
    assert_eq!(c.search(ask("globex", "zeppelins")).await.unwrap().results.len(), 10, "the other tenant has all");
    drop(c);
    let c = open().await.unwrap();
    assert_eq!(files_with(&folder.path().join("data"), "xylophonist"), Vec::<std::path::PathBuf>::new());
    let entries = c.audit(&tenant("acme"), 0, 1000).await.unwrap().entries;
    assert!(matches!(entries.last().unwrap().event, AuditEvent::Erased { .. }), "the last entry is the erasure");
    assert!(c.verify_audit(&tenant("acme")).await.unwrap().is_whole());
}

#[tokio::test]
async fn the_next_generation_sees_nothing_of_the_former() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&[], |b| b.text_embedder(embedder)).await;
    let (c, acme) = (&world.cogniverse, tenant("acme"));
    let new = || NewTenant::new(acme.clone(), Template::Startup).with_profile(profile(TEXT)).with_memories();
    c.create(new()).await.unwrap();
    let lines: Vec<(String, f64, f64, String)> =
        (0..20).map(|n| (format!("v{n}"), 0.0, 1.0, "sailing".to_owned())).collect();
    let lines: Vec<(&str, f64, f64, &str)> =
        lines.iter().map(|(v, s, e, t)| (v.as_str(), *s, *e, t.as_str())).collect();
    world.ingest("acme", &lines).await;
    let scope = MemoryScope::new(AgentId::parse("agent").unwrap());
    let memory = c.memory(&acme).await.unwrap();
    for text in ["likes tea", "likes sailing"] {
        memory.add(Remember::text(scope.clone(), text)).await.unwrap();
    }
    let list = || ListMemories::new(MemoryReach::of(&scope)).with_limit(1);
    let memories = memory.get_all(list()).await.unwrap().next.unwrap();
    let page = c.search(ask("acme", "sailing").with_top_k(5)).await.unwrap().next.unwrap();
    let schema = cogniverse::TenantSchema::new(&acme, &cogniverse::SchemaName::parse(TEXT).unwrap());
    let visit = || VisitRequest::new(schema.clone()).with_page_size(3);
    let continuation = c.visit_documents(visit()).await.unwrap().continuation;
    let grant = c.admit(&acme, Operation::ReadDocuments).await.unwrap();
    c.suspend(&acme, Suspend::new("the contract ended")).await.unwrap();
    let cancelled = grant.check().unwrap_err();
    assert_eq!(cancelled.code(), ErrorCode::TenantSuspended);
    drop(grant);
    c.erase(&acme).await.unwrap();
    assert_eq!(memory.stats().await.unwrap_err().code(), ErrorCode::TenantUnknown);

    let again = c.create(new()).await.unwrap();
    assert_eq!((again.generation, again.state, again.erasure), (2, TenantState::Active, None));
    assert_eq!(c.search(ask("acme", "sailing")).await.unwrap().results, []);
    assert_eq!(c.memory(&acme).await.unwrap().stats().await.unwrap().total, 0);
    assert_eq!(c.get_config::<SystemConfig>(&acme).await.unwrap().version, 1);
    // A handle, a cursor and a continuation of the former one are refused, also where there are documents again.
    world.ingest("acme", &lines).await;
    let handle = memory.search(MemoryQuery::new(MemoryReach::of(&scope), "tea")).await.unwrap_err();
    assert_eq!(handle.code(), ErrorCode::TenantGenerationChanged, "{handle}");
    let cursor = c.search(ask("acme", "sailing").with_top_k(5).with_cursor(page)).await.unwrap_err();
    assert_eq!(cursor.code(), ErrorCode::PageCursorOtherRequest, "{cursor}");
    let visited = c.visit_documents(visit().with_continuation(continuation)).await.unwrap_err();
    assert_eq!(visited.code(), ErrorCode::PageCursorOtherRequest, "{visited}");
    let memory = c.memory(&acme).await.unwrap();
    memory.add(Remember::text(scope.clone(), "likes tea")).await.unwrap();
    let listed = memory.get_all(list().after(Some(memories))).await.unwrap_err();
    assert_eq!(listed.code(), ErrorCode::PageCursorOtherRequest, "{listed}");
}

/// An encoder that waits until it is let go, so that an ingestion is in flight.
#[derive(Debug)]
struct Slow(HashEncoder, tokio::sync::Semaphore, AtomicBool);

#[async_trait]
impl cogniverse::sdk::SegmentEncoder for Slow {
    fn info(&self) -> &cogniverse::sdk::EncoderInfo {
        cogniverse::sdk::SegmentEncoder::info(&self.0)
    }
    async fn encode_segments(
        &self,
        segments: &[cogniverse::sdk::SegmentContent],
    ) -> Result<Vec<cogniverse::sdk::Matrix<f32>>> {
        self.2.store(true, Ordering::SeqCst);
        let _turn = self.1.acquire().await.unwrap();
        self.0.encode_segments(segments).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_says_what_is_in_flight_and_an_ingestion_ends_after_its_batch() {
    let world = World::with(&["acme"], |b| b).await;
    let slow = Arc::new(Slow(
        HashEncoder::new(384, VectorKind::Multi),
        tokio::sync::Semaphore::new(0),
        AtomicBool::new(false),
    ));
    let lines: String = (0..500)
        .map(|n| format!("{{\"video_id\":\"v\",\"segment_id\":{n},\"start_time\":{n},\"end_time\":{},\"audio_transcript\":\"words\"}}\n", n + 1))
        .collect();
    let file = world.file("long.jsonl", &lines);
    let request =
        IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Segments(file)).with_encoder(slow.clone());
    let ingest = {
        let c = world.cogniverse.clone();
        tokio::spawn(async move { c.ingest(request).await })
    };
    let gate = world.cogniverse.operator().gate();
    while !slow.2.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let start = Instant::now();
    let suspension = world.cogniverse.suspend(&tenant("acme"), Suspend::new("unpaid")).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(suspension.in_flight.len(), 1, "it waits within its batch and is named");
    assert_eq!(
        (suspension.in_flight[0].operation, suspension.in_flight[0].caller.as_str()),
        (Operation::Ingest, "embedder")
    );
    slow.1.add_permits(1000);
    let error = ingest.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::TenantSuspended, "{error}");
    assert_eq!(gate.in_flight(&tenant("acme")), []);
    let schema = cogniverse::TenantSchema::new(&tenant("acme"), &cogniverse::SchemaName::parse(TEXT).unwrap());
    let stored = world.cogniverse.operator().backend().count(&schema, None).await.unwrap();
    assert!(stored <= 64, "{stored} are more than the batch that was under way");
}

/// Traces that can be away.
#[derive(Debug, Default)]
struct Traces {
    away: AtomicBool,
    projects: parking_lot::Mutex<std::collections::BTreeSet<String>>,
}

#[async_trait]
impl TelemetryProvider for Traces {
    async fn find_project(&self, project: &ProjectName) -> Result<Option<ProjectInfo>> {
        self.check()?;
        let known = self.projects.lock().contains(project.as_str());
        Ok(known.then(|| ProjectInfo::new(project.clone(), None)))
    }
    async fn read_spans(&self, _query: SpanQuery) -> Result<SpanPage> {
        unreachable!("an erasure reads no span")
    }
    async fn annotate_spans(&self, _request: AnnotateSpans) -> Result<AnnotateReceipt> {
        unreachable!("an erasure writes no annotation")
    }
    async fn read_annotations(&self, _query: AnnotationQuery) -> Result<AnnotationPage> {
        unreachable!("an erasure reads no annotation")
    }
    async fn erase_project(&self, project: &ProjectName, _settle: Settle) -> Result<ProjectReceipt> {
        self.check()?;
        let was_there = self.projects.lock().remove(project.as_str());
        Ok(ProjectReceipt::new(project.clone(), if was_there { 7 } else { 0 }, u32::from(was_there), Duration::ZERO))
    }
}

impl Traces {
    fn check(&self) -> Result<()> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(cogniverse::Error::new(ErrorKind::Unavailable, "the trace store is away")),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn an_erasure_waits_open_for_traces_that_are_away_and_a_later_call_ends_it() {
    let traces = Arc::new(Traces::default());
    let world = World::with(&["acme", "acme2"], |b| b.telemetry_provider(traces.clone())).await;
    let (c, acme) = (&world.cogniverse, tenant("acme"));
    // All projects that the tenant ever had, not today's alone.
    for template in ["old ~ {tenant}", "new ~ {tenant}"] {
        let config = TelemetryConfig::new().with_project_template(template);
        c.set_config(&acme, config, Expected::Any, "another name").await.unwrap();
    }
    let names = ["acme", "old ~ acme", "new ~ acme", "acme2", "old ~ acme2"];
    traces.projects.lock().extend(names.map(str::to_owned));
    traces.away.store(true, Ordering::SeqCst);
    c.suspend(&acme, Suspend::new("the contract ended")).await.unwrap();
    let receipt = c.erase(&acme).await.unwrap();
    assert_eq!(receipt.state, TenantState::Erasing);
    let telemetry = surface(&receipt, "telemetry");
    assert!(telemetry.error.as_ref().unwrap().contains("away") && telemetry.remaining.is_none(), "{telemetry:?}");
    let config = surface(&receipt, "configuration");
    assert!(config.error.as_ref().unwrap().contains("telemetry"), "it is what names the projects: {config:?}");
    assert_eq!(surface(&receipt, "documents").remaining, Some(0));
    assert_eq!(c.search(ask("acme", "x")).await.unwrap_err().code(), ErrorCode::TenantErasing);
    assert_eq!(c.create_tenant(&acme, Template::Trial).await.unwrap_err().code(), ErrorCode::TenantErasing);
    assert_eq!(c.reactivate(&acme).await.unwrap_err().code(), ErrorCode::TenantStateMismatch);

    traces.away.store(false, Ordering::SeqCst);
    let receipt = c.erase(&acme).await.unwrap();
    assert!(receipt.is_complete(), "{receipt:?}");
    assert_eq!(surface(&receipt, "telemetry").erased, 21, "7 spans of each of 3 projects");
    assert_eq!(*traces.projects.lock(), ["acme2", "old ~ acme2"].map(str::to_owned).into());
    let last = c.audit(&acme, 0, 1000).await.unwrap().entries.pop().unwrap();
    assert!(matches!(last.event, AuditEvent::Erased { .. }), "{last:?}");
}

/// A place of the service's own, which another process's erasure could meet.
#[derive(Debug, Default)]
struct Own {
    items: parking_lot::Mutex<std::collections::BTreeMap<TenantId, u64>>,
    unknown: AtomicBool,
    stubborn: AtomicBool,
}

#[async_trait]
impl TenantSurface for Own {
    fn name(&self) -> &'static str {
        "own"
    }
    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.items.lock().get(tenant).copied().unwrap_or_default()))
    }
    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        match self.stubborn.load(Ordering::SeqCst) {
            true => Ok(SurfaceErasure::of(0)),
            false => Ok(SurfaceErasure::of(self.items.lock().remove(tenant).unwrap_or_default())),
        }
    }
    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        match self.unknown.load(Ordering::SeqCst) {
            true => Ok(Remains::Unknown("it has no way to look".to_owned())),
            false => Ok(Remains::Items(self.items.lock().get(tenant).copied().unwrap_or_default())),
        }
    }
}

#[tokio::test]
async fn invariant_09_what_is_left_or_not_known_is_not_erased() {
    let own = Arc::new(Own::default());
    let world = World::with(&["acme", "globex"], |b| b.surface(own.clone())).await;
    for name in ["acme", "globex"] {
        own.items.lock().insert(tenant(name), 3);
    }
    own.stubborn.store(true, Ordering::SeqCst);
    let receipt = suspend_and_erase(&world.cogniverse, "acme").await;
    assert_eq!((receipt.state, surface(&receipt, "own").remaining), (TenantState::Erasing, Some(3)));
    own.stubborn.store(false, Ordering::SeqCst);
    let receipt = world.cogniverse.erase(&tenant("acme")).await.unwrap();
    assert_eq!((receipt.state, surface(&receipt, "own").erased), (TenantState::Erased, 3));
    assert_eq!(own.items.lock().get(&tenant("globex")), Some(&3), "the other tenant's is untouched");
    own.unknown.store(true, Ordering::SeqCst);
    let receipt = suspend_and_erase(&world.cogniverse, "globex").await;
    let entry = surface(&receipt, "own");
    assert_eq!((entry.remaining, entry.is_clean()), (None, false));
    assert!(entry.reason.as_ref().unwrap().contains("no way to look"), "{entry:?}");
}

#[tokio::test]
async fn a_stray_file_of_the_tenant_is_named_and_keeps_the_erasure_open() {
    let world = World::with(&["acme"], |b| b).await;
    world.ingest("acme", &[("v", 0.0, 1.0, "words")]).await;
    let stray = world.file("tenants/acme/notes.txt", "words of the customer");
    let receipt = suspend_and_erase(&world.cogniverse, "acme").await;
    let files = surface(&receipt, "files");
    assert!(files.error.as_ref().unwrap().contains("notes.txt"), "{files:?}");
    assert!(stray.exists(), "what nobody knows is not removed");
    std::fs::remove_file(stray).unwrap();
    let receipt = world.cogniverse.erase(&tenant("acme")).await.unwrap();
    assert!(receipt.is_complete(), "{receipt:?}");
    assert!(!world.folder.path().join("tenants/acme").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_erase_at_once_end_with_one_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = two_processes(folder.path()).await;
    for round in 0..3 {
        let name = format!("tenant_{round}");
        let new = NewTenant::new(tenant(&name), Template::Trial).with_profile(profile(TEXT));
        one.create(new).await.unwrap();
        one.suspend(&tenant(&name), Suspend::new("the contract ended")).await.unwrap();
        let erase = |c: &Cogniverse| {
            let (c, id) = (c.clone(), tenant(&name));
            tokio::spawn(async move { c.erase(&id).await })
        };
        let (a, b) = (erase(&one), erase(&two));
        let outcomes = [a.await.unwrap(), b.await.unwrap()];
        for outcome in &outcomes {
            match outcome {
                Ok(receipt) => assert!(receipt.is_complete(), "{receipt:?}"),
                Err(error) => {
                    assert!(matches!(error.code(), ErrorCode::ErasureRunning | ErrorCode::ConfigConflict), "{error:?}");
                }
            }
        }
        assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
        assert!(two.erase(&tenant(&name)).await.unwrap().is_complete());
    }
}

#[tokio::test]
async fn listing_is_paged_and_complete_and_for_operators() {
    let store = Arc::new(InMemoryConfigStore::new());
    let world = World::with(&[], |b| b.config_store(store)).await;
    for number in 0..45 {
        world.cogniverse.create_tenant(&tenant(&format!("t{number:02}")), Template::Trial).await.unwrap();
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = world.cogniverse.operator().tenants().list(after, 10).await.unwrap();
        names.extend(page.tenants.into_iter().map(|record| record.tenant.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, (0..45).map(|number| format!("t{number:02}")).collect::<Vec<_>>());
}

/// Random moves by two processes against a model of the states: whatever is asked, both see the state that the model has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_moves_of_two_processes_follow_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let both = two_processes(folder.path()).await;
    let mut seed = 20_261_127_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for world in 0..6 {
        let name = format!("world_{world}");
        let id = tenant(&name);
        let (mut state, mut generation) = (None::<TenantState>, 0);
        for step in 0..25 {
            let c = &both[random(2) as usize];
            let at = format!("world {world}, step {step}, {state:?}");
            match random(5) {
                0 => match c.create(NewTenant::new(id.clone(), Template::Trial).with_profile(profile(TEXT))).await {
                    Ok(record) => {
                        assert!(matches!(state, None | Some(TenantState::Erased | TenantState::Active)), "{at}");
                        generation += u64::from(state != Some(TenantState::Active));
                        assert_eq!(record.generation, generation, "{at}");
                        state = Some(TenantState::Active);
                    }
                    Err(error) => {
                        assert_eq!(error.code(), ErrorCode::TenantExists, "{at}: {error}");
                        assert_eq!(state, Some(TenantState::Suspended), "{at}");
                    }
                },
                1 => match c.suspend(&id, Suspend::new(format!("step {step}"))).await {
                    Ok(_) => {
                        assert_eq!(state, Some(TenantState::Active), "{at}");
                        state = Some(TenantState::Suspended);
                    }
                    Err(_) => assert_ne!(state, Some(TenantState::Active), "{at}"),
                },
                2 => match c.reactivate(&id).await {
                    Ok(_) => {
                        assert_eq!(state, Some(TenantState::Suspended), "{at}");
                        state = Some(TenantState::Active);
                    }
                    Err(_) => assert_ne!(state, Some(TenantState::Suspended), "{at}"),
                },
                3 => match c.erase(&id).await {
                    Ok(receipt) => {
                        assert!(receipt.is_complete(), "{at}: {receipt:?}");
                        assert!(matches!(state, Some(TenantState::Suspended | TenantState::Erased)), "{at}");
                        state = Some(TenantState::Erased);
                    }
                    Err(_) => assert!(matches!(state, None | Some(TenantState::Active)), "{at}"),
                },
                _ => {}
            }
            for c in &both {
                let code = c.search(ask(&name, "words")).await.map_err(|error| error.code());
                match state {
                    Some(TenantState::Active) => assert!(code.is_ok(), "{at}: {code:?}"),
                    Some(TenantState::Suspended) => assert_eq!(code.unwrap_err(), ErrorCode::TenantSuspended, "{at}"),
                    _ => assert_eq!(code.unwrap_err(), ErrorCode::TenantUnknown, "{at}"),
                }
            }
        }
        if state.is_some() {
            assert!(both[0].verify_audit(&id).await.unwrap().is_whole(), "world {world}");
        }
    }
}

/// A store whose n-th write fails, as on a full disk or by a conflict, or is written and not acknowledged; and which may once
/// answer as it stood before the record of a tenant was written.
#[derive(Debug, Default)]
struct Flaky {
    inner: InMemoryConfigStore,
    hides_the_record: AtomicBool,
    left: AtomicI64,
    how: AtomicUsize,
}

impl Flaky {
    async fn write<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.left.fetch_sub(1, Ordering::SeqCst) != 0 {
            return work.await;
        }
        match self.how.load(Ordering::SeqCst) {
            0 => Err(cogniverse::Error::of(ErrorCode::DiskFull, "no space is left")),
            1 => Err(cogniverse::Error::of(ErrorCode::ConfigConflict, "another writer came first")),
            _ => {
                work.await?;
                Err(cogniverse::Error::new(ErrorKind::Unavailable, "the connection broke after the write"))
            }
        }
    }
}

#[async_trait]
impl ConfigStore for Flaky {
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry> {
        self.write(self.inner.put(put)).await
    }
    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        if key.service == "tenants" && self.hides_the_record.swap(false, Ordering::SeqCst) {
            return Ok(None);
        }
        self.inner.get(key, version).await
    }
    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions> {
        self.inner.history(key, before, limit).await
    }
    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        self.inner.list(list).await
    }
    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        self.write(self.inner.delete(key, expected)).await
    }
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.write(self.inner.erase_tenant(tenant)).await
    }
    async fn export(&self, owner: &ConfigOwner, after: Option<PageCursor>, limit: usize) -> Result<ConfigPage> {
        self.inner.export(owner, after, limit).await
    }
    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        self.write(self.inner.import(entries)).await
    }
    async fn change_mark(&self) -> Result<Option<u64>> {
        self.inner.change_mark().await
    }
}

/// Another process with the same input has come far between this one's look for the record and its look for what is left over.
#[tokio::test]
async fn a_creation_that_another_one_overtook_is_the_same_creation() {
    let store = Arc::new(Flaky { left: AtomicI64::new(-1), ..Flaky::default() });
    let world = World::with(&[], |b| b.config_store(store.clone())).await;
    let create = |template| world.cogniverse.create(NewTenant::new(tenant("acme"), template));
    let first = create(Template::Trial).await.unwrap();
    store.hides_the_record.store(true, Ordering::SeqCst);
    assert_eq!(create(Template::Trial).await.unwrap(), first);
    assert!(!store.hides_the_record.load(Ordering::SeqCst), "the record was looked for");
    store.hides_the_record.store(true, Ordering::SeqCst);
    assert_eq!(create(Template::Enterprise).await.unwrap_err().kind(), ErrorKind::Conflict);
}

/// Whatever write of whatever move fails, in whatever way: the same calls again come to the same end.
#[tokio::test]
async fn a_write_that_fails_at_any_place_is_made_good_by_the_same_calls() {
    let mut failures = 0;
    for how in 0..3 {
        for place in 0..40 {
            let store = Arc::new(Flaky { left: AtomicI64::new(-1), how: AtomicUsize::new(how), ..Flaky::default() });
            let world = World::with(&[], |b| b.config_store(store.clone())).await;
            let (c, acme) = (&world.cogniverse, tenant("acme"));
            store.left.store(place, Ordering::SeqCst);
            let mut again = 0;
            let mut done = async |step: usize| -> TenantState {
                for _ in 0..20 {
                    let result = match step {
                        0 => c
                            .create(NewTenant::new(acme.clone(), Template::Trial).with_profile(profile(TEXT)))
                            .await
                            .map(|r| r.state),
                        1 => c.suspend(&acme, Suspend::new("unpaid")).await.map(|s| s.record.state),
                        _ => c.erase(&acme).await.map(|r| r.state),
                    };
                    match result {
                        Ok(state) if state != TenantState::Erasing => return state,
                        _ => again += 1,
                    }
                }
                panic!("failure {how} at write {place}, step {step}: it never ends")
            };
            assert_eq!(done(0).await, TenantState::Active, "failure {how} at write {place}");
            assert_eq!(done(1).await, TenantState::Suspended, "failure {how} at write {place}");
            assert_eq!(done(2).await, TenantState::Erased, "failure {how} at write {place}");
            failures += again;
            assert!(c.verify_audit(&acme).await.unwrap().is_whole());
            assert!(c.operator().schemas().list(&acme).await.unwrap().is_empty());
            if store.left.load(Ordering::SeqCst) >= 0 {
                break;
            }
        }
    }
    assert!(failures > 30, "{failures} failures are fewer than there are writes");
}

/// Every place in the data folder is one that a surface erases, or one that holds no tenant's texts.
#[tokio::test]
async fn every_place_in_the_data_folder_has_a_surface() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let folder = tempfile::tempdir().unwrap();
    let c = Cogniverse::builder().data_dir(folder.path()).text_embedder(embedder).open().await.unwrap();
    c.create(NewTenant::new(tenant("acme"), Template::Trial).with_all_schemas().with_memories()).await.unwrap();
    for kept in ["transcripts", "descriptions", "screen_texts"] {
        std::fs::create_dir_all(folder.path().join(kept).join("acme")).unwrap();
    }
    // A new place needs a surface first, and then a line here.
    let surfaces = [
        ("config.sqlite", "configuration"),
        ("quotas.sqlite", "quotas"),
        ("experience.sqlite", "experience"),
        ("tenants", "documents"),
        ("transcripts", "transcripts"),
        ("descriptions", "descriptions"),
        ("screen_texts", "screen_texts"),
    ];
    let without_texts = ["LOCK", "catalog.sqlite"];
    let names: Vec<&str> = c.operator().lifecycle().surfaces().iter().map(|surface| surface.name()).collect();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let base = name.trim_end_matches("-wal").trim_end_matches("-shm").trim_end_matches("-made");
        match surfaces.iter().find(|(place, _)| *place == base) {
            Some((_, surface)) => assert!(names.contains(surface), "{name} needs the surface {surface}"),
            None => assert!(without_texts.contains(&base), "{name} has no surface"),
        }
    }
}

/// A clock that is set.
#[derive(Debug)]
struct Set(AtomicI64);

impl cogniverse::sdk::Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_and_forward_ends_no_retention_early() {
    let clock = Arc::new(Set(AtomicI64::new(2_000_000_000)));
    let world = World::with(&["acme"], |b| b.clock(clock.clone())).await;
    let c = &world.cogniverse;
    let suspended = c.suspend(&tenant("acme"), Suspend::new("unpaid").with_retention(2 * DAY)).await.unwrap().record;
    for (set, over) in [(0, 0), (1_999_999_999, 0), (2_000_000_000, 0), (2_000_172_799, 0), (2_000_172_800, 1)] {
        clock.0.store(set, Ordering::SeqCst);
        assert_eq!(c.operator().expired(None).await.unwrap().0.len(), over, "at {set}");
    }
    // Before the end it comes back, whatever the clock said in between.
    clock.0.store(2_000_100_000, Ordering::SeqCst);
    assert_eq!(c.tenant(&tenant("acme")).await.unwrap(), suspended);
    c.reactivate(&tenant("acme")).await.unwrap();
    c.search(ask("acme", "words")).await.unwrap();
    assert!(c.verify_audit(&tenant("acme")).await.unwrap().is_whole());
}
