//! Backups: everything comes back, on the same or another backend; damage, kills, full targets and wrong keys are answered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, CogniverseBuilder, Error, ErrorCode, ErrorKind, Result, SearchRequest, Suspend, Template, TenantId,
    backup::{BackupManifest, Consistency, CreateBackup, FolderKeys, FolderTarget, OperatorKey, RestoreBackup},
    config::{InMemoryConfigStore, RoutingConfig, SystemConfig},
    encoders::HashEncoder,
    memory::{Remember, Revise},
    sdk::{
        AgentId, BackupTarget, Caller, CallerId, Document, DocumentId, FieldName, MemoryReach, MemoryScope, Role,
        SchemaName, TenantSchema, VectorKind,
        document_store::{PutRequest, VisitRequest},
        memory_store::ListMemories,
    },
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use vespa_testkit::TestServer;
use world::{TEXT, World, profile, strategy, tenant};

fn schema_of(name: &str, base: &str) -> TenantSchema {
    TenantSchema::new(&tenant(name), &SchemaName::parse(base).unwrap())
}

fn with_models(builder: CogniverseBuilder) -> CogniverseBuilder {
    builder
        .encoder("hash", Arc::new(HashEncoder::new(384, VectorKind::Multi)))
        .text_embedder(Arc::new(HashEncoder::new(384, VectorKind::Single)))
}

fn target(folder: &Path) -> Arc<dyn BackupTarget> {
    Arc::new(FolderTarget::new(folder))
}

fn small() -> CreateBackup {
    CreateBackup::new().with_part_bytes(4_000)
}

/// A tenant with vectors, memories with histories, transcripts, and a configuration that was changed.
async fn fill(world: &World, name: &str) {
    world.set_encoder(name, "hash").await;
    let segments: Vec<(String, f64, String)> = (0..40)
        .map(|n| {
            (format!("talk_{}", n / 4), f64::from(n), format!("words of {name} and number{n} {}", "filler ".repeat(30)))
        })
        .collect();
    let segments: Vec<_> =
        segments.iter().map(|(video, at, text)| (video.as_str(), *at, at + 1.0, text.as_str())).collect();
    world.ingest(name, &segments).await;
    let memory = world.cogniverse.memory(&tenant(name)).await.unwrap();
    let scope = MemoryScope::new(AgentId::parse("search").unwrap());
    memory.add(Remember::text(scope.clone(), "prefers short videos")).await.unwrap();
    memory.add(Remember::text(scope.clone(), "speaks French")).await.unwrap();
    let listed = memory.get_all(ListMemories::new(MemoryReach::everything())).await.unwrap();
    memory.update(&scope, &listed.memories[0].id, Revise::new().with_text("prefers long videos")).await.unwrap();
    let config = world.cogniverse.operator().config();
    for metadata in ["one", "two"] {
        config
            .update::<SystemConfig>(&tenant(name), |config| {
                config.metadata.insert("note".to_owned(), metadata.into());
            })
            .await
            .unwrap();
    }
    config.set_routing_config(&tenant(name), RoutingConfig::new(tenant(name))).await.unwrap();
    for (kind, count) in [("transcripts", 20), ("descriptions", 3), ("screen_texts", 18)] {
        let kept = world.folder.path().join(kind).join(tenant(name).file_name());
        std::fs::create_dir_all(&kept).unwrap();
        for number in 0..count {
            std::fs::write(kept.join(format!("{number:02}.key.json")), format!("{{\"{kind}\": {number}}}")).unwrap();
        }
    }
}

/// The texts that models made of a tenant's videos.
fn kept(data: &Path, tenant: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for kind in ["transcripts", "descriptions", "screen_texts"] {
        for entry in std::fs::read_dir(data.join(kind).join(tenant)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.insert(format!("{kind} {name}"), std::fs::read_to_string(path).unwrap());
        }
    }
    found
}

/// Everything that is carried of a tenant, without its name.
async fn content(world: &World, name: &str) -> BTreeMap<String, String> {
    let c = &world.cogniverse;
    let mut found = BTreeMap::new();
    for deployed in c.operator().schemas().list(&tenant(name)).await.unwrap() {
        found.insert(format!("schema {}", deployed.schema.base()), format!("{:?}", deployed.definition));
        let mut visit = Some(VisitRequest::new(deployed.schema.clone()));
        while let Some(request) = visit.take() {
            let page = c.operator().backend().visit(request.clone()).await.unwrap();
            for document in page.documents {
                found.insert(format!("{} {}", deployed.schema.base(), document.id), format!("{:?}", document.document));
            }
            visit = page.continuation.map(|next| request.with_continuation(Some(next)));
        }
    }
    let exported = c.operator().config().export_tenant(&tenant(name)).await.unwrap();
    for entry in exported.entries.into_iter().filter(|entry| entry.key.service != "backup") {
        let key = format!("config {:?} {} {} {}", entry.key.scope, entry.key.service, entry.key.key, entry.version);
        let mut value = entry.value;
        if let Some(named) = value.as_mut().and_then(|value| value.get_mut("tenant_id")) {
            *named = "the tenant".into();
        }
        found.insert(key, format!("{value:?} {:?}", entry.created_at));
    }
    found.extend(kept(world.folder.path(), &tenant(name).file_name()));
    found
}

