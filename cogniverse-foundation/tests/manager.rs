//! Typed configuration: defaults, versions, templates, profiles, export and import.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cogniverse_foundation::{
    AllowedOrigins, BackendProfile, ConfigManager, FieldSource, InMemoryConfigStore, ProfileLevel, Recorded,
    RoutingConfig, RoutingMode, Segmentation, Source, SystemConfig, TelemetryConfig, Template,
};
use cogniverse_sdk::config_store::{ConfigKey, ConfigScope, Expected, PutConfig};
use cogniverse_sdk::{ErrorKind, ProfileName, Result, SchemaName, TenantId};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn manager() -> ConfigManager {
    ConfigManager::new(Arc::new(InMemoryConfigStore::new()))
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

async fn with(tenant: &TenantId) -> ConfigManager {
    let manager = manager();
    manager.create_from_template(tenant, Template::Startup, Map::new()).await.unwrap();
    manager
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    for word in words {
        assert!(error.chain().contains(word), "{word:?} is not in {error:?}");
    }
}

#[tokio::test]
async fn invariant_20_a_default_says_so_and_a_missing_tenant_is_an_error() {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let manager = with(&acme).await;
    let routing = manager.get_routing_config(&acme).await.unwrap();
    assert_eq!((routing.version, &routing.source, routing.created_at), (0, &Source::Default, None));
    // Set to the very same value: now it is set.
    let set = manager.set_routing_config(&acme, routing.value.clone()).await.unwrap();
    assert_eq!((set.version, &set.source, &set.value), (1, &Source::Set, &routing.value));
    assert_eq!(manager.get_routing_config(&acme).await.unwrap(), set);
    assert!(!manager.get_telemetry_config(&acme).await.unwrap().is_set());

    let missing = ["globex", "create_from_template"];
    let name = ProfileName::parse("video_colpali_smol500_mv_frame").unwrap();
    refusal(manager.get_system_config(&globex).await, ErrorKind::NotFound, &missing);
    refusal(manager.get_routing_config(&globex).await, ErrorKind::NotFound, &missing);
    refusal(manager.get_telemetry_config(&globex).await, ErrorKind::NotFound, &missing);
    refusal(manager.get_profile(&globex, &name).await, ErrorKind::NotFound, &missing);
    refusal(manager.list_profiles(&globex).await, ErrorKind::NotFound, &missing);
    refusal(manager.export_tenant(&globex).await, ErrorKind::NotFound, &missing);
    refusal(
        manager.set_routing_config(&globex, RoutingConfig::new(globex.clone())).await,
        ErrorKind::NotFound,
        &missing,
    );

    // Taken back: the default holds again; without a system configuration the tenant is missing, whatever else it has.
    assert_eq!(manager.delete::<RoutingConfig>(&acme, Expected::Version(1)).await.unwrap(), 2);
    assert_eq!(manager.get_routing_config(&acme).await.unwrap().source, Source::Default);
    manager.set_routing_config(&acme, RoutingConfig::new(acme.clone())).await.unwrap();
    manager.delete::<SystemConfig>(&acme, Expected::Any).await.unwrap();
    refusal(manager.get_routing_config(&acme).await, ErrorKind::NotFound, &["acme"]);
}

#[tokio::test]
async fn invariant_13_a_rollback_is_a_new_version_that_names_the_old_one() {
    let acme = tenant("acme");
    let manager = manager();
    let first = map(json!({ "llm_model": "model:1" }));
    manager.create_from_template(&acme, Template::Startup, first).await.unwrap();
    for n in 2..=5 {
        let config = SystemConfig::new(acme.clone()).with_llm_model(format!("model:{n}"));
        assert_eq!(manager.set_system_config(&acme, config).await.unwrap().version, n);
    }
    let back = manager.rollback::<SystemConfig>(&acme, 2).await.unwrap();
    assert_eq!(
        (back.version, &back.source, back.value.llm_model.as_str()),
        (6, &Source::Rollback { of: 2 }, "model:2")
    );
    assert_eq!(manager.get_system_config(&acme).await.unwrap(), back);

    let first = manager.history::<SystemConfig>(&acme, None, 4).await.unwrap();
    let second = manager.history::<SystemConfig>(&acme, first.next, 4).await.unwrap();
    let models = first.entries.iter().chain(&second.entries).map(|entry| match &entry.recorded {
        Recorded::Value(config) => config.llm_model.clone(),
        other => format!("{other:?}"),
    });
    assert_eq!(models.collect::<Vec<_>>(), ["model:2", "model:5", "model:4", "model:3", "model:2", "model:1"]);
    assert_eq!(second.next, None);

    let range = ["version 9", "versions 1 to 6"];
    refusal(manager.rollback::<SystemConfig>(&acme, 9).await, ErrorKind::NotFound, &range);
    refusal(manager.rollback::<SystemConfig>(&acme, 0).await, ErrorKind::NotFound, &["versions 1 to 6"]);
    refusal(manager.rollback::<RoutingConfig>(&acme, 1).await, ErrorKind::NotFound, &["nothing was ever set"]);
    manager.delete::<SystemConfig>(&acme, Expected::Any).await.unwrap();
    refusal(manager.rollback::<SystemConfig>(&acme, 7).await, ErrorKind::FailedPrecondition, &["deletion"]);
    assert_eq!(manager.rollback::<SystemConfig>(&acme, 6).await.unwrap().version, 8, "a deletion can be undone");
}

#[tokio::test]
async fn an_old_version_that_is_no_longer_accepted_is_shown_and_not_put_back() {
    let acme = tenant("acme");
    let manager = manager();
    let key = ConfigKey::tenant(&acme, ConfigScope::System, "system", "system_config");
    let old = PutConfig::new(key, json!({ "tenant_id": "acme", "gone_field": 1 }));
    manager.store().put(old).await.unwrap();
    manager.set_system_config(&acme, SystemConfig::new(acme.clone())).await.unwrap();
    let page = manager.history::<SystemConfig>(&acme, None, 10).await.unwrap();
    assert!(matches!(&page.entries[1].recorded, Recorded::Unreadable(why) if why.contains("gone_field")));
    refusal(manager.rollback::<SystemConfig>(&acme, 1).await, ErrorKind::FailedPrecondition, &["gone_field"]);
}

#[tokio::test]
async fn invariant_13_compare_and_set_and_update() {
    let acme = tenant("acme");
    let manager = with(&acme).await;
    let config = SystemConfig::new(acme.clone()).with_llm_model("other");
    let stale = manager.compare_and_set(&acme, config, Expected::Absent).await;
    refusal(stale, ErrorKind::Conflict, &["version 1"]);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (manager, acme) = (manager.clone(), acme.clone());
        tasks.spawn(async move {
            let change = |config: &mut SystemConfig| drop(config.metadata.insert(format!("key{n}"), json!(n)));
            manager.update(&acme, change).await.unwrap();
        });
    }
    tasks.join_all().await;
    let config = manager.get_system_config(&acme).await.unwrap();
    assert_eq!((config.version, config.value.metadata.len()), (11, 10));
    // A value that was never set can be updated too.
    let slow = |config: &mut RoutingConfig| config.enable_fast_path = false;
    assert_eq!(manager.update(&acme, slow).await.unwrap().version, 1);
    let neither = |config: &mut RoutingConfig| config.enable_slow_path = false;
    refusal(manager.update(&acme, neither).await, ErrorKind::InvalidInput, &["both routing paths"]);
}

