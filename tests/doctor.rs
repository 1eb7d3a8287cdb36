//! The doctor: each fault is found, with its remedy, and a healthy tenant has none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, Error, ErrorCode, ErrorKind, Result, Suspend, TenantId,
    config::{InMemoryConfigStore, QuotaConfig},
    doctor::{Diagnosis, Severity},
    embedded::{Durability, EmbeddedConfig},
    encoders::HashEncoder,
    schemas::InMemorySchemaLoader,
    sdk::{
        Caller, CallerId, ConfigKey, ConfigScope, ConfigStore, Expected, Inventory, Quota, Remains, Role, SchemaLoader,
        SurfaceErasure, TenantSchema, TenantSurface, VectorKind,
        config_store::PutConfig,
        schema_store::{DeployRequest, SchemaDeployment},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use world::{TEXT, World, tenant};

fn codes(found: &Diagnosis, from: Severity) -> Vec<&str> {
    found.findings.iter().filter(|finding| finding.severity >= from).map(|finding| finding.code.as_str()).collect()
}

async fn examine(world: &World, of: &str) -> Diagnosis {
    world.cogniverse.diagnose(&tenant(of)).await.unwrap()
}

/// A surface that can fail.
#[derive(Debug, Default)]
struct Shelf {
    is_broken: AtomicBool,
    items: std::sync::atomic::AtomicU64,
}

#[async_trait]
impl TenantSurface for Shelf {
    fn name(&self) -> &'static str {
        "shelf"
    }
    async fn inventory(&self, _: &TenantId) -> Result<Inventory> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the shelf is locked")),
            false => Ok(Inventory::of(self.items.load(Ordering::SeqCst))),
        }
    }
    async fn erase(&self, _: &TenantId) -> Result<SurfaceErasure> {
        Ok(SurfaceErasure::of(0))
    }
    async fn remains(&self, _: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(0))
    }
}

#[tokio::test]
async fn a_healthy_tenant_has_facts_and_no_faults() {
    let encoder = Arc::new(HashEncoder::new(384, VectorKind::Multi));
    let world = World::with(&["acme"], |b| b.encoder("hash", encoder)).await;
    world.set_encoder("acme", "hash").await;
    world.ingest("acme", &[("v", 0.0, 1.0, "words")]).await;
    let found = examine(&world, "acme").await;
    assert_eq!(codes(&found, Severity::Warning), Vec::<&str>::new(), "{found}");
    assert!(found.is_healthy());
    for fact in ["config_set", "config_default", "schema_deployed", "encoder_fits", "quota", "holds"] {
        assert!(codes(&found, Severity::Info).contains(&fact), "{fact}: {found}");
    }
    let documents = found.findings.iter().find(|finding| finding.message.starts_with("documents:")).unwrap();
    assert_eq!(documents.message, "documents: 2 items", "a segment and the record of its video");
    let json = serde_json::to_value(&found).unwrap();
    for part in ["code", "severity", "message", "remedy"] {
        assert!(json["findings"][0][part].is_string(), "{json}");
    }
}

