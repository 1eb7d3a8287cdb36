//! The contract suites of documents and of search, on the adapter against Vespa's own container.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

mod vespa;

use cogniverse_sdk::{
    SearchBackend,
    contract::fixture,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use vespa::Container;

/// Every tenant of the suites, in one package.
const TENANTS: [&str; 7] = ["acme", "globex", "acme_corp", "globex_acme", "acme:corp", "fresh", "used"];

static CONTAINER: OnceCell<Container> = OnceCell::const_new();
/// A case at a time: they share the container, and each begins with no document.
static TURN: Mutex<()> = Mutex::const_new(());

async fn backend() -> (Arc<dyn SearchBackend>, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let container = CONTAINER
        .get_or_init(|| async {
            let deployment =
                |name: &str| SchemaDeployment { schema: fixture::schema_of(name), definition: fixture::schema() };
            Container::start(DeployRequest::new(TENANTS.into_iter().map(deployment).collect())).await
        })
        .await;
    container.empty().await;
    // The connections of one test's runtime end with it, so each test has a backend of its own.
    (Arc::new(container.backend()), turn)
}

mod documents {
    cogniverse_sdk::document_store_contract! { make: super::backend(), skips: [] }
}
mod search {
    cogniverse_sdk::search_backend_contract! { make: super::backend(), skips: [] }
}