#[tokio::test]
async fn templates_give_the_guides_values_and_check_their_overrides() {
    let manager = manager();
    let models = ["mistral:7b-instruct", "ollama/gemma3:4b", "ollama/gemma3:4b"];
    for (template, model) in Template::ALL.into_iter().zip(models) {
        let id = tenant(template.as_str());
        let created = manager.create_from_template(&id, template, Map::new()).await.unwrap();
        assert_eq!(created.source, Source::Template(template.to_string()));
        assert_eq!(created.value, SystemConfig::new(id).with_llm_model(model));
    }
    let known = ["unknown template \"gold\"", "enterprise, startup, trial"];
    refusal("gold".parse::<Template>(), ErrorKind::NotFound, &known);
    let again = manager.create_from_template(&tenant("trial"), Template::Startup, Map::new()).await;
    refusal(again, ErrorKind::Conflict, &["trial", "already has a system configuration"]);

    let new = tenant("new");
    for (overrides, words) in [
        (json!({ "llm_modell": "x" }), ["llm_modell", "there are: backend_port, backend_url, base_url, llm_model"]),
        (json!({ "tenant_id": "globex" }), ["tenant_id", "there are"]),
        (json!({ "backend_port": "8080" }), ["wrong type", "u16"]),
        (json!({ "backend_port": 0 }), ["backend_port is 0", "1 to 65535"]),
    ] {
        let refused = manager.create_from_template(&new, Template::Startup, map(overrides)).await;
        refusal(refused, ErrorKind::InvalidInput, &words);
    }
    refusal(manager.get_system_config(&new).await, ErrorKind::NotFound, &["new"]);
}