#[tokio::test]
async fn each_fault_is_found_with_its_remedy() {
    let shelf = Arc::new(Shelf::default());
    let store = Arc::new(InMemoryConfigStore::new());
    let world = World::with(&["acme"], |b| b.surface(shelf.clone()).config_store(store.clone())).await;
    let c = &world.cogniverse;
    let fault = async |code: &str| {
        let found = examine(&world, "acme").await;
        let finding = found.findings.iter().find(|finding| finding.code == code);
        let finding = finding.unwrap_or_else(|| panic!("{code} is not found: {found}"));
        assert!(finding.severity >= Severity::Warning && !finding.remedy.is_empty(), "{finding:?}");
        assert_eq!(found.findings[0].severity, found.findings.iter().map(|finding| finding.severity).max().unwrap());
        finding.message.clone()
    };
    world
        .ingest("acme", &[("v", 0.0, 1.0, "a"), ("v", 1.0, 2.0, "b"), ("v", 2.0, 3.0, "c"), ("v", 3.0, 4.0, "d")])
        .await;
    // An encoder that nobody registered.
    world.set_encoder("acme", "no_such").await;
    assert!(fault("encoder_unknown").await.contains("no_such"));
    // Quotas that are nearly used up, and that are.
    for (limit, code) in [(5, "quota_nearly_full"), (4, "quota_full")] {
        let config = QuotaConfig::new(tenant("acme")).with_limit(Quota::Documents, Some(limit));
        c.operator().config().set_quota_config(&tenant("acme"), config).await.unwrap();
        assert!(fault(code).await.contains("documents"));
    }
    // A section that cannot be used, which takes nothing else along.
    let key = ConfigKey::tenant(&tenant("acme"), ConfigScope::Routing, "routing", "routing_config");
    store.put(PutConfig::new(key, serde_json::json!({"tenant_id": "acme", "routing_mode": "magic"}))).await.unwrap();
    assert!(fault("config_invalid").await.contains("routing_config"));
    // A surface that cannot be read.
    shelf.is_broken.store(true, Ordering::SeqCst);
    assert!(fault("unreadable").await.contains("the shelf is locked"));
    shelf.is_broken.store(false, Ordering::SeqCst);
    // A schema that is gone.
    c.drop_schema(&tenant("acme"), &cogniverse::SchemaName::parse(TEXT).unwrap()).await.unwrap();
    fault("no_schemas").await;
    // A suspension, its end, and what is left of an erased tenant.
    let retention = Duration::from_millis(1);
    c.suspend(&tenant("acme"), Suspend::new("unpaid").with_retention(Duration::from_secs(3_600))).await.unwrap();
    assert!(fault("suspended").await.contains("unpaid"));
    c.reactivate(&tenant("acme")).await.unwrap();
    c.suspend(&tenant("acme"), Suspend::new("over").with_retention(retention)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    fault("retention_over").await;
    assert!(c.erase(&tenant("acme")).await.unwrap().is_complete());
    let found = examine(&world, "acme").await;
    assert!(found.is_healthy() && codes(&found, Severity::Info).contains(&"erased"), "{found}");
    shelf.items.store(2, Ordering::SeqCst);
    assert!(fault("leftovers").await.contains("2 items"));
}

#[tokio::test]
async fn an_encoder_that_does_not_fit_and_a_schema_that_drifted_are_found() {
    let wide = Arc::new(HashEncoder::new(64, VectorKind::Multi));
    let world = World::with(&["acme"], |b| b.encoder("wide", wide)).await;
    world.set_encoder("acme", "wide").await;
    let found = examine(&world, "acme").await;
    assert!(codes(&found, Severity::Error).contains(&"encoder_mismatch"), "{found}");
    // One that fits the schema and not the profile's own dimensions, which ingestion and search refuse too.
    let fitting = Arc::new(HashEncoder::new(384, VectorKind::Multi));
    let other = World::with(&["acme"], |b| b.encoder("hash", fitting)).await;
    let config = other.cogniverse.operator().config();
    let text = cogniverse::ProfileName::parse(TEXT).unwrap();
    let known = config.get_profile(&tenant("acme"), &text).await.unwrap().config.value;
    config.set_profile(&tenant("acme"), &text, known.with_encoder("hash").with_dimensions(128)).await.unwrap();
    let found = examine(&other, "acme").await;
    assert!(codes(&found, Severity::Error).contains(&"encoder_mismatch"), "{found}");
    // The same folder under a release whose base schema has another field, and another ranking.
    let shipped = cogniverse::schemas::EmbeddedSchemaLoader;
    let base = shipped.load(&cogniverse::SchemaName::parse(TEXT).unwrap()).await.unwrap();
    let World { cogniverse, folder } = world;
    drop(cogniverse);
    for (change, code) in [("fields", "schema_fields_differ"), ("ranking", "schema_ranking_differs")] {
        let mut json = serde_json::to_value(&*base).unwrap();
        match change {
            "fields" => {
                json["document"]["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "source_url")
            }
            _ => drop(json["rank_profiles"].as_array_mut().unwrap().pop()),
        }
        let changed: cogniverse::sdk::BaseSchema = serde_json::from_value(json).unwrap();
        let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
        let c = loop {
            let loader = Arc::new(InMemorySchemaLoader::new([changed.clone()]));
            match Cogniverse::builder().embedded(config.clone()).schema_overrides(loader).open().await {
                Ok(c) => break c,
                Err(error) => assert_eq!(error.code(), ErrorCode::DataFolderInUse, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let found = c.diagnose(&tenant("acme")).await.unwrap();
        assert!(codes(&found, Severity::Warning).contains(&code), "{code}: {found}");
    }
}

/// A record as a release or a crash may have left it.
async fn record(c: &Cogniverse, name: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let tenants = c.operator().tenants();
    let mut json = serde_json::to_value(tenants.get(&tenant("acme")).await.unwrap()).unwrap();
    json["tenant"] = name.into();
    change(&mut json);
    tenants.put(&serde_json::from_value(json).unwrap(), Expected::Absent).await.unwrap();
}

#[tokio::test]
async fn what_a_crash_or_another_release_left_is_found() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    record(c, "half_made", |json| json["state"] = "provisioning".into()).await;
    record(c, "half_gone", |json| json["state"] = "erasing".into()).await;
    // A record without a configuration, as nothing but a store that was put back can leave it.
    record(c, "bare", |_| ()).await;
    for (name, code) in
        [("half_made", "creation_unfinished"), ("half_gone", "erasure_unfinished"), ("bare", "config_missing")]
    {
        let found = examine(&world, name).await;
        assert!(codes(&found, Severity::Error).contains(&code), "{name}: {found}");
    }
    // A profile of the tenant's own without its schema, and one that cannot be read, which hides no other.
    let config = c.operator().config();
    let frames = cogniverse::ProfileName::parse("video_colpali_smol500_mv_frame").unwrap();
    let known = config.get_profile(&tenant("acme"), &frames).await.unwrap().config.value;
    let mine = cogniverse::ProfileName::parse("mine").unwrap();
    config.set_profile(&tenant("acme"), &mine, known).await.unwrap();
    let found = examine(&world, "acme").await;
    assert!(codes(&found, Severity::Warning).contains(&"profile_without_schema"), "{found}");
    let mut key = c.operator().config().export_tenant(&tenant("acme")).await.unwrap();
    let key = key.entries.drain(..).map(|entry| entry.key).find(|key| key.key.contains("mine")).unwrap();
    let broken = ConfigKey { key: key.key.replace("mine", "broken"), ..key };
    config.store().put(PutConfig::new(broken, serde_json::json!({"no": "profile"}))).await.unwrap();
    let found = examine(&world, "acme").await;
    assert!(found.findings.iter().any(|finding| finding.message.contains("profile broken")), "{found}");
    assert!(codes(&found, Severity::Warning).contains(&"profile_without_schema"), "{found}");
    // A stage of memories, and a schema whose base has another name now.
    let shipped = cogniverse::schemas::EmbeddedSchemaLoader;
    let base = shipped.load(&cogniverse::SchemaName::parse(TEXT).unwrap()).await.unwrap();
    for (name, code) in [("agent_memories_reembed", "reembedding_unfinished"), ("old_videos", "schema_base_unknown")] {
        let mut definition = (*base).clone();
        definition.name = cogniverse::SchemaName::parse(name).unwrap();
        let schema = TenantSchema::new(&tenant("acme"), &definition.name);
        let deployment = SchemaDeployment { schema, definition: Arc::new(definition) };
        c.operator().backend().deploy(DeployRequest::new(vec![deployment])).await.unwrap();
        let found = examine(&world, "acme").await;
        assert!(codes(&found, Severity::Warning).contains(&code), "{found}");
    }
}

#[tokio::test]
async fn only_those_who_administer_tenants_may_examine_them() {
    let world = World::with(&["acme"], |b| b).await;
    let anna = Caller::new(CallerId::parse("anna").unwrap()).with_tenant(tenant("acme")).with_role(Role::Reader);
    let error = world.cogniverse.for_caller(anna).diagnose(&tenant("acme")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TenantUnknown, "{error}");
    assert_eq!(world.cogniverse.diagnose(&tenant("nobody")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
}