fn assert_same(restored: &BTreeMap<String, String>, original: &BTreeMap<String, String>) {
    assert_eq!(restored.keys().collect::<Vec<_>>(), original.keys().collect::<Vec<_>>());
    for (key, value) in original {
        assert_eq!(restored[key], *value, "{key}");
    }
}

#[tokio::test]
async fn invariant_14_a_backup_carries_everything_to_the_same_and_another_tenant() {
    let (world, place) = (World::with(&["acme", "globex"], with_models).await, tempfile::tempdir().unwrap());
    fill(&world, "acme").await;
    let (c, target) = (&world.cogniverse, target(place.path()));
    let original = content(&world, "acme").await;
    for (kind, count) in [("transcripts ", 20), ("descriptions ", 3), ("screen_texts ", 18)] {
        assert_eq!(original.keys().filter(|key| key.starts_with(kind)).count(), count, "{kind}");
    }
    assert!(original.keys().filter(|key| key.starts_with("agent_memories e/")).count() >= 3, "histories");
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    assert!(manifest.parts.len() >= 5, "{}", manifest.parts.len());
    assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }), "{:?}", manifest.consistency);
    let items: BTreeMap<&str, u64> =
        manifest.surfaces.iter().filter(|s| s.not_carried.is_none()).map(|s| (&*s.name, s.items)).collect();
    // Of ten videos there is a record each.
    assert_eq!((items["documents"], items["transcripts"]), (50, 20));
    assert_eq!((items["descriptions"], items["screen_texts"]), (3, 18));
    assert!(items["memories"] >= 5 && items["configuration"] >= 4, "{items:?}");
    for share in manifest.surfaces.iter().filter(|share| share.not_carried.is_some()) {
        assert!(share.not_carried.as_ref().unwrap().len() > 15, "{share:?}");
    }
    let verified = c.backups().verify(&target, &manifest.backup).await.unwrap();
    assert!(verified.is_whole() && verified.content_read, "{:?}", verified.problems);
    let listed = c.backups().list(&target).await.unwrap();
    assert_eq!(listed.iter().map(|listed| &listed.backup).collect::<Vec<_>>(), [&manifest.backup]);
    let last = c.backups().last(&tenant("acme")).await.unwrap().unwrap();
    assert!(last.backup == manifest.backup && last.verified_at.is_some());
    // To another tenant.
    let into = RestoreBackup::new(&*manifest.backup).into_tenant(tenant("acme_copy"));
    let report = c.backups().restore(&target, into.clone()).await.unwrap();
    assert_eq!((report.record.tenant.as_str(), report.record.generation), ("acme_copy", 1));
    assert_same(&content(&world, "acme_copy").await, &original);
    assert_eq!(
        c.backups().restore(&target, into).await.unwrap().record,
        report.record,
        "made again, it changes nothing"
    );
    let ask = |of: &str| SearchRequest::new(tenant(of), profile(TEXT), "number7").with_strategy(strategy("phased"));
    let scores = |answer: cogniverse::SearchResponse| -> Vec<(String, f64)> {
        answer
            .results
            .into_iter()
            .map(|result| (format!("{} {}", result.video_id, result.segment_id), result.score))
            .collect()
    };
    assert_eq!(scores(c.search(ask("acme_copy")).await.unwrap()), scores(c.search(ask("acme")).await.unwrap()));
    // To the same, which must be gone first; and what was erased comes back for a reason alone.
    let again = || RestoreBackup::new(&*manifest.backup);
    assert_eq!(c.backups().restore(&target, again()).await.unwrap_err().code(), ErrorCode::TenantExists);
    let taken = again().into_tenant(tenant("globex"));
    assert_eq!(c.backups().restore(&target, taken).await.unwrap_err().code(), ErrorCode::TenantExists);
    c.suspend(&tenant("acme"), Suspend::new("the contract ended")).await.unwrap();
    assert!(c.erase(&tenant("acme")).await.unwrap().is_complete());
    for request in [again(), again().into_tenant(tenant("elsewhere"))] {
        assert_eq!(c.backups().restore(&target, request).await.unwrap_err().code(), ErrorCode::BackupOfErased);
    }
    let no_reason = c.backups().restore(&target, again().although_erased(" ")).await.unwrap_err();
    assert_eq!(no_reason.kind(), ErrorKind::InvalidInput);
    let report = c.backups().restore(&target, again().although_erased("erased by mistake")).await.unwrap();
    assert_eq!(report.record.generation, 2);
    assert_same(&content(&world, "acme").await, &original);
    let log = c.audit(&tenant("acme"), 0, 1000).await.unwrap();
    let log = serde_json::to_string(&log.entries).unwrap();
    assert!(log.contains("erased by mistake") && log.contains("backed_up"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_backend_a_backup_is_one_moment_of_all_schemas() {
    let world = World::with(&["acme"], with_models).await;
    let place = tempfile::tempdir().unwrap();
    let (c, target) = (world.cogniverse.clone(), target(place.path()));
    let other = "video_colpali_smol500_mv_frame";
    c.deploy(&tenant("acme"), &profile(other)).await.unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (c, ends) = (c.clone(), Arc::clone(&ends));
        async move {
            let mut number = 0_u64;
            while !ends.load(Ordering::SeqCst) {
                for base in [TEXT, other] {
                    let documents = (0..5).map(|n| {
                        Document::new(DocumentId::parse(format!("{number:06}/{n}")).unwrap())
                            .with(FieldName::parse("video_id").unwrap(), format!("{number:06}"))
                    });
                    let put = PutRequest::new(schema_of("acme", base), documents.collect());
                    c.operator().backend().put(put).await.unwrap();
                }
                number += 1;
                // What is backed up and restored while it goes on stays small.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    let first = TenantSchema::new(&tenant("acme"), &SchemaName::parse(TEXT).unwrap());
    while c.operator().backend().count(&first, None).await.unwrap() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for round in 0..5 {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
        assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }));
        let copy = tenant(&format!("copy_{round}"));
        c.backups().restore(&target, RestoreBackup::new(&*manifest.backup).into_tenant(copy.clone())).await.unwrap();
        let mut batches = Vec::new();
        for base in [TEXT, other] {
            let schema = TenantSchema::new(&copy, &SchemaName::parse(base).unwrap());
            let count = c.operator().backend().count(&schema, None).await.unwrap();
            assert_eq!(count % 5, 0, "a batch is there as a whole or not at all");
            batches.push(count / 5);
        }
        // The first schema is written first.
        assert!(batches[0] == batches[1] || batches[0] == batches[1] + 1, "{batches:?}");
        assert!(batches[0] > 0);
    }
    ends.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

async fn vespa_world(server: &TestServer, tenants: &[&str]) -> World {
    let vespa = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    let store = Arc::new(InMemoryConfigStore::new());
    World::with(tenants, |b| with_models(b.backend(Arc::new(vespa)).config_store(store))).await
}

#[tokio::test]
async fn invariant_14_a_backup_moves_between_backends_and_says_what_is_no_moment() {
    let place = tempfile::tempdir().unwrap();
    let target = target(place.path());
    let embedded = World::with(&["acme"], with_models).await;
    fill(&embedded, "acme").await;
    let original = content(&embedded, "acme").await;
    let manifest = embedded.cogniverse.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let server = TestServer::start().await.unwrap();
    let vespa = vespa_world(&server, &[]).await;
    vespa.cogniverse.backups().restore(&target, RestoreBackup::new(&*manifest.backup)).await.unwrap();
    assert_same(&content(&vespa, "acme").await, &original);
    // And back.
    let manifest = vespa.cogniverse.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let Consistency::Window { from, to, reason } = &manifest.consistency else { panic!("{manifest:?}") };
    assert!(from <= to && reason.contains("cannot show one moment"), "{reason}");
    let into = RestoreBackup::new(&*manifest.backup).into_tenant(tenant("back"));
    embedded.cogniverse.backups().restore(&target, into).await.unwrap();
    assert_same(&content(&embedded, "back").await, &original);
}

/// A target that fails after a number of files, and counts what is put.
#[derive(Debug)]
struct Narrow {
    inner: FolderTarget,
    room: AtomicUsize,
    put: AtomicUsize,
}

impl Narrow {
    fn new(folder: &Path, room: usize) -> Arc<Self> {
        Arc::new(Self { inner: FolderTarget::new(folder), room: room.into(), put: 0.into() })
    }
}

#[async_trait]
impl BackupTarget for Narrow {
    fn location(&self) -> String {
        self.inner.location()
    }
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        if path.contains("/parts/") {
            if self.room.load(Ordering::SeqCst) == 0 {
                return Err(Error::new(ErrorKind::Unavailable, "no space is left; free some"));
            }
            self.room.fetch_sub(1, Ordering::SeqCst);
            self.put.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.put(path, bytes).await
    }
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.inner.get(path).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(prefix).await
    }
    async fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path).await
    }
}

