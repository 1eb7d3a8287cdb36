//! The contract suite of [`QuotaStore`], for a store that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{Quota, QuotaLease, QuotaState, QuotaStore, TenantId, Timestamp};

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("a literal tenant")
}

fn state(used: u64) -> QuotaState {
    let expires_at = Timestamp::from_second(1_800_000_000).expect("a time");
    let leases = vec![QuotaLease { holder: "one".to_owned(), amount: 3, expires_at }];
    QuotaState { window: 1_799_996_400, used, counted: true, leases }
}

/// A state is read back as it was stored, and one that was never stored is none.
pub async fn invariant_09_nothing_stored_is_not_zero_used(store: &dyn QuotaStore) -> Outcome {
    let acme = tenant("acme");
    assert!(store.get(&acme, Quota::ApiCalls).await.expect("get").is_none());
    let version = store.replace(&acme, Quota::ApiCalls, None, &state(7)).await.expect("replace");
    assert_eq!(store.get(&acme, Quota::ApiCalls).await.expect("get"), version.map(|version| (state(7), version)));
    assert!(store.get(&acme, Quota::Documents).await.expect("get").is_none());
    assert_eq!(store.count(&acme).await.expect("count"), 1);
    Outcome::Ran
}

/// Of two writers that expect the same version, one wins.
pub async fn invariant_13_one_of_two_writers_wins(store: &dyn QuotaStore) -> Outcome {
    let acme = tenant("acme");
    let first = store.replace(&acme, Quota::Documents, None, &state(1)).await.expect("replace");
    assert!(first.is_some());
    assert_eq!(store.replace(&acme, Quota::Documents, None, &state(2)).await.expect("replace"), None);
    let second = store.replace(&acme, Quota::Documents, first, &state(3)).await.expect("replace");
    assert!(second.is_some() && second != first);
    assert_eq!(store.replace(&acme, Quota::Documents, first, &state(4)).await.expect("replace"), None);
    let stored = store.get(&acme, Quota::Documents).await.expect("get").map(|(state, _)| state);
    assert_eq!(stored, Some(state(3)));
    Outcome::Ran
}

/// Writers on threads of their own lose no addition.
pub async fn additions_at_once_are_all_there(store: &dyn QuotaStore) -> Outcome {
    const WRITERS: u64 = 4;
    const EACH: u64 = 5;
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| add(store, EACH));
        }
    });
    let stored = store.get(&tenant("acme"), Quota::IngestMinutes).await.expect("get").map(|(state, _)| state.used);
    assert_eq!(stored, Some(WRITERS * EACH));
    Outcome::Ran
}

fn add(store: &dyn QuotaStore, times: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..times {
            loop {
                let stored = store.get(&tenant("acme"), Quota::IngestMinutes).await.expect("get");
                let (used, version) = stored.map_or((0, None), |(state, version)| (state.used, Some(version)));
                let next = state(used + 1);
                if store
                    .replace(&tenant("acme"), Quota::IngestMinutes, version, &next)
                    .await
                    .expect("replace")
                    .is_some()
                {
                    break;
                }
            }
        }
    });
}

/// An erasure removes one tenant's states, whatever the names look like, and no version comes back.
pub async fn invariant_03_an_erasure_is_of_one_tenant(store: &dyn QuotaStore) -> Outcome {
    let (acme, near) = (tenant("acme"), tenant("acme_"));
    let before = store.replace(&acme, Quota::ApiCalls, None, &state(1)).await.expect("replace");
    store.replace(&acme, Quota::StorageMb, None, &state(1)).await.expect("replace");
    store.replace(&near, Quota::ApiCalls, None, &state(9)).await.expect("replace");
    assert_eq!(store.erase_tenant(&acme).await.expect("erase"), 2);
    assert_eq!(store.erase_tenant(&acme).await.expect("erase"), 0);
    assert!(store.get(&acme, Quota::ApiCalls).await.expect("get").is_none());
    assert_eq!(store.get(&near, Quota::ApiCalls).await.expect("get").map(|(state, _)| state.used), Some(9));
    assert_eq!(
        store.replace(&acme, Quota::ApiCalls, before, &state(5)).await.expect("replace"),
        None,
        "an erased version"
    );
    let after = store.replace(&acme, Quota::ApiCalls, None, &state(1)).await.expect("replace");
    assert!(after.is_some() && after != before);
    Outcome::Ran
}

/// Expands to one test per case; `make` returns the store and a value that must live as long.
#[macro_export]
macro_rules! quota_store_contract {
    ($make:expr) => {
        $crate::contract_cases! { quota_store, $make, [];
            invariant_09_nothing_stored_is_not_zero_used,
            invariant_13_one_of_two_writers_wins,
            additions_at_once_are_all_there,
            invariant_03_an_erasure_is_of_one_tenant,
        }
    };
}
