//! Whatever a tenant's configuration says is honoured, kept for a named reader, or refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use cogniverse_foundation::{
    AllowedOrigins, BackendProfile, ConfigManager, ConfigSection, FieldUse, InMemoryConfigStore, RoutingConfig,
    Segmentation, SystemConfig, TelemetryConfig, Template, manager::TenantDirectory,
};
use cogniverse_sdk::config_store::{ConfigKey, ConfigScope, PutConfig};
use cogniverse_sdk::{Error, ErrorKind, ProfileName, Result, SchemaName, TenantId};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::Arc};

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

/// Knows these tenants.
#[derive(Debug)]
struct Known(BTreeSet<TenantId>);

#[async_trait]
impl TenantDirectory for Known {
    async fn require_exists(&self, tenant: &TenantId) -> Result<()> {
        if self.0.contains(tenant) { Ok(()) } else { Err(Error::new(ErrorKind::NotFound, "nobody made it")) }
    }
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().map_or_else(|| unreachable!("it was not refused"), |error| error.kind())
}

fn described<T: ConfigSection>() {
    let of = tenant("acme");
    let value = serde_json::to_value(T::default_for(&of)).unwrap();
    let mut held: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    held.remove("tenant_id");
    let told: BTreeSet<&str> = T::fields().iter().map(|(field, _)| *field).collect();
    assert_eq!(told, held, "{}", T::KEY);
}

