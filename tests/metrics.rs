//! Metrics of tenants' searches: each is counted for its tenant, and forgotten with it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    ErrorCode, SearchRequest, Suspend,
    sdk::{Caller, CallerId, Modality, Role},
};
use world::{TEXT, World, profile, strategy, tenant};

#[tokio::test]
async fn searches_are_counted_for_their_tenant_and_forgotten_with_it() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    world.ingest("acme", &[("talk", 0.0, 1.0, "words")]).await;
    let (c, acme) = (&world.cogniverse, tenant("acme"));
    let ask = |how: &str| SearchRequest::new(acme.clone(), profile(TEXT), "words").with_strategy(strategy(how));
    for _ in 0..4 {
        c.search(ask("bm25_only")).await.unwrap();
    }
    c.search(ask("fastest")).await.unwrap_err();
    let found = c.metrics(&acme).await.unwrap();
    let video = &found.modalities[0];
    assert_eq!((found.modalities.len(), video.modality), (1, Modality::Video));
    assert_eq!((video.lifetime.requests, video.lifetime.successes, video.lifetime.errors["not_found"]), (5, 4, 1));
    assert!(video.window.p50_ms > 0.0 && video.window.p50_ms <= video.window.p99_ms);
    assert!(c.metrics(&tenant("globex")).await.unwrap().modalities.is_empty());
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["modalities"][0]["window"]["requests"], 5);
    // Who may see them: those who may read the tenant's telemetry.
    let reader = Caller::new(CallerId::parse("anna").unwrap()).with_tenant(tenant("globex")).with_role(Role::Admin);
    assert_eq!(c.for_caller(reader).metrics(&acme).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    c.suspend(&acme, Suspend::new("unpaid")).await.unwrap();
    c.reactivate(&acme).await.unwrap();
    assert!(c.metrics(&acme).await.unwrap().modalities.is_empty(), "a suspended tenant is forgotten");
    assert_eq!(c.operator().metrics().tenants(), 0);
}
