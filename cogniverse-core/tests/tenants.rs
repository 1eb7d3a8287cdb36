//! Tenants: who exists, and the moves between states.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_core::tenants::{TenantRegistry, TenantState};
use cogniverse_foundation::InMemoryConfigStore;
use cogniverse_sdk::{
    ConfigEntry, ConfigKey, ConfigOwner, ConfigStore, ErrorKind, Expected, ManualClock, Result, TenantId, Timestamp,
    config_store::{ConfigPage, ListConfig, PutConfig},
};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn registry() -> (TenantRegistry, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    (TenantRegistry::new(Arc::new(InMemoryConfigStore::new()), clock.clone()), clock)
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

#[tokio::test]
async fn a_tenant_is_made_once_and_moves_as_it_may() {
    let (registry, clock) = registry();
    let acme = tenant("acme_corp");
    registry.create(&acme).await.unwrap();
    assert_eq!(registry.create(&acme).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(registry.require_active(&acme).await.unwrap().state, TenantState::Active);
    clock.advance(DAY);
    let suspended = registry.suspend(&acme, "unpaid", 90 * DAY).await.unwrap();
    assert_eq!(suspended.retain_until, Some(Timestamp::UNIX_EPOCH + 91 * DAY));
    let error = registry.require_active(&acme).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    for part in ["1970-01-02", "unpaid", "reactivate"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(registry.suspend(&acme, "again", DAY).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    registry.reactivate(&acme).await.unwrap();
    assert_eq!(registry.reactivate(&acme).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    assert_eq!(registry.get(&acme).await.unwrap().reason, None);
}

#[tokio::test]
async fn invariant_03_names_are_exact() {
    let (registry, _) = registry();
    registry.create(&tenant("acme")).await.unwrap();
    for near in ["acm", "acme_", "ACME", "acme.corp", "globex_acme"] {
        let error = registry.require_active(&tenant(near)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{near}");
        assert!(error.to_string().contains("there are: acme"), "{error}");
    }
}

#[tokio::test]
async fn listing_is_paged_and_complete() {
    let (registry, _) = registry();
    for number in 0..45 {
        registry.create(&tenant(&format!("t{number:02}"))).await.unwrap();
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = registry.list(after, 10).await.unwrap();
        names.extend(page.tenants.into_iter().map(|record| record.tenant.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, (0..45).map(|number| format!("t{number:02}")).collect::<Vec<_>>());
}

/// A store in which all who move a tenant have read its record before the first of them writes.
#[derive(Debug)]
struct Meeting {
    inner: InMemoryConfigStore,
    readers: tokio::sync::Barrier,
}

#[async_trait::async_trait]
impl ConfigStore for Meeting {
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry> {
        self.inner.put(put).await
    }
    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        let read = self.inner.get(key, version).await;
        self.readers.wait().await;
        read
    }
    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigPage> {
        self.inner.history(key, before, limit).await
    }
    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        self.inner.list(list).await
    }
    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        self.inner.delete(key, expected).await
    }
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.inner.erase_tenant(tenant).await
    }
    async fn export(&self, owner: &ConfigOwner, after: Option<String>, limit: usize) -> Result<ConfigPage> {
        self.inner.export(owner, after, limit).await
    }
    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        self.inner.import(entries).await
    }
}

#[tokio::test]
async fn of_eight_at_once_one_moves_a_tenant() {
    const MOVERS: usize = 8;
    let store = Meeting { inner: InMemoryConfigStore::new(), readers: tokio::sync::Barrier::new(MOVERS) };
    let registry = TenantRegistry::new(Arc::new(store), Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)));
    let acme = tenant("acme");
    registry.create(&acme).await.unwrap();
    let moves = (0..MOVERS).map(|n| {
        let (registry, acme) = (registry.clone(), acme.clone());
        tokio::spawn(async move { registry.suspend(&acme, format!("mover {n}"), DAY).await })
    });
    let mut moved = Vec::new();
    for handle in moves.collect::<Vec<_>>() {
        match handle.await.unwrap() {
            Ok(record) => moved.push(record),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
    assert_eq!(moved.len(), 1, "{moved:?}");
    let page = registry.list(None, 10).await.unwrap();
    assert_eq!(page.tenants, moved, "what stands is what the one was told");
}