async fn fills_up_and_goes_on(world: &World) -> BackupManifest {
    let place = tempfile::tempdir().unwrap();
    let (c, narrow) = (&world.cogniverse, Narrow::new(place.path(), 2));
    let target: Arc<dyn BackupTarget> = narrow.clone();
    let error = c.backups().create(&tenant("acme"), &target, small()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let listed = c.backups().list(&target).await.unwrap();
    assert!(listed.len() == 1 && listed[0].manifest.is_none() && listed[0].problem.is_some(), "{listed:?}");
    let unknown = c.backups().restore(&target, RestoreBackup::new(&*listed[0].backup)).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::BackupUnknown);
    narrow.room.store(1000, Ordering::SeqCst);
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    assert_eq!(manifest.backup, listed[0].backup);
    assert_eq!(narrow.put.load(Ordering::SeqCst), manifest.parts.len(), "no part is stored twice");
    assert!(c.backups().verify(&target, &manifest.backup).await.unwrap().is_whole());
    let files = target.list("").await.unwrap();
    assert_eq!(files.len(), manifest.parts.len() + 1, "{files:?}");
    let copy = RestoreBackup::new(&*manifest.backup).into_tenant(tenant("copy"));
    c.backups().restore(&target, copy).await.unwrap();
    assert_same(&content(world, "copy").await, &content(world, "acme").await);
    manifest
}