#[tokio::test]
async fn invariant_20_each_field_tells_where_it_comes_from() {
    let acme = tenant("acme");
    let allowed = (0..150).map(|n| format!("http://models{n}")).chain(["http://models".to_owned()]);
    let allowed = allowed.fold(AllowedOrigins::none(), |allowed, origin| allowed.allow(&origin).unwrap());
    let manager = manager().with_allowed_origins(allowed);
    let overrides = map(json!({ "metadata": { "plan": "gold" }, "base_url": "http://models" }));
    manager.create_from_template(&acme, Template::Enterprise, overrides).await.unwrap();
    let told = |sources: &BTreeMap<String, FieldSource>, field: &str| {
        let found = &sources[field];
        (found.source.clone(), found.version)
    };
    let template = Source::Template("enterprise".into());
    let sources = manager.field_sources::<SystemConfig>(&acme).await.unwrap();
    assert_eq!(sources.len(), 6, "every field but tenant_id: {sources:?}");
    assert_eq!(told(&sources, "llm_model"), (template.clone(), 1));
    assert_eq!(told(&sources, "backend_port"), (template.clone(), 1));
    assert_eq!(told(&sources, "metadata"), (Source::Set, 1));
    assert_eq!(told(&sources, "base_url"), (Source::Set, 1));

    // More changes than a page holds, then back to what the default is: that is set, and no default.
    for n in 0..150 {
        manager.update(&acme, |config: &mut SystemConfig| config.base_url = format!("http://models{n}")).await.unwrap();
    }
    manager.update(&acme, |config: &mut SystemConfig| config.base_url = "http://localhost:11434".into()).await.unwrap();
    manager.rollback::<SystemConfig>(&acme, 10).await.unwrap();
    let sources = manager.field_sources::<SystemConfig>(&acme).await.unwrap();
    assert_eq!(told(&sources, "base_url"), (Source::Rollback { of: 10 }, 153));
    assert_eq!(told(&sources, "llm_model"), (template, 1));
    manager.update(&acme, |config: &mut SystemConfig| config.base_url = "http://localhost:11434".into()).await.unwrap();
    let sources = manager.field_sources::<SystemConfig>(&acme).await.unwrap();
    assert_eq!(told(&sources, "base_url"), (Source::Set, 154));

    // Deleted and created anew: what was before the deletion does not count.
    manager.delete::<SystemConfig>(&acme, Expected::Any).await.unwrap();
    let model = map(json!({ "llm_model": "m" }));
    manager.create_from_template(&acme, Template::Enterprise, model).await.unwrap();
    let sources = manager.field_sources::<SystemConfig>(&acme).await.unwrap();
    assert_eq!(told(&sources, "llm_model"), (Source::Set, 156));
    assert_eq!(told(&sources, "base_url"), (Source::Default, 0));
    let routing = manager.field_sources::<RoutingConfig>(&acme).await.unwrap();
    assert!(routing.len() == 12 && routing.values().all(|found| found.source == Source::Default));
}

