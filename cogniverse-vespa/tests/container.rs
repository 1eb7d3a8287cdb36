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

// The stand-in for the content node matches no element of a list and passes over no hits: `filters_mean_what_they_say` and
// `pages_join` cannot run on it. The first's filters on single values run in `differential.rs`.
mod documents {
    cogniverse_sdk::contract_cases! {
        document_store, super::backend(), [];
        put_get_replace, invariant_12_each_document_is_reported, update_keeps_the_rest, delete_and_count, visit_is_complete, invariant_08_continuations_stay_with_their_tenant, invariant_06_ids_alone_reach_nothing, invariant_16_an_unknown_schema_is_an_error
    }
}
mod search {
    cogniverse_sdk::contract_cases! {
        search_backend, super::backend(), [];
        empty_is_empty, invariant_05_hits_are_of_one_tenant, words_rank_and_are_marked,
        invariant_21_query_text_is_literal, vectors_rank, filters_come_before_ranking, scores_forget_what_is_gone,
        invariant_17_inputs_are_checked
    }
}
