//! The contract suites on the adapter, over the test server.

#![allow(clippy::unwrap_used, reason = "a test asserts")]

use cogniverse_sdk::{ConfigStore, QuotaStore, SearchBackend};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::sync::Arc;
use vespa_testkit::TestServer;

async fn backend() -> (Arc<dyn SearchBackend>, TestServer) {
    let server = TestServer::start().await.unwrap();
    let config = VespaConfig::new(server.url(), server.config_url());
    (Arc::new(VespaBackend::new(config).unwrap()), server)
}

async fn config_store() -> (Arc<dyn ConfigStore>, TestServer) {
    let server = TestServer::start().await.unwrap();
    let config = VespaConfig::new(server.url(), server.config_url());
    (Arc::new(VespaBackend::new(config).unwrap().config_store().await.unwrap()), server)
}

async fn quota_store() -> (Arc<dyn QuotaStore>, TestServer) {
    let server = TestServer::start().await.unwrap();
    let config = VespaConfig::new(server.url(), server.config_url());
    (Arc::new(VespaBackend::new(config).unwrap().quota_store().await.unwrap()), server)
}

mod quotas {
    cogniverse_sdk::quota_store_contract! { super::quota_store() }
}
mod schemas {
    cogniverse_sdk::schema_store_contract! { make: super::backend(), skips: [] }
}
mod documents {
    cogniverse_sdk::document_store_contract! { make: super::backend(), skips: [] }
}
mod search {
    cogniverse_sdk::search_backend_contract! {
        make: super::backend(), skips: ["prefixes_restrict_the_match", "unknown_words_are_corrected"]
    }
}
mod isolation {
    cogniverse_sdk::isolation_contract! { make: super::backend(), skips: [] }
}
mod config {
    cogniverse_sdk::config_store_contract! { make: super::config_store(), skips: ["a_mark_is_another_after_every_write"] }
}