#[tokio::test]
async fn a_profile_is_the_tenants_over_the_systems_over_the_builtin_one() {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let manager = with(&acme).await;
    manager.create_from_template(&globex, Template::Startup, Map::new()).await.unwrap();
    let name = ProfileName::parse("video_colpali_smol500_mv_frame").unwrap();
    let found = manager.get_profile(&acme, &name).await.unwrap();
    assert_eq!((found.level, found.config.version, &found.config.source), (ProfileLevel::Builtin, 0, &Source::Default));
    assert_eq!(found.config.value.segmentation, Segmentation::frames(1.0));

    let base = found.config.value.clone();
    manager.set_system_profile(&name, base.clone().with_encoder("everyones")).await.unwrap();
    manager.set_profile(&acme, &name, base.clone().with_encoder("acmes")).await.unwrap();
    let (ours, theirs) =
        (manager.get_profile(&acme, &name).await.unwrap(), manager.get_profile(&globex, &name).await.unwrap());
    assert_eq!((ours.level, ours.config.value.encoder.as_deref()), (ProfileLevel::Tenant, Some("acmes")));
    assert_eq!((theirs.level, theirs.config.value.encoder.as_deref()), (ProfileLevel::System, Some("everyones")));

    let own = ProfileName::parse("acme_scenes").unwrap();
    let scenes = BackendProfile::new(SchemaName::parse("scenes").unwrap(), Segmentation::scenes(0.4));
    manager.set_profile(&acme, &own, scenes).await.unwrap();
    assert_eq!(manager.list_profiles(&acme).await.unwrap().len(), 8);
    let listed = manager.list_profiles(&globex).await.unwrap();
    assert!(listed.len() == 7 && listed.iter().all(|profile| profile.name != own));
    let words = ["unknown profile \"acme_scenes\"", "video_text_minilm_mv_segment"];
    refusal(manager.get_profile(&globex, &own).await, ErrorKind::NotFound, &words);

    manager.set_profile(&acme, &name, base.clone().with_encoder("better")).await.unwrap();
    let back = manager.rollback_profile(&acme, &name, 1).await.unwrap();
    assert_eq!((back.version, back.value.encoder.as_deref()), (3, Some("acmes")));
    assert_eq!(manager.profile_history(&acme, &name, None, 10).await.unwrap().entries.len(), 3);
    manager.delete_profile(&acme, &name).await.unwrap();
    assert_eq!(manager.get_profile(&acme, &name).await.unwrap().level, ProfileLevel::System);
    manager.delete_system_profile(&name).await.unwrap();
    assert_eq!(manager.get_profile(&acme, &name).await.unwrap().config.value, base);
}