#[tokio::test]
async fn a_backup_into_a_full_target_goes_on_where_there_is_room_again() {
    let world = World::with(&["acme"], with_models).await;
    fill(&world, "acme").await;
    fills_up_and_goes_on(&world).await;
}

#[tokio::test]
async fn on_vespas_wire_an_interrupted_backup_goes_on_where_it_ended() {
    let server = TestServer::start().await.unwrap();
    let world = vespa_world(&server, &["acme"]).await;
    fill(&world, "acme").await;
    // Another process may be at it, for as long as its last sign of life is young.
    let place = tempfile::tempdir().unwrap();
    let narrow: Arc<dyn BackupTarget> = Narrow::new(place.path(), 5);
    let backups = world.cogniverse.backups();
    backups.create(&tenant("acme"), &narrow, small()).await.unwrap_err();
    let busy = backups.create(&tenant("acme"), &narrow, small()).await.unwrap_err();
    assert_eq!(busy.code(), ErrorCode::BackupRunning);
    let target = target(place.path());
    let patient = backups.with_lease(std::time::Duration::ZERO);
    let manifest = patient.create(&tenant("acme"), &target, small()).await.unwrap();
    assert!(patient.verify(&target, &manifest.backup).await.unwrap().is_whole());
    let documents = manifest.surfaces.iter().find(|share| share.name == "documents").unwrap();
    assert_eq!(documents.items, 50, "what was read before the end counts once");
    let copy = RestoreBackup::new(&*manifest.backup).into_tenant(tenant("copy"));
    patient.restore(&target, copy).await.unwrap();
    assert_same(&content(&world, "copy").await, &content(&world, "acme").await);
}

