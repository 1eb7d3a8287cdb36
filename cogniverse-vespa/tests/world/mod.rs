//! What the tests of the adapter share: a backend over a test server, and what they store.

#![allow(dead_code, reason = "each test uses its part")]

use cogniverse_sdk::{
    BackendQuery, DocumentStore, SchemaStore,
    contract::fixture,
    document_store::PutRequest,
    schema_store::{DeployReport, DeployRequest, SchemaDeployment},
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::time::Duration;
use vespa_testkit::{TestServer, TestServerOptions};

pub(crate) async fn world() -> (VespaBackend, TestServer) {
    world_with(TestServerOptions::default(), |config| config).await
}

pub(crate) async fn world_with(
    options: TestServerOptions,
    change: impl FnOnce(VespaConfig) -> VespaConfig,
) -> (VespaBackend, TestServer) {
    let server = TestServer::start_with(options).await.unwrap();
    let config = VespaConfig::new(server.url(), server.config_url()).with_timeout(Duration::from_secs(10));
    (VespaBackend::new(change(config)).unwrap(), server)
}

pub(crate) fn request(tenants: &[&str]) -> DeployRequest {
    let deployment = |name: &&str| SchemaDeployment { schema: fixture::schema_of(name), definition: fixture::schema() };
    DeployRequest::new(tenants.iter().map(deployment).collect())
}

pub(crate) async fn deploy(backend: &VespaBackend, tenants: &[&str]) -> cogniverse_sdk::Result<DeployReport> {
    backend.deploy(request(tenants)).await
}

pub(crate) fn documents(count: i64) -> Vec<cogniverse_sdk::Document> {
    let axis = |n: i64| fixture::axis(usize::try_from(n).unwrap_or(0) % 8);
    (0..count).map(|n| fixture::document("v", n, &format!("word{n} common"), axis(n))).collect()
}

pub(crate) async fn fill(backend: &VespaBackend, tenant: &str, count: i64) {
    deploy(backend, &[tenant]).await.unwrap();
    let report = backend.put(PutRequest::new(fixture::schema_of(tenant), documents(count))).await.unwrap();
    assert_eq!(report.stored(), usize::try_from(count).unwrap(), "{report:?}");
}

pub(crate) fn words(tenant: &str, text: &str) -> BackendQuery {
    BackendQuery::new(fixture::schema_of(tenant), fixture::strategy("bm25_only")).with_text(text)
}