#[tokio::test]
async fn invariant_14_an_export_is_imported_under_the_same_or_another_tenant() {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let source = with(&acme).await;
    source.update(&acme, |config: &mut SystemConfig| config.llm_model = "m".into()).await.unwrap();
    source.rollback::<SystemConfig>(&acme, 1).await.unwrap();
    source.set_routing_config(&acme, RoutingConfig::new(acme.clone())).await.unwrap();
    let profile = ProfileName::parse("video_text_minilm_mv_segment").unwrap();
    for n in 0..250 {
        let found = source.get_profile(&acme, &profile).await.unwrap().config.value;
        source.set_profile(&acme, &profile, found.with_encoder(format!("e{n}"))).await.unwrap();
    }
    let other = ConfigKey::tenant(&acme, ConfigScope::Agent, "memory", "x");
    source.store().put(PutConfig::new(other, json!({ "tenant_id": "third", "note": "acme" }))).await.unwrap();

    let export = source.export_tenant(&acme).await.unwrap();
    // The quotas of the template are the last one.
    assert_eq!(export.entries.len(), 3 + 1 + 250 + 1 + 1);
    let export: cogniverse_foundation::ConfigExport =
        serde_json::from_str(&serde_json::to_string(&export).unwrap()).unwrap();

    let same = manager();
    assert_eq!(same.import_tenant(export.clone(), &acme).await.unwrap(), 256);
    assert_eq!(same.export_tenant(&acme).await.unwrap().entries, export.entries);
    assert_eq!(same.import_tenant(export.clone(), &acme).await.unwrap(), 0);

    assert_eq!(source.import_tenant(export.clone(), &globex).await.unwrap(), 256);
    let moved = source.get_system_config(&globex).await.unwrap();
    assert_eq!((&moved.value.tenant_id, moved.version, &moved.source), (&globex, 3, &Source::Rollback { of: 1 }));
    assert_eq!(source.get_routing_config(&globex).await.unwrap().value.tenant_id, globex);
    assert_eq!(source.rollback::<SystemConfig>(&globex, 2).await.unwrap().value.tenant_id, globex);
    let other = ConfigKey::tenant(&globex, ConfigScope::Agent, "memory", "x");
    let kept = source.store().get(&other, None).await.unwrap().unwrap().value;
    assert_eq!(kept, Some(json!({ "tenant_id": "third", "note": "acme" })));
    assert_eq!(source.export_tenant(&acme).await.unwrap().entries, export.entries, "the source stays as it was");

    refusal(source.import_tenant(export.clone(), &globex).await, ErrorKind::Conflict, &["globex", "version 4"]);
    let mut mixed = export.clone();
    mixed.tenant = globex.clone();
    refusal(manager().import_tenant(mixed, &globex).await, ErrorKind::InvalidInput, &["acme"]);
    let mut newer = export.clone();
    newer.format = 2;
    refusal(manager().import_tenant(newer, &acme).await, ErrorKind::InvalidInput, &["format 2"]);
    let mut broken = export;
    broken.entries.iter_mut().for_each(|entry| entry.value = Some(json!({ "tenant_id": "acme", "nonsense": 1 })));
    refusal(manager().import_tenant(broken, &acme).await, ErrorKind::InvalidInput, &["nonsense"]);
    assert_eq!(source.erase_tenant(&acme).await.unwrap(), 256);
    refusal(source.get_system_config(&acme).await, ErrorKind::NotFound, &["acme"]);
    assert_eq!(source.get_system_config(&globex).await.unwrap().version, 4);
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_it_is_stored() {
    let acme = tenant("acme");
    let manager = with(&acme).await;
    let system = || SystemConfig::new(acme.clone());
    let cases = [
        (system().with_llm_model(" "), "llm_model is empty"),
        (system().with_base_url("localhost:11434"), "base_url must start with http://"),
        (system().with_base_url("http://"), "names no host"),
        (system().with_backend("http://localhost:8080", 8080), "holds a port; give it as backend_port"),
        (system().with_backend("http://localhost", 0), "backend_port is 0"),
        (system().with_telemetry_url("http://user:hunter2@host"), "must not hold credentials"),
    ];
    for (config, words) in cases {
        let error = manager.set_system_config(&acme, config).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let invalid = ErrorKind::InvalidInput;
    let routing = || RoutingConfig::new(acme.clone()).with_routing_mode(RoutingMode::Ensemble);
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        let refused = manager.set_routing_config(&acme, routing().with_confidence_thresholds(bad, 0.5)).await;
        refusal(refused, invalid, &["fast_path_confidence_threshold"]);
    }
    refusal(manager.set_routing_config(&acme, routing().with_auto_optimization(true, 0)).await, invalid, &["interval"]);
    refusal(manager.set(&tenant("globex"), routing()).await, invalid, &["acme", "globex"]);
    let name = ProfileName::parse("p").unwrap();
    for segmentation in [
        Segmentation::chunks(5.0, 5.0),
        Segmentation::chunks(f64::NAN, 0.0),
        Segmentation::chunks(5.0, f64::NAN),
        Segmentation::chunks(5.0, -1.0),
        Segmentation::frames(0.0),
        Segmentation::frames(f64::INFINITY),
        Segmentation::Frames { every_seconds: 1.0, max_frames: 0 },
        Segmentation::scenes(1.0),
        Segmentation::shots(0.0),
        Segmentation::shots(f64::NAN),
        Segmentation::Shots { threshold: 0.3, min_seconds: 0.4, max_seconds: 60.0 },
        Segmentation::Shots { threshold: 0.3, min_seconds: f64::NAN, max_seconds: 60.0 },
        Segmentation::Shots { threshold: 0.3, min_seconds: 2.0, max_seconds: 3.9 },
        Segmentation::Shots { threshold: 0.3, min_seconds: 2.0, max_seconds: f64::INFINITY },
    ] {
        let profile = BackendProfile::new(SchemaName::parse("s").unwrap(), segmentation);
        refusal(manager.set_profile(&acme, &name, profile).await, invalid, &["give"]);
    }
    assert_eq!(manager.get_system_config(&acme).await.unwrap().version, 1);
}

#[tokio::test]
async fn invariant_07_no_two_tenants_share_a_telemetry_project() {
    let acme = tenant("acme");
    let manager = with(&acme).await;
    let config = TelemetryConfig::new();
    assert_eq!(config.project_name(&acme), "acme");
    for template in ["", "cogniverse", "{tenant}_project", "prod_{tenant}", "a/{tenant}", "{tenant} {tenant}"] {
        let refused = manager.set_telemetry_config(&acme, config.clone().with_project_template(template)).await;
        refusal(refused, ErrorKind::InvalidInput, &["project_template"]);
    }
    for endpoint in ["", "localhost", ":4317", "localhost:0", "localhost:x", "http://me:secret@host:4317"] {
        let error = manager.set_telemetry_config(&acme, config.clone().with_otlp_endpoint(endpoint)).await.unwrap_err();
        assert!(error.to_string().contains("otlp_endpoint") && !error.to_string().contains("secret"), "{error}");
    }
    let prod = config.with_project_template("prod ~ {tenant}");
    let set = manager.set_telemetry_config(&acme, prod).await.unwrap();
    assert_eq!(set.value.project_name(&acme), "prod ~ acme");
}

#[test]
fn stored_forms_are_read_with_defaults_and_without_unknown_fields() {
    let acme = tenant("acme");
    let system: SystemConfig = serde_json::from_value(json!({ "tenant_id": "acme" })).unwrap();
    assert_eq!(system, SystemConfig::new(acme.clone()));
    let routing: RoutingConfig = serde_json::from_value(json!({ "tenant_id": "acme" })).unwrap();
    assert_eq!(routing, RoutingConfig::new(acme));
    let mode: RoutingMode = serde_json::from_value(json!("hybrid")).unwrap();
    assert_eq!((mode, "ensemble".parse().unwrap()), (RoutingMode::Hybrid, RoutingMode::Ensemble));
    assert_eq!(serde_json::from_value::<TelemetryConfig>(json!({})).unwrap(), TelemetryConfig::new());
    let frames: Segmentation = serde_json::from_value(json!({ "kind": "frames" })).unwrap();
    assert_eq!(frames, Segmentation::frames(1.0));
    let shots: Segmentation = serde_json::from_value(json!({ "kind": "shots", "max_seconds": 30.0 })).unwrap();
    assert_eq!(shots, Segmentation::Shots { threshold: 0.3, min_seconds: 2.0, max_seconds: 30.0 });
    shots.validate().unwrap();
    assert!(serde_json::from_value::<SystemConfig>(json!({})).is_err(), "there is no default tenant");
    assert!(serde_json::from_value::<SystemConfig>(json!({ "tenant_id": "a", "typo": 1 })).is_err());
    assert!(serde_json::from_value::<Segmentation>(json!({ "kind": "frames", "typo": 1 })).is_err());
}
