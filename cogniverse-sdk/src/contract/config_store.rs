//! The contract suite of [`ConfigStore`], for a store that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

mod listing;
mod transfer;
mod versions;

pub use listing::{
    erase_leaves_other_tenants, invariant_03_names_that_look_alike_stay_apart,
    invariant_08_cursors_belong_to_their_listing, invariant_21_text_stays_literal, list_filters_are_exact,
    list_is_complete_over_pages,
};
pub use transfer::{import_is_all_or_none, import_refuses_gaps, invariant_14_import_keeps_versions};
pub use versions::{
    a_mark_is_another_after_every_write, absent_holds_without_a_value, delete_is_a_version,
    history_is_complete_over_pages, invariant_13_conflict_names_the_version, invariant_13_one_winner_per_version,
    nothing_is_not_a_value, unknown_is_none, versions_count_from_one,
};

use super::Outcome;
use crate::config_store::{ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ConfigStore, ListConfig, PutConfig};
use crate::{Error, ErrorKind, TenantId};
use serde_json::Value;

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("a literal tenant")
}

fn owner(id: &str) -> ConfigOwner {
    ConfigOwner::Tenant(tenant(id))
}

fn key(id: &str, name: &str) -> ConfigKey {
    ConfigKey::tenant(&tenant(id), ConfigScope::System, "system", name)
}

async fn put(store: &dyn ConfigStore, key: &ConfigKey, value: Value) -> ConfigEntry {
    store.put(PutConfig::new(key.clone(), value)).await.expect("put")
}

async fn value(store: &dyn ConfigStore, key: &ConfigKey) -> Option<Value> {
    store.get(key, None).await.expect("get").and_then(|entry| entry.value)
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.expect_err("this must be refused").kind()
}

async fn exported(store: &dyn ConfigStore, owner: &ConfigOwner, limit: usize) -> Vec<ConfigEntry> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = store.export(owner, after, limit).await.expect("export");
        assert!(page.entries.len() <= limit, "a page is longer than asked for");
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

async fn listed(store: &dyn ConfigStore, list: ListConfig) -> Vec<ConfigEntry> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(list.clone().after(after)).await.expect("list");
        assert!(page.entries.len() <= list.limit, "a page is longer than asked for");
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

fn names(entries: &[ConfigEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.key.as_str()).collect()
}

/// Expands to one test per case of the `ConfigStore` contract.
///
/// `make` returns a shared, empty store and a value that must live as long; it runs once per case, and twice where a
/// case needs two stores. `skips` names the cases that the store does not support.
///
/// ```text
/// config_store_contract! { make: async { (Arc::new(MyStore::new()), ()) }, skips: [] }
/// ```
#[macro_export]
macro_rules! config_store_contract {
    (make: $make:expr, skips: $skips:tt $(,)?) => {
        $crate::config_store_contract! { make: $make, skips: $skips, attributes: [] }
    };
    (make: $make:expr, skips: $skips:tt, attributes: $attributes:tt) => {
        $crate::contract_cases! { config_store, $make, $skips, $attributes;
            versions_count_from_one,
            unknown_is_none,
            invariant_13_conflict_names_the_version,
            absent_holds_without_a_value,
            delete_is_a_version,
            history_is_complete_over_pages,
            nothing_is_not_a_value,
            invariant_13_one_winner_per_version,
            a_mark_is_another_after_every_write,
            list_is_complete_over_pages,
            list_filters_are_exact,
            invariant_03_names_that_look_alike_stay_apart,
            erase_leaves_other_tenants,
            invariant_21_text_stays_literal,
            invariant_08_cursors_belong_to_their_listing,
        }
        $crate::config_store_contract! { @two $make, $skips, $attributes, invariant_14_import_keeps_versions }
        $crate::config_store_contract! { @two $make, $skips, $attributes, import_is_all_or_none }
        $crate::config_store_contract! { @two $make, $skips, $attributes, import_refuses_gaps }
    };
    (@two $make:expr, $skips:tt, [$($attribute:meta),*], $case:ident) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let ((one, _guard), (two, _other_guard)) = ($make.await, $make.await);
            let skips: &[&str] = &$skips;
            match $crate::contract::config_store::$case(&*one, &*two).await {
                $crate::contract::Outcome::Ran => assert!(!skips.contains(&stringify!($case)), "declared as skipped, but ran"),
                $crate::contract::Outcome::Skipped(why) => assert!(skips.contains(&stringify!($case)), "undeclared skip: {why}"),
            }
        }
    };
}
