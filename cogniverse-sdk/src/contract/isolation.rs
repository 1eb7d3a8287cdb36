//! The contract suite of isolation: every way of a backend to the documents of another tenant, for a backend that starts
//! empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, fixture};
use crate::{
    DeployedSchema, SearchBackend, Timestamp,
    document_store::PutRequest,
    isolation::{self, Attack, Canary},
};
use std::time::Duration;

/// Plants a canary of one tenant, attacks it from another, and removes it.
///
/// # Panics
/// Where the backend refuses to store or to remove it.
pub async fn attack(backend: &dyn SearchBackend, owner: &str, attacker: &str) -> Vec<Attack> {
    let canary = Canary::new(fixture::tenant(owner), Timestamp::now(), 7, Duration::ZERO);
    let planted = DeployedSchema::new(fixture::schema_of(owner), fixture::schema(), Timestamp::now());
    isolation::plant_documents(backend, &planted, &canary).await.expect("planting a canary");
    let attacker = fixture::schema_of(attacker);
    let attempts = isolation::attack_documents(backend, &planted, &attacker, &canary).await.expect("attacking");
    isolation::remove_documents(backend, &planted.schema, &canary).await.expect("removing a canary");
    attempts
}

async fn fill(backend: &dyn SearchBackend, tenants: &[&str]) {
    fixture::deploy(backend, tenants).await;
    for tenant in tenants {
        let documents = (0..20).map(|n| fixture::document("v", n, "words of many", fixture::axis(n as usize % 8)));
        let report = backend.put(PutRequest::new(fixture::schema_of(tenant), documents.collect())).await.expect("put");
        assert_eq!(report.stored(), 20, "{report:?}");
    }
}

fn assert_held(attempts: &[Attack]) {
    let failed: Vec<String> = attempts.iter().filter(|attempt| !attempt.ok).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for kind in ["search:bm25_only", "search:float_float", "search:phased", "get:id", "visit:continuation", "unharmed"]
    {
        assert!(attempts.iter().any(|attempt| attempt.name == kind), "{kind} was not tried");
    }
}

/// Another tenant reaches nothing, in whatever way it tries ([invariants 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5), [6](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#6) and [8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)).
pub async fn invariant_05_nothing_is_reached_by_another_tenant(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, &["acme", "globex"]).await;
    assert_held(&attack(backend, "acme", "globex").await);
    assert_held(&attack(backend, "globex", "acme").await);
    Outcome::Ran
}

/// A tenant whose name begins with another's is another ([invariant 3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3)).
pub async fn invariant_03_similar_names_are_different_tenants(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, &["acme", "acme_corp"]).await;
    assert_held(&attack(backend, "acme", "acme_corp").await);
    assert_held(&attack(backend, "acme_corp", "acme").await);
    Outcome::Ran
}

/// A tenant without the schema reaches nothing by its name.
pub async fn a_tenant_without_the_schema_reaches_nothing(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, &["acme"]).await;
    assert_held(&attack(backend, "acme", "globex").await);
    Outcome::Ran
}

/// The planted canaries are removed, and nothing else is.
pub async fn canaries_are_removed(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, &["acme", "globex"]).await;
    attack(backend, "acme", "globex").await;
    for tenant in ["acme", "globex"] {
        assert_eq!(backend.count(&fixture::schema_of(tenant), None).await.expect("count"), 20, "{tenant}");
    }
    Outcome::Ran
}

/// Expands to one test per case, on a backend that `make` opens for each.
#[macro_export]
macro_rules! isolation_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?] $(, attributes: $attributes:tt)?) => {
        $crate::contract_cases! {
            isolation, $make, [$($skip),*] $(, $attributes)?;
            invariant_05_nothing_is_reached_by_another_tenant, invariant_03_similar_names_are_different_tenants,
            a_tenant_without_the_schema_reaches_nothing, canaries_are_removed
        }
    };
}