#[test]
fn each_field_of_the_configuration_says_who_reads_it() {
    described::<SystemConfig>();
    described::<RoutingConfig>();
    described::<TelemetryConfig>();
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_when_it_is_set() {
    let acme = tenant("acme");
    let manager = ConfigManager::new(Arc::new(InMemoryConfigStore::new()))
        .with_allowed_origins(AllowedOrigins::none().allow("http://models.internal:8000").unwrap());
    let own = || SystemConfig::new(acme.clone());
    manager.create_from_template(&acme, Template::Startup, Map::new()).await.unwrap();
    let set = |config| manager.set_system_config(&acme, config);
    for (config, field) in [
        (own().with_backend("http://vespa.acme", 8080), "backend_url"),
        (own().with_backend("http://localhost", 8081), "backend_port"),
        (own().with_telemetry_url("http://phoenix.acme:6006"), "telemetry_url"),
    ] {
        let error = set(config).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains(field), "{error}");
        assert!(error.to_string().contains("CogniverseBuilder::"), "the remedy: {error}");
    }
    let error = set(own().with_base_url("http://169.254.169.254/latest")).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::PermissionDenied && error.to_string().contains("allow_tenant_origin"),
        "{error}"
    );
    let override_of = |value: &str| Map::from_iter([("base_url".to_owned(), Value::from(value))]);
    let created = manager.create_from_template(&tenant("b"), Template::Trial, override_of("http://10.0.0.1")).await;
    assert_eq!(kind(created), ErrorKind::PermissionDenied, "by an override of a template");
    let telemetry = TelemetryConfig::new().with_otlp_endpoint("collector.acme:4317");
    assert_eq!(kind(manager.set_telemetry_config(&acme, telemetry).await), ErrorKind::Unsupported);
    assert_eq!(manager.get_system_config(&acme).await.unwrap().version, 1, "nothing was stored");

    // What is allowed is stored; by a manager that allows less it can be read, and neither put back nor brought over.
    set(own().with_base_url("http://models.internal:8000/v1")).await.unwrap();
    set(own()).await.unwrap();
    let strict = ConfigManager::new(Arc::clone(manager.store()));
    assert!(strict.history::<SystemConfig>(&acme, None, 10).await.is_ok());
    assert_eq!(kind(strict.rollback::<SystemConfig>(&acme, 2).await), ErrorKind::FailedPrecondition);
    manager.rollback::<SystemConfig>(&acme, 2).await.unwrap();
    let export = manager.export_tenant(&acme).await.unwrap();
    let elsewhere = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
    assert_eq!(kind(elsewhere.import_tenant(export, &acme).await), ErrorKind::InvalidInput);
    assert_eq!(kind(elsewhere.get_system_config(&acme).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_older_releases_value_is_read_and_the_next_change_must_mend_it() {
    let acme = tenant("acme");
    let manager = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
    let key = ConfigKey::tenant(&acme, ConfigScope::System, "system", "system_config");
    let old = json!({ "tenant_id": "acme", "backend_url": "http://vespa.acme" });
    manager.store().put(PutConfig::new(key, old)).await.unwrap();
    assert_eq!(manager.get_system_config(&acme).await.unwrap().value.backend_url, "http://vespa.acme");
    let model = |config: &mut SystemConfig| config.llm_model = "ollama/other".into();
    let error = manager.update(&acme, model).await.unwrap_err();
    assert!(error.to_string().contains("leave it at \"http://localhost\""), "{error}");
}

#[tokio::test]
async fn nothing_is_written_for_a_tenant_that_nobody_made() {
    let (acme, nobody) = (tenant("acme"), tenant("nobody"));
    let store = Arc::new(InMemoryConfigStore::new());
    let alone = ConfigManager::new(store.clone());
    let wired = ConfigManager::new(store).with_tenants(Arc::new(Known([acme.clone()].into_iter().collect())));
    wired.create_from_template(&acme, Template::Startup, Map::new()).await.unwrap();
    let profile = || BackendProfile::new(SchemaName::parse("s").unwrap(), Segmentation::frames(1.0));
    let name = ProfileName::parse("p").unwrap();
    wired.set_profile(&acme, &name, profile()).await.unwrap();
    for manager in [&alone, &wired] {
        let system = SystemConfig::new(nobody.clone());
        let routing = RoutingConfig::new(nobody.clone());
        let missing = ErrorKind::NotFound;
        assert_eq!(kind(manager.set_system_config(&nobody, system.clone()).await), missing);
        assert_eq!(kind(manager.set(&nobody, system).await), missing);
        assert_eq!(kind(manager.set_routing_config(&nobody, routing).await), missing);
        assert_eq!(kind(manager.set_telemetry_config(&nobody, TelemetryConfig::new()).await), missing);
        assert_eq!(kind(manager.update(&nobody, |_: &mut SystemConfig| {}).await), missing);
        assert_eq!(kind(manager.set_profile(&nobody, &name, profile()).await), missing);
        assert_eq!(kind(manager.rollback::<SystemConfig>(&nobody, 1).await), missing);
        assert_eq!(kind(manager.rollback_profile(&nobody, &name, 1).await), missing);
        // A value of another tenant's is refused, and neither of the two is changed.
        let foreign = manager.set_system_config(&acme, SystemConfig::new(nobody.clone())).await;
        assert_eq!(kind(foreign), ErrorKind::InvalidInput);
        assert_eq!(manager.get_system_config(&acme).await.unwrap().version, 1);
    }
    let export = wired.export_tenant(&acme).await.unwrap();
    assert_eq!(kind(wired.import_tenant(export, &nobody).await), ErrorKind::NotFound);
    assert_eq!(kind(wired.create_from_template(&nobody, Template::Trial, Map::new()).await), ErrorKind::NotFound);
    assert_eq!(kind(wired.export_tenant(&nobody).await), ErrorKind::NotFound, "nothing is there");
}

#[tokio::test]
async fn what_nests_too_deep_to_be_read_again_is_refused() {
    let acme = tenant("acme");
    let manager = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
    manager.create_from_template(&acme, Template::Startup, Map::new()).await.unwrap();
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let with = |value: Value| SystemConfig::new(acme.clone()).with_metadata("deep", value);
    manager.set_system_config(&acme, with(nested(40))).await.unwrap();
    assert_eq!(manager.get_system_config(&acme).await.unwrap().value, with(nested(40)));
    // 127 levels and more are what a reader of JSON refuses.
    for levels in [70, 130, 1_000] {
        let error = manager.set_system_config(&acme, with(nested(levels))).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("deeper"), "{levels}: {error}");
    }
    let key = ConfigKey::tenant(&acme, ConfigScope::Agent, "own", "value");
    assert_eq!(kind(manager.store().put(PutConfig::new(key, nested(200))).await), ErrorKind::InvalidInput);
}

#[test]
fn the_tables_reader_of_an_address_is_checked_as_an_address() {
    for (field, held) in SystemConfig::fields().iter().chain(RoutingConfig::fields()).chain(TelemetryConfig::fields()) {
        let address = field.ends_with("_url") || field.ends_with("endpoint");
        let guarded = matches!(held, FieldUse::AddressReadBy(_) | FieldUse::OneForAll(_));
        assert!(!address || guarded, "{field} is an address that is not guarded");
    }
}
