//! The contract suite of [`crate::SchemaStore`], for a backend that starts empty.

#![expect(clippy::expect_used, clippy::panic, reason = "a contract suite asserts")]

use super::{Outcome, fixture};
use crate::{
    BaseSchema, ErrorKind, SchemaName, SearchBackend, TenantSchema,
    document_store::PutRequest,
    schema_store::{DeployRequest, SchemaAction, SchemaDeployment},
};
use std::sync::Arc;

fn named(name: &str) -> Arc<BaseSchema> {
    let mut schema = (*fixture::schema()).clone();
    schema.name = SchemaName::parse(name).expect("a literal id");
    Arc::new(schema)
}

fn deployment(tenant: &str, definition: Arc<BaseSchema>) -> SchemaDeployment {
    SchemaDeployment { schema: TenantSchema::new(&fixture::tenant(tenant), &definition.name), definition }
}

/// A deployed schema is listed for its tenant and no other; deploying it again changes nothing.
pub async fn deploy_is_listed_and_repeatable(backend: &dyn SearchBackend) -> Outcome {
    let request = DeployRequest::new(vec![deployment("acme", fixture::schema()), deployment("acme", named("other"))]);
    let plan = backend.plan(&request).await.expect("plan");
    assert!(plan.schemas.iter().all(|(_, action)| *action == SchemaAction::Added), "{plan:?}");
    assert!(backend.list_schemas(&fixture::tenant("acme")).await.expect("list").is_empty(), "a plan changes nothing");
    backend.deploy(request.clone()).await.expect("deploy");
    let again = backend.deploy(request).await.expect("deploy again");
    assert!(again.schemas.iter().all(|(_, action)| *action == SchemaAction::Unchanged), "{again:?}");
    let listed = backend.list_schemas(&fixture::tenant("acme")).await.expect("list");
    let bases: Vec<&str> = listed.iter().map(|deployed| deployed.schema.base().as_str()).collect();
    assert_eq!(bases, ["contract_video", "other"]);
    assert!(listed.iter().all(|deployed| deployed.definition.document == fixture::schema().document));
    for near in ["acm", "acme_", "acme2", "ACME", "e"] {
        assert!(backend.list_schemas(&fixture::tenant(near)).await.expect("list").is_empty(), "{near}");
    }
    Outcome::Ran
}

/// `served` returns the deployed definition of exactly its pair; a schema that is not deployed is `NotFound` with the
/// tenant's other schemas.
pub async fn one_schema_is_served_as_it_was_deployed(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme", "globex"]).await;
    let served = backend.served(&fixture::schema_of("acme")).await.expect("served");
    let listed = backend.list_schemas(&fixture::tenant("acme")).await.expect("list");
    assert_eq!(Some(&served), listed.first());
    let mut ranking = (*fixture::schema()).clone();
    ranking.rank_profiles.truncate(1);
    backend.deploy(DeployRequest::new(vec![deployment("acme", Arc::new(ranking.clone()))])).await.expect("deploy");
    let changed = backend.served(&fixture::schema_of("acme")).await.expect("served");
    assert_eq!(changed.definition.rank_profiles, ranking.rank_profiles, "the caller's own change is seen at once");
    let other = deployment("acme", named("other")).schema;
    let error = backend.served(&other).await.expect_err("not deployed");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("contract_video") && !error.to_string().contains("globex"), "{error}");
    backend.drop_schema(&fixture::schema_of("acme")).await.expect("drop");
    let gone = backend.served(&fixture::schema_of("acme")).await.expect_err("dropped");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(backend.served(&fixture::schema_of("globex")).await.is_ok());
    Outcome::Ran
}

