//! The contract suites on a real Vespa.
//!
//! `VESPA_URL=http://localhost:8080 VESPA_CONFIG_URL=http://localhost:19071 cargo test -p cogniverse-vespa --test real -- --ignored`
//!
//! It drops the schemas of the suites' tenants, and leaves what else the application holds. `docs/vespa.md` says how to start
//! a Vespa for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test asserts")]

use cogniverse_sdk::{ConfigStore, SchemaStore, SearchBackend, contract::fixture};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, MutexGuard};

/// Every tenant that a suite deploys schemas for.
const TENANTS: [&str; 11] =
    ["acme", "globex", "acme_corp", "globex_acme", "acme:corp", "fresh", "used", "x_y", "y", "b_c", "c"];

/// A case at a time: they share the Vespa, and each begins with no schema of the suites.
static TURN: Mutex<()> = Mutex::const_new(());
/// Configuration stores of this run: each is a namespace, as some cases need two.
static STORES: AtomicUsize = AtomicUsize::new(0);

fn config() -> VespaConfig {
    let address = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| {
            panic!(
                "{name} is not set; VESPA_URL and VESPA_CONFIG_URL name the container and the config server of a Vespa"
            )
        })
    };
    VespaConfig::new(address("VESPA_URL"), address("VESPA_CONFIG_URL"))
        .with_deploy_timeout(Duration::from_secs(600))
        .with_catalog_age(Duration::ZERO)
}

/// A backend of a Vespa that is there and has an application.
async fn ready(config: VespaConfig) -> VespaBackend {
    let absent = |part: &str, address: &str, why: String| -> ! {
        panic!("no {part} at {address} ({why}); VESPA_URL and VESPA_CONFIG_URL name those of a running Vespa")
    };
    let backend = VespaBackend::new(config.clone()).expect("VESPA_URL and VESPA_CONFIG_URL are addresses");
    // The container starts with the first application.
    if let Err(error) = backend.config_store().await {
        absent("Vespa", &format!("{} and {}", config.config_url, config.url), error.chain().to_string());
    }
    let health = format!("{}/state/v1/health", config.url);
    match reqwest::get(&health).await.and_then(reqwest::Response::error_for_status) {
        Ok(_) => backend,
        Err(error) => absent("container", config.url.as_given(), error.to_string()),
    }
}

async fn backend() -> (Arc<dyn SearchBackend>, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    // The connections of one test's runtime end with it, so each test has a backend of its own.
    let backend = ready(config()).await;
    for tenant in TENANTS {
        for deployed in backend.list_schemas(&fixture::tenant(tenant)).await.unwrap() {
            backend.drop_schema(&deployed.schema).await.unwrap();
        }
    }
    (Arc::new(backend), turn)
}

async fn config_store() -> (Arc<dyn ConfigStore>, ()) {
    let namespace = format!("contract-{}", STORES.fetch_add(1, Ordering::Relaxed));
    let config = config().with_namespace(&namespace);
    let backend = ready(config.clone()).await;
    empty(&config, &namespace).await;
    (Arc::new(backend.config_store().await.unwrap()), ())
}

/// Removes what an earlier run left in a namespace.
async fn empty(config: &VespaConfig, namespace: &str) {
    let address = format!("{}/document/v1/{namespace}/config_metadata/docid", config.url);
    let mut query = vec![("selection", "true".to_owned()), ("cluster", config.content_cluster.clone())];
    loop {
        let answer = reqwest::Client::new().delete(&address).query(&query).send().await.unwrap();
        let answer: serde_json::Value = answer.error_for_status().unwrap().json().await.unwrap();
        let Some(token) = answer.get("continuation").and_then(serde_json::Value::as_str) else { return };
        query.truncate(2);
        query.push(("continuation", token.to_owned()));
    }
}

mod schemas {
    cogniverse_sdk::schema_store_contract! { make: super::backend(), skips: [], attributes: [ignore = "needs a real Vespa"] }
}
mod documents {
    cogniverse_sdk::document_store_contract! { make: super::backend(), skips: [], attributes: [ignore = "needs a real Vespa"] }
}
mod search {
    cogniverse_sdk::search_backend_contract! {
        make: super::backend(), skips: ["prefixes_restrict_the_match", "unknown_words_are_corrected"],
        attributes: [ignore = "needs a real Vespa"]
    }
}
mod isolation {
    cogniverse_sdk::isolation_contract! { make: super::backend(), skips: [], attributes: [ignore = "needs a real Vespa"] }
}
mod config {
    cogniverse_sdk::config_store_contract! { make: super::config_store(), skips: ["a_mark_is_another_after_every_write"], attributes: [ignore = "needs a real Vespa"] }
}
