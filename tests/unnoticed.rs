//! What a careless change would take away without any other test noticing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    ErrorKind, Filter, SearchRequest, Suspend, TimeRange,
    encoders::HashEncoder,
    guarded_backend::GuardedBackend,
    memory::{MemoryQuery, MemoryService, Remember},
    sdk::{
        AgentId, FieldName, MemoryReach, MemoryScope, TenantSchema, TextEmbedder, VectorKind,
        schema_store::{DeployRequest, SchemaDeployment},
    },
};
use std::{collections::BTreeSet, sync::Arc};
use world::{TEXT, World, leaky::Leaky, profile, strategy, tenant};

fn ask(of: &str, query: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), query)
}

#[tokio::test]
async fn invariant_04_a_suspension_empties_what_is_known_of_schemas() {
    let world = World::with(&["acme"], |b| b).await;
    world.ingest("acme", &[("talk", 0.0, 1.0, "words")]).await;
    world.cogniverse.search(ask("acme", "words")).await.unwrap();
    let acme = tenant("acme");
    world.cogniverse.suspend(&acme, Suspend::new("unpaid")).await.unwrap();
    // Meanwhile its schema learns to rank in another way.
    let deployed = world.cogniverse.operator().schemas().list(&acme).await.unwrap();
    let deployed = deployed.into_iter().find(|deployed| deployed.schema.base().as_str() == TEXT).unwrap();
    let mut definition = (*deployed.definition).clone();
    let mut words = definition.rank_profiles.iter().find(|p| p.name.as_str() == "bm25_only").unwrap().clone();
    words.name = strategy("words_again");
    definition.rank_profiles.push(words);
    let deployment = SchemaDeployment { schema: deployed.schema, definition: Arc::new(definition) };
    world.cogniverse.operator().backend().deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    world.cogniverse.reactivate(&acme).await.unwrap();
    let answer = world.cogniverse.search(ask("acme", "words").with_strategy(strategy("words_again"))).await.unwrap();
    assert_eq!(answer.results.len(), 1);
}

#[tokio::test]
async fn a_time_range_and_a_filter_both_hold() {
    let world = World::with(&["acme"], |b| b).await;
    let segments =
        [("a", 0.0, 10.0, "dog"), ("a", 50.0, 60.0, "dog"), ("b", 0.0, 10.0, "dog"), ("b", 50.0, 60.0, "dog")];
    world.ingest("acme", &segments).await;
    let only = Filter::equals(FieldName::parse("video_id").unwrap(), "a");
    let request = ask("acme", "dog").with_filter(only).with_time_range(TimeRange::new(40.0, 70.0).unwrap());
    let answer = world.cogniverse.search(request).await.unwrap();
    let found: Vec<(&str, f64)> = answer.results.iter().map(|r| (r.video_id.as_str(), r.start_time)).collect();
    assert_eq!(found, [("a", 50.0)]);
}

/// A stretch touches no other that begins where it ends, in both directions.
#[tokio::test]
async fn a_time_range_is_open_at_both_ends() {
    let world = World::with(&["acme"], |b| b).await;
    world.ingest("acme", &[("v", 0.0, 10.0, "dog"), ("v", 10.0, 20.0, "dog"), ("v", 20.0, 30.0, "dog")]).await;
    let request = ask("acme", "dog").with_time_range(TimeRange::new(10.0, 20.0).unwrap());
    let answer = world.cogniverse.search(request).await.unwrap();
    assert_eq!(answer.results.iter().map(|r| r.start_time).collect::<Vec<_>>(), [10.0]);
}

#[tokio::test]
async fn invariant_17_one_vector_is_not_many_of_the_same_width() {
    let single = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&["acme"], |b| b.encoder("single", single.clone())).await;
    world.set_encoder("acme", "single").await;
    let error = world.cogniverse.search(ask("acme", "words")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("Single"), "{error}");
}

#[tokio::test]
async fn nothing_is_deployed_for_a_suspended_tenant() {
    let world = World::with(&["acme"], |b| b).await;
    let acme = tenant("acme");
    world.cogniverse.suspend(&acme, Suspend::new("unpaid")).await.unwrap();
    let other = profile("video_colqwen_omni_mv_chunk_30s");
    let error = world.cogniverse.deploy(&acme, &other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("unpaid"), "{error}");
    let bases: BTreeSet<String> = world
        .cogniverse
        .operator()
        .schemas()
        .list(&acme)
        .await
        .unwrap()
        .iter()
        .map(|d| d.schema.base().to_string())
        .collect();
    assert_eq!(bases, BTreeSet::from([TEXT.to_owned()]));
}

#[tokio::test]
async fn invariant_05_memories_of_another_tenant_are_not_shown() {
    let embedder: Arc<dyn TextEmbedder> = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let world = World::with(&["acme", "globex"], |b| b.text_embedder(embedder.clone())).await;
    let scope = || MemoryScope::new(AgentId::parse("video_search").unwrap());
    for name in ["acme", "globex"] {
        let memory = world.cogniverse.memory(&tenant(name)).await.unwrap();
        memory.add(Remember::text(scope(), format!("{name} likes short videos"))).await.unwrap();
    }
    let globex = world.cogniverse.operator().schemas().list(&tenant("globex")).await.unwrap();
    let memories = globex.iter().map(|d| d.schema.base()).find(|base| base.as_str() != TEXT).unwrap();
    let leaky =
        Leaky::new(world.cogniverse.operator().backend().clone(), TenantSchema::new(&tenant("globex"), memories));
    let wired = &world.cogniverse;
    let operator = wired.operator();
    let leaky = GuardedBackend::new(Arc::new(leaky), operator.audit().clone());
    let service = MemoryService::new(&leaky, operator.schemas().clone(), operator.gate().clone(), embedder).unwrap();
    let memory = service.open(&tenant("acme")).await.unwrap();
    let error = memory.search(MemoryQuery::new(MemoryReach::of(&scope()), "short videos")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected, "{error:?}");
    assert!(!error.chain().contains("likes"), "the error must not tell what leaked: {error:?}");
}