/// Two pairs behind one physical name: the second is refused with both pairs, and the first stays ([invariant 2](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#2)).
pub async fn invariant_02_a_held_name_is_refused_with_both_pairs(backend: &dyn SearchBackend) -> Outcome {
    let first = deployment("x_y", named("video"));
    let second = deployment("y", named("video_x"));
    assert_eq!(first.schema.physical_name(), second.schema.physical_name());
    backend.deploy(DeployRequest::new(vec![first.clone()])).await.expect("deploy");
    let error = backend.deploy(DeployRequest::new(vec![second.clone()])).await.expect_err("the name is held");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for part in ["x_y", "video_x", "tenant y"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(backend.list_schemas(&fixture::tenant("x_y")).await.expect("list").len(), 1);
    assert!(backend.list_schemas(&fixture::tenant("y")).await.expect("list").is_empty());
    let both =
        backend.deploy(DeployRequest::new(vec![deployment("b_c", named("a")), deployment("c", named("a_b"))])).await;
    assert_eq!(both.expect_err("one name twice in one request").kind(), ErrorKind::Conflict);
    assert!(backend.list_schemas(&fixture::tenant("b_c")).await.expect("list").is_empty(), "all or nothing");
    Outcome::Ran
}

/// Dropping one schema leaves the tenant's others and other tenants' alone ([invariants 3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3) and [11](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#11)).
pub async fn invariant_11_drop_takes_one_schema(backend: &dyn SearchBackend) -> Outcome {
    let all = ["acme", "globex_acme", "acme_corp"].map(|tenant| deployment(tenant, fixture::schema()));
    backend.deploy(DeployRequest::new(all.to_vec())).await.expect("deploy");
    backend.deploy(DeployRequest::new(vec![deployment("acme", named("other"))])).await.expect("deploy");
    for tenant in ["acme", "globex_acme", "acme_corp"] {
        let put =
            PutRequest::new(fixture::schema_of(tenant), vec![fixture::document("v", 0, "words", fixture::axis(0))]);
        assert_eq!(backend.put(put).await.expect("put").stored(), 1);
    }
    backend.drop_schema(&fixture::schema_of("acme")).await.expect("drop");
    let left = backend.list_schemas(&fixture::tenant("acme")).await.expect("list");
    assert_eq!(left.iter().map(|deployed| deployed.schema.base().as_str()).collect::<Vec<_>>(), ["other"]);
    for tenant in ["globex_acme", "acme_corp"] {
        assert_eq!(backend.count(&fixture::schema_of(tenant), None).await.expect("count"), 1, "{tenant}");
    }
    let gone = backend.count(&fixture::schema_of("acme"), None).await.expect_err("it is dropped");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.to_string().contains("other"), "it lists what exists: {gone}");
    assert_eq!(backend.drop_schema(&fixture::schema_of("acme")).await.expect_err("twice").kind(), ErrorKind::NotFound);
    Outcome::Ran
}

/// A schema that is deployed again after a drop starts empty.
pub async fn a_redeployed_schema_is_empty(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let put = PutRequest::new(fixture::schema_of("acme"), vec![fixture::document("v", 0, "words", fixture::axis(0))]);
    backend.put(put).await.expect("put");
    backend.drop_schema(&fixture::schema_of("acme")).await.expect("drop");
    fixture::deploy(backend, &["acme"]).await;
    assert_eq!(backend.count(&fixture::schema_of("acme"), None).await.expect("count"), 0);
    Outcome::Ran
}

/// Changed rank profiles are applied and keep the documents; changed fields are refused ([invariant 10](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#10)).
pub async fn ranking_changes_and_field_changes_do_not(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let put = PutRequest::new(fixture::schema_of("acme"), vec![fixture::document("v", 0, "words", fixture::axis(0))]);
    backend.put(put).await.expect("put");
    let mut ranking = (*fixture::schema()).clone();
    ranking.rank_profiles.truncate(1);
    let report = backend.deploy(DeployRequest::new(vec![deployment("acme", Arc::new(ranking))])).await.expect("deploy");
    let Some((_, SchemaAction::Changed { what })) = report.schemas.first() else { panic!("{report:?}") };
    assert!(!what.is_empty());
    assert_eq!(backend.count(&fixture::schema_of("acme"), None).await.expect("count"), 1);
    let mut fields = (*fixture::schema()).clone();
    fields.document.fields.retain(|field| field.name.as_str() != "tags");
    let request = DeployRequest::new(vec![deployment("acme", Arc::new(fields))]);
    let plan = backend.plan(&request).await.expect("plan");
    assert!(matches!(plan.schemas.first(), Some((_, SchemaAction::Refeed { .. }))), "{plan:?}");
    let error = backend.deploy(request).await.expect_err("documents would not fit");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("tags"), "{error}");
    Outcome::Ran
}

/// Expands to one test per case, on a backend that `make` opens for each.
#[macro_export]
macro_rules! schema_store_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?] $(, attributes: $attributes:tt)?) => {
        $crate::contract_cases! {
            schema_store, $make, [$($skip),*] $(, $attributes)?;
            deploy_is_listed_and_repeatable, one_schema_is_served_as_it_was_deployed, invariant_02_a_held_name_is_refused_with_both_pairs,
            invariant_11_drop_takes_one_schema, a_redeployed_schema_is_empty, ranking_changes_and_field_changes_do_not
        }
    };
}
