//! A configuration store in memory.

use async_trait::async_trait;
use cogniverse_sdk::config_store::cursor::{self, ConfigListing, Position};
use cogniverse_sdk::config_store::versioning::{self, Head};
use cogniverse_sdk::config_store::{
    ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigPage, ConfigStore, ConfigVersions, Expected, ListConfig,
    PutConfig,
};
use cogniverse_sdk::{Clock, Error, PageCursor, Result, SystemClock, TenantId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

type Histories = BTreeMap<ConfigKey, Vec<ConfigEntry>>;

/// A [`ConfigStore`] in memory, for tests and trials. It grows with every version.
#[derive(Debug)]
pub struct InMemoryConfigStore {
    histories: Mutex<Histories>,
    /// Counts writes; changed while `histories` is locked.
    writes: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Default for InMemoryConfigStore {
    fn default() -> Self {
        Self::new()
    }
}

impl InMemoryConfigStore {
    /// Creates an empty store on the system clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Creates an empty store on the given clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { histories: Mutex::default(), writes: AtomicU64::new(0), clock }
    }

    fn append(
        &self,
        histories: &mut Histories,
        key: ConfigKey,
        version: u64,
        content: (Option<serde_json::Value>, ConfigOrigin),
    ) -> ConfigEntry {
        let (value, origin) = content;
        let entry = ConfigEntry { key: key.clone(), version, value, origin, created_at: self.clock.now() };
        histories.entry(key).or_default().push(entry.clone());
        self.writes.fetch_add(1, Ordering::Release);
        entry
    }
}

fn head(histories: &Histories, key: &ConfigKey) -> Option<Head> {
    histories.get(key)?.last().map(Head::of)
}

/// Returns all histories of an owner, ordered by the stored form of their keys.
fn owned<'a>(histories: &'a Histories, owner: &ConfigOwner) -> Vec<&'a Vec<ConfigEntry>> {
    let mut owned: Vec<_> = histories.iter().filter(|(key, _)| key.owner == *owner).collect();
    owned.sort_by_key(|(key, _)| (key.scope.as_str(), &key.service, &key.key));
    owned.into_iter().map(|(_, versions)| versions).collect()
}

fn place(position: &Position) -> (&str, &str, &str) {
    (&position.scope, &position.service, &position.key)
}

#[async_trait]
impl ConfigStore for InMemoryConfigStore {
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry> {
        versioning::check_put(&put)?;
        let mut histories = self.histories.lock();
        let version = versioning::next_version(&put.key, put.expected, head(&histories, &put.key))?;
        Ok(self.append(&mut histories, put.key, version, (Some(put.value), put.origin)))
    }

    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        let histories = self.histories.lock();
        let Some(versions) = histories.get(key) else { return Ok(None) };
        Ok(match version {
            None => versions.last().cloned(),
            Some(version) => versions.iter().find(|entry| entry.version == version).cloned(),
        })
    }

    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions> {
        let limit = versioning::page_limit(limit)?;
        let histories = self.histories.lock();
        let versions = histories.get(key).map(Vec::as_slice).unwrap_or_default();
        let older = versions.iter().rev().filter(|entry| before.is_none_or(|before| entry.version < before));
        let entries: Vec<ConfigEntry> = older.take(limit).cloned().collect();
        let next = entries.last().map(|last| last.version).filter(|version| *version > 1);
        Ok(ConfigVersions { entries, next })
    }

    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        let limit = versioning::page_limit(list.limit)?;
        let listing = ConfigListing::of(&list);
        let from = cursor::decode(&listing, list.after.as_ref())?;
        let histories = self.histories.lock();
        let mut entries: Vec<ConfigEntry> = owned(&histories, &list.owner)
            .into_iter()
            .filter_map(|versions| versions.last())
            .filter(|entry| entry.value.is_some())
            .filter(|entry| list.scope.is_none_or(|scope| scope == entry.key.scope))
            .filter(|entry| list.service.as_ref().is_none_or(|service| *service == entry.key.service))
            .filter(|entry| place(&Position::of(entry)) > place(&from))
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        let next = cursor::cut(&listing, &mut entries, limit)?;
        Ok(ConfigPage { entries, next })
    }

    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        let mut histories = self.histories.lock();
        let version = versioning::deletion_version(key, expected, head(&histories, key))?;
        Ok(self.append(&mut histories, key.clone(), version, (None, ConfigOrigin::Deleted)))
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let owner = ConfigOwner::Tenant(tenant.clone());
        let mut erased = 0;
        let mut histories = self.histories.lock();
        histories.retain(|key, versions| {
            let stays = key.owner != owner;
            erased += if stays { 0 } else { versions.len() as u64 };
            stays
        });
        self.writes.fetch_add(1, Ordering::Release);
        Ok(erased)
    }

    async fn export(&self, owner: &ConfigOwner, after: Option<PageCursor>, limit: usize) -> Result<ConfigPage> {
        let limit = versioning::page_limit(limit)?;
        let listing = ConfigListing::Export { owner: owner.clone() };
        let from = cursor::decode(&listing, after.as_ref())?;
        let histories = self.histories.lock();
        let mut entries: Vec<ConfigEntry> = owned(&histories, owner)
            .into_iter()
            .flatten()
            .filter(|entry| (place(&Position::of(entry)), entry.version) > (place(&from), from.version))
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        let next = cursor::cut(&listing, &mut entries, limit)?;
        Ok(ConfigPage { entries, next })
    }

    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        let mut histories = self.histories.lock();
        let present = |key: &ConfigKey| Ok::<_, Error>(histories.get(key).cloned().unwrap_or_default());
        let added = versioning::import_plan(entries, present)?;
        let count = added.len() as u64;
        for entry in added {
            histories.entry(entry.key.clone()).or_default().push(entry);
        }
        self.writes.fetch_add(1, Ordering::Release);
        Ok(count)
    }

    async fn change_mark(&self) -> Result<Option<u64>> {
        Ok(Some(self.writes.load(Ordering::Acquire)))
    }
}