#[tokio::test]
async fn each_kind_of_damage_is_found_before_anybody_is_served() {
    let (world, place) = (World::with(&["acme"], with_models).await, tempfile::tempdir().unwrap());
    fill(&world, "acme").await;
    let (c, target) = (&world.cogniverse, target(place.path()));
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let backup = &manifest.backup;
    for (number, part) in manifest.parts.iter().enumerate() {
        let path = place.path().join(part.path(backup));
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[number * 7 % whole.len()] ^= 0x10;
        for damaged in [Some(&flipped[..]), Some(&whole[..whole.len() - 1]), Some(&[]), None] {
            match damaged {
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let found = c.backups().verify(&target, backup).await.unwrap();
            assert_eq!(found.problems.len(), 1, "part {}: {:?}", part.number, found.problems);
            assert!(found.problems[0].contains(&format!("part {}", part.number)), "{:?}", found.problems);
        }
        if number % 5 == 0 {
            let into = tenant(&format!("copy_{number}"));
            let request = RestoreBackup::new(&**backup).into_tenant(into.clone());
            let error = c.backups().restore(&target, request.clone()).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::BackupDamaged, "{error}");
            let search = SearchRequest::new(into.clone(), profile(TEXT), "words");
            assert_eq!(c.search(search).await.unwrap_err().code(), ErrorCode::TenantNotReady);
            // With the part put back the same call goes on.
            std::fs::write(&path, &whole).unwrap();
            c.backups().restore(&target, request).await.unwrap();
            assert_same(&content(&world, into.as_str()).await, &content(&world, "acme").await);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    let path = place.path().join(backup).join("manifest.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let newer = whole.replacen("\"format\": 1", "\"format\": 2", 1);
    let other = whole.replacen("\"generation\": 1", "\"generation\": 3", 1);
    for (text, code) in
        [(&*newer, ErrorCode::BackupNewer), (&*other, ErrorCode::BackupDamaged), ("{", ErrorCode::BackupDamaged)]
    {
        std::fs::write(&path, text).unwrap();
        assert_eq!(c.backups().verify(&target, backup).await.unwrap_err().code(), code);
        let request = RestoreBackup::new(&**backup).into_tenant(tenant("never"));
        assert_eq!(c.backups().restore(&target, request).await.unwrap_err().code(), code);
        assert!(c.backups().list(&target).await.unwrap()[0].problem.is_some());
    }
    assert_eq!(c.tenant(&tenant("never")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    for wrong in ["../acme", "acme/none", ""] {
        let error = c.backups().verify(&target, wrong).await.unwrap_err();
        assert!(matches!(error.code(), ErrorCode::BackupUnknown | ErrorCode::InvalidInput), "{error}");
    }
}

#[tokio::test]
async fn an_encrypted_backup_says_nothing_without_its_key_and_nothing_once_the_tenant_is_erased() {
    let (keys, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = |operator: u8| Arc::new(FolderKeys::new(keys.path(), OperatorKey::new([operator; 32])));
    let world = World::with(&["acme"], |b| with_models(b).backup_keys(folder(1))).await;
    fill(&world, "acme").await;
    let (c, target) = (&world.cogniverse, target(place.path()));
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    assert_eq!(manifest.encryption.as_ref().unwrap().algorithm, "XChaCha20-Poly1305");
    assert!(c.backups().verify(&target, &manifest.backup).await.unwrap().is_whole());
    for path in target.list("").await.unwrap() {
        let bytes = target.get(&path).await.unwrap().unwrap();
        for text in ["prefers", "number7", "talk_"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{path} holds {text}");
        }
    }
    let copy = RestoreBackup::new(&*manifest.backup).into_tenant(tenant("copy"));
    c.backups().restore(&target, copy.clone()).await.unwrap();
    assert_same(&content(&world, "copy").await, &content(&world, "acme").await);
    // Another service: without keys, and with another operator's.
    let other = World::with(&[], with_models).await;
    let error = other.cogniverse.backups().restore(&target, copy.clone()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BackupKeyMissing);
    let checked = other.cogniverse.backups().verify(&target, &manifest.backup).await.unwrap();
    assert!(checked.is_whole() && !checked.content_read, "the sums are checked without the key");
    let wrong = World::with(&[], |b| with_models(b).backup_keys(folder(2))).await;
    let error = wrong.cogniverse.backups().restore(&target, copy.clone()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BackupKeyWrong);
    assert_eq!(wrong.cogniverse.tenant(&tenant("copy")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    // The erasure destroys the key, and a reason does not bring it back.
    c.suspend(&tenant("acme"), Suspend::new("the contract ended")).await.unwrap();
    let receipt = c.erase(&tenant("acme")).await.unwrap();
    let backups = receipt.surfaces.iter().find(|surface| surface.name == "backups").unwrap();
    assert_eq!((backups.erased, backups.remaining), (1, Some(0)));
    let again = RestoreBackup::new(&*manifest.backup).although_erased("by mistake");
    assert_eq!(c.backups().restore(&target, again).await.unwrap_err().code(), ErrorCode::BackupKeyMissing);
    // Without keys, nobody is told that a backup is encrypted that is not.
    let plain = other.cogniverse.create_tenant(&tenant("plain"), Template::Trial).await.unwrap();
    let asked = CreateBackup::new().encrypted(true);
    let refused = other.cogniverse.backups().create(&plain.tenant, &target, asked).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_that_restore_the_same_id_one_does() {
    let (world, place) = (World::with(&["acme"], with_models).await, tempfile::tempdir().unwrap());
    fill(&world, "acme").await;
    let target = target(place.path());
    let manifest = world.cogniverse.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let server = TestServer::start().await.unwrap();
    let store = Arc::new(InMemoryConfigStore::new());
    let open = |data: PathBuf| {
        let vespa = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
        with_models(Cogniverse::builder().data_dir(data).backend(Arc::new(vespa)).config_store(store.clone())).open()
    };
    let data = tempfile::tempdir().unwrap();
    let (one, two) = (open(data.path().join("1")).await.unwrap(), open(data.path().join("2")).await.unwrap());
    let request = || RestoreBackup::new(&*manifest.backup);
    let (one_backups, two_backups) = (one.backups(), two.backups());
    let (first, second) =
        tokio::join!(one_backups.restore(&target, request()), two_backups.restore(&target, request()));
    let ended = [&first, &second].into_iter().filter(|ended| ended.is_ok()).count();
    assert!(ended >= 1, "{first:?} {second:?}");
    for refused in [first, second].into_iter().filter_map(|ended| ended.err()) {
        assert!(matches!(refused.code(), ErrorCode::RestoreRunning | ErrorCode::TenantExists), "{refused}");
    }
    let schema = schema_of("acme", TEXT);
    assert_eq!(one.operator().backend().count(&schema, None).await.unwrap(), 40);
    assert_eq!(two.tenant(&tenant("acme")).await.unwrap().generation, 1);
}

#[tokio::test]
async fn who_may_and_of_which_tenants() {
    let (world, place) = (World::with(&["acme", "globex"], with_models).await, tempfile::tempdir().unwrap());
    let (c, target) = (&world.cogniverse, target(place.path()));
    let unknown = c.backups().create(&tenant("nobody"), &target, small()).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::TenantUnknown);
    c.suspend(&tenant("acme"), Suspend::new("unpaid")).await.unwrap();
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let admin = Caller::new(CallerId::parse("anna").unwrap()).with_tenant(tenant("globex")).with_role(Role::Admin);
    let anna = c.for_caller(admin);
    for denied in [
        anna.backups().create(&tenant("acme"), &target, small()).await.unwrap_err(),
        anna.backups().verify(&target, &manifest.backup).await.unwrap_err(),
        anna.backups().restore(&target, RestoreBackup::new(&*manifest.backup)).await.unwrap_err(),
    ] {
        assert_eq!(denied.code(), ErrorCode::TenantUnknown);
    }
    assert!(anna.backups().list(&target).await.unwrap().is_empty());
    c.erase(&tenant("acme")).await.unwrap();
    let gone = c.backups().create(&tenant("acme"), &target, small()).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::TenantUnknown);
}

async fn open(folder: &Path) -> Cogniverse {
    with_models(Cogniverse::builder().data_dir(folder)).open().await.unwrap()
}

async fn act(c: &Cogniverse, place: &Path, what: &str) -> Result<()> {
    let target = target(place);
    match what {
        "backup" => c.backups().create(&tenant("acme"), &target, small()).await.map(drop),
        _ => {
            let listed = c.backups().list(&target).await?;
            let backup = listed.into_iter().find(|listed| listed.manifest.is_some()).unwrap().backup;
            c.backups().restore(&target, RestoreBackup::new(backup).into_tenant(tenant("copy"))).await.map(drop)
        }
    }
}

/// The process that is killed.
#[tokio::test]
#[ignore = "run by the test of this file, in a process of its own"]
async fn child() {
    let folder = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let c = open(&folder("BACKUP_DATA")).await;
    act(&c, &folder("BACKUP_TARGET"), &std::env::var("BACKUP_WHAT").unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_15_a_kill_at_any_step_of_a_backup_and_a_restore_is_finished_by_the_same_call() {
    const STEPS: &[(&str, &str)] = &[
        ("backup", "backup.part"),
        ("backup", "backup.noted"),
        ("backup", "backup.read"),
        ("backup", "backup.written"),
        ("backup", "backup.recorded"),
        ("restore", "create.active"),
        ("restore", "deploy.recorded"),
        ("restore", "restore.recorded"),
        ("restore", "restore.part"),
        ("restore", "restore.noted"),
        ("restore", "restore.active"),
    ];
    let world = World::with(&["acme"], with_models).await;
    fill(&world, "acme").await;
    let original = content(&world, "acme").await;
    let World { cogniverse, folder } = world;
    drop(cogniverse);
    for (what, place) in STEPS {
        let targets = tempfile::tempdir().unwrap();
        if *what == "restore" {
            act(&open(folder.path()).await, targets.path(), "backup").await.unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture"])
            .env("BACKUP_DATA", folder.path())
            .env("BACKUP_TARGET", targets.path())
            .env("BACKUP_WHAT", what)
            .env("COGNIVERSE_FAILPOINT", place)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reached = lines.any(|line| line.unwrap() == format!("failpoint {place}"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "{what} never came to {place}");
        let c = open(folder.path()).await;
        act(&c, targets.path(), what).await.unwrap_or_else(|e| panic!("{place}: {}", e.chain()));
        let target = target(targets.path());
        for listed in c.backups().list(&target).await.unwrap() {
            let found = c.backups().verify(&target, &listed.backup).await.unwrap();
            assert!(found.is_whole(), "{place}: {:?}", found.problems);
        }
        let world = World { cogniverse: c, folder: tempfile::tempdir().unwrap() };
        let of = |world: World, name: &'static str| {
            let folder = folder.path().to_owned();
            async move {
                // The transcripts lie in the first folder.
                let mut found = content(&world, name).await;
                found.extend(kept(&folder, name));
                (world, found)
            }
        };
        let (world, after) = of(world, "acme").await;
        assert_same(&after, &original);
        if *what == "restore" {
            let (world, copy) = of(world, "copy").await;
            assert_same(&copy, &original);
            let c = &world.cogniverse;
            c.suspend(&tenant("copy"), Suspend::new("done")).await.unwrap();
            assert!(c.erase(&tenant("copy")).await.unwrap().is_complete(), "{place}");
        }
    }
    let _: TenantId = tenant("acme");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_backups_of_a_tenant_at_once_are_both_whole() {
    let keys = tempfile::tempdir().unwrap();
    let folder = Arc::new(FolderKeys::new(keys.path(), OperatorKey::new([1; 32])));
    let (world, place) =
        (World::with(&["acme"], |b| with_models(b).backup_keys(folder)).await, tempfile::tempdir().unwrap());
    fill(&world, "acme").await;
    let target = target(place.path());
    let (one, two) = (world.cogniverse.backups(), world.cogniverse.for_caller(Caller::embedder()).backups());
    let acme = tenant("acme");
    let (first, second) = tokio::join!(one.create(&acme, &target, small()), two.create(&acme, &target, small()));
    for manifest in [first.unwrap(), second.unwrap()] {
        assert!(one.verify(&target, &manifest.backup).await.unwrap().is_whole());
    }
    assert_eq!(one.list(&target).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_process_whose_backup_was_taken_over_leaves_it_alone() {
    let (world, place) = (World::with(&["acme"], with_models).await, tempfile::tempdir().unwrap());
    fill(&world, "acme").await;
    // Another attempt writes its name down while the parts of this one are put.
    #[derive(Debug)]
    struct Taken(FolderTarget);
    #[async_trait]
    impl BackupTarget for Taken {
        fn location(&self) -> String {
            self.0.location()
        }
        async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
            if let Some((backup, _)) = path.split_once("/parts/00000002") {
                let progress = format!("{backup}/progress.json");
                let known = self.0.get(&progress).await?.unwrap();
                let mut known: serde_json::Value = serde_json::from_slice(&known).unwrap();
                known["attempt"] = "another".into();
                self.0.put(&progress, known.to_string().into_bytes()).await?;
            }
            self.0.put(path, bytes).await
        }
        async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
            self.0.get(path).await
        }
        async fn list(&self, prefix: &str) -> Result<Vec<String>> {
            self.0.list(prefix).await
        }
        async fn remove(&self, path: &str) -> Result<()> {
            self.0.remove(path).await
        }
    }
    let taken: Arc<dyn BackupTarget> = Arc::new(Taken(FolderTarget::new(place.path())));
    let error = world.cogniverse.backups().create(&tenant("acme"), &taken, small()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BackupRunning, "{error}");
    assert!(taken.list("").await.unwrap().iter().all(|path| !path.ends_with("manifest.json")));
}

#[tokio::test]
async fn a_restore_that_was_given_up_costs_no_key_and_is_no_erasure() {
    let (keys, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = Arc::new(FolderKeys::new(keys.path(), OperatorKey::new([1; 32])));
    let source = World::with(&["acme"], |b| with_models(b).backup_keys(folder.clone())).await;
    fill(&source, "acme").await;
    let target = target(place.path());
    let manifest = source.cogniverse.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let whole = source.cogniverse.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    // Another deployment with the keys put back.
    let world = World::with(&[], |b| with_models(b).backup_keys(folder)).await;
    let c = &world.cogniverse;
    let last = manifest.parts.last().unwrap().path(&manifest.backup);
    target.remove(&last).await.unwrap();
    let error = c.backups().restore(&target, RestoreBackup::new(&*manifest.backup)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BackupDamaged);
    assert_eq!(c.tenant(&tenant("acme")).await.unwrap().state, cogniverse::tenants::TenantState::Provisioning);
    assert!(c.erase(&tenant("acme")).await.unwrap().is_complete());
    c.backups().restore(&target, RestoreBackup::new(&*whole.backup)).await.unwrap();
    assert_same(&content(&world, "acme").await, &content(&source, "acme").await);
}

#[tokio::test]
async fn the_ledger_counts_generations_over_deployments_and_copies() {
    let (world, place) = (World::with(&["acme"], with_models).await, tempfile::tempdir().unwrap());
    let (c, target) = (&world.cogniverse, target(place.path()));
    c.suspend(&tenant("acme"), Suspend::new("a test")).await.unwrap();
    c.erase(&tenant("acme")).await.unwrap();
    c.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    assert_eq!(manifest.generation, 2);
    let other = World::with(&[], with_models).await;
    let c = &other.cogniverse;
    for name in ["acme", "copy"] {
        let request = || RestoreBackup::new(&*manifest.backup).into_tenant(tenant(name));
        let report = c.backups().restore(&target, request()).await.unwrap();
        assert_eq!(report.record.generation, if name == "acme" { 2 } else { 1 });
        c.suspend(&tenant(name), Suspend::new("the contract ended")).await.unwrap();
        if name == "copy" {
            c.erase(&tenant(name)).await.unwrap();
            let error = c.backups().restore(&target, request()).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::BackupOfErased, "what a copy had is erased with it");
        }
    }
    c.erase(&tenant("acme")).await.unwrap();
    let error = c.backups().restore(&target, RestoreBackup::new(&*manifest.backup)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BackupOfErased);
    // What the operator knows of backups is gone with the tenant, and its id is free.
    assert!(c.backups().last(&tenant("acme")).await.unwrap().is_none());
    c.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
}

#[tokio::test]
async fn nobody_without_the_key_writes_a_backup_that_is_restored() {
    let (keys, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = Arc::new(FolderKeys::new(keys.path(), OperatorKey::new([1; 32])));
    let world = World::with(&["acme"], |b| with_models(b).backup_keys(folder)).await;
    fill(&world, "acme").await;
    let (c, target) = (&world.cogniverse, target(place.path()));
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    // A forger drops the last part and makes the sums right.
    let mut forged = manifest.clone();
    forged.parts.pop();
    forged.surfaces.iter_mut().for_each(|share| share.items = 0);
    (forged.sha256, forged.seal) = (String::new(), None);
    let digest = cogniverse_sum(&serde_json::to_vec(&forged).unwrap());
    (forged.sha256, forged.seal) = (digest, manifest.seal.clone());
    let path = format!("{}/manifest.json", manifest.backup);
    target.put(&path, serde_json::to_vec(&forged).unwrap()).await.unwrap();
    let request = || RestoreBackup::new(&*manifest.backup).into_tenant(tenant("copy"));
    assert_eq!(c.backups().restore(&target, request()).await.unwrap_err().code(), ErrorCode::BackupDamaged);
    // Or one in plain, where the tenant's are encrypted.
    let plain = c.backups().create(&tenant("acme"), &target, small().encrypted(false)).await.unwrap();
    let request = RestoreBackup::new(&*plain.backup).into_tenant(tenant("copy"));
    let refused = c.backups().restore(&target, request.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
    c.backups().restore(&target, request.although_plain()).await.unwrap();
}

fn cogniverse_sum(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_waits_for_a_backup_and_ends_it() {
    #[derive(Debug)]
    struct Slow(FolderTarget);
    #[async_trait]
    impl BackupTarget for Slow {
        fn location(&self) -> String {
            self.0.location()
        }
        async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            self.0.put(path, bytes).await
        }
        async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
            self.0.get(path).await
        }
        async fn list(&self, prefix: &str) -> Result<Vec<String>> {
            self.0.list(prefix).await
        }
        async fn remove(&self, path: &str) -> Result<()> {
            self.0.remove(path).await
        }
    }
    let (world, place) = (World::with(&["acme"], with_models).await, tempfile::tempdir().unwrap());
    fill(&world, "acme").await;
    let c = world.cogniverse.clone();
    let slow: Arc<dyn BackupTarget> = Arc::new(Slow(FolderTarget::new(place.path())));
    let making = tokio::spawn({
        let (backups, slow) = (c.backups(), Arc::clone(&slow));
        async move { backups.create(&tenant("acme"), &slow, small()).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    c.suspend(&tenant("acme"), Suspend::new("the contract ended")).await.unwrap();
    let receipt = c.erase(&tenant("acme")).await.unwrap();
    assert!(receipt.is_complete());
    // It ended before anything was erased, with a backup or with an error, and nothing follows.
    assert!(making.is_finished());
    drop(making.await.unwrap());
    let log = c.operator().audit().read(&tenant("acme"), 0, 1000).await.unwrap();
    let last = serde_json::to_string(&log.entries.last().unwrap()).unwrap();
    assert!(last.contains("erased"), "{last}");
    c.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
}

#[tokio::test]
async fn what_lies_in_a_target_writes_nothing_of_another_tenant() {
    let (world, place) = (World::with(&["acme", "globex"], with_models).await, tempfile::tempdir().unwrap());
    let (c, target) = (&world.cogniverse, target(place.path()));
    // A whole manifest in acme's folder that names another tenant, as of a backup that died after it.
    let manifest = c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    let mut forged = manifest.clone();
    (forged.tenant, forged.sha256) = (tenant("globex"), String::new());
    forged.sha256 = cogniverse_sum(&serde_json::to_vec(&forged).unwrap());
    target.put(&format!("{}/manifest.json", forged.backup), serde_json::to_vec(&forged).unwrap()).await.unwrap();
    target.put(&format!("{}/progress.json", forged.backup), b"{}".to_vec()).await.unwrap();
    c.backups().create(&tenant("acme"), &target, small()).await.unwrap();
    assert_eq!(c.backups().last(&tenant("globex")).await.unwrap(), None);
    let log = c.operator().audit().read(&tenant("globex"), 0, 1000).await.unwrap();
    assert!(!serde_json::to_string(&log.entries).unwrap().contains("backed_up"));
}
