//! The registry of tenants' records.

use super::record::{TenantRecord, unknown};
use async_trait::async_trait;
use cogniverse_foundation::manager::TenantDirectory;
use cogniverse_sdk::{
    ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ConfigStore, Error, ErrorKind, Expected, PageCursor, Result,
    TenantId,
    config_store::{ListConfig, PutConfig},
};
use std::sync::Arc;

/// The service under which records are stored, in the system's configuration, so that they outlive a tenant's.
const SERVICE: &str = "tenants";

/// A registry of tenants' records in a configuration store. It has no cache, and checks no move: [`super::Gate`] serves
/// calls, and [`crate::lifecycle::TenantLifecycle`] changes records.
#[derive(Debug, Clone)]
pub struct TenantRegistry {
    store: Arc<dyn ConfigStore>,
}

/// A record with the version for the next compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundTenant {
    /// The record.
    pub record: TenantRecord,
    /// Its version.
    pub version: u64,
}

/// Tenants by id with their records, and the cursor of the next page.
pub(crate) type Listed = (Vec<(String, Result<TenantRecord>)>, Option<PageCursor>);

/// One page of tenants.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TenantPage {
    /// The records, ordered by id.
    pub tenants: Vec<TenantRecord>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<PageCursor>,
}

impl TenantRegistry {
    /// Creates a registry over a store.
    #[must_use]
    pub fn new(store: Arc<dyn ConfigStore>) -> Self {
        Self { store }
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ConfigStore> {
        &self.store
    }

    /// Returns a directory that restricts a [`ConfigManager`](cogniverse_foundation::ConfigManager) to existing
    /// tenants.
    #[must_use]
    pub fn directory(&self) -> Arc<dyn TenantDirectory> {
        Arc::new(self.clone())
    }

    /// Returns the record of a tenant, whatever its state.
    ///
    /// # Errors
    /// `NotFound` with the remedy. It names no other tenant.
    pub async fn get(&self, tenant: &TenantId) -> Result<TenantRecord> {
        self.find(tenant).await?.map(|found| found.record).ok_or_else(|| unknown(tenant))
    }

    /// Returns the record of a tenant with its version; `None` where there never was one.
    ///
    /// # Errors
    /// Any error of the store; `Corrupt` for a record that cannot be read.
    pub async fn find(&self, tenant: &TenantId) -> Result<Option<FoundTenant>> {
        match self.store.get(&key(tenant), None).await? {
            Some(entry) if entry.value.is_some() => parse(entry).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns one page of tenants, ordered by id, in whatever state they are. For operators only.
    ///
    /// # Errors
    /// Any error of the store, which is never reported as an empty page.
    pub async fn list(&self, after: Option<PageCursor>, limit: usize) -> Result<TenantPage> {
        let (records, next) = self.list_each(after, limit).await?;
        let tenants = records.into_iter().map(|(_, record)| record).collect::<Result<_>>()?;
        Ok(TenantPage { tenants, next })
    }

    /// Returns one page of tenants by their ids, each with its record or the reason why it cannot be read.
    pub(crate) async fn list_each(&self, after: Option<PageCursor>, limit: usize) -> Result<Listed> {
        let list =
            ListConfig::new(ConfigOwner::System).within(ConfigScope::System, SERVICE).after(after).with_limit(limit);
        let page = self.store.list(list).await?;
        let each = |entry: ConfigEntry| (entry.key.key.clone(), parse(entry).map(|found| found.record));
        Ok((page.entries.into_iter().map(each).collect(), page.next))
    }

    /// Writes a record if the expectation holds, and returns the new version.
    ///
    /// # Errors
    /// `Conflict` where another call changed the record meanwhile.
    pub async fn put(&self, record: &TenantRecord, expected: Expected) -> Result<u64> {
        let value = serde_json::to_value(record)
            .map_err(|e| Error::unexpected("a tenant record cannot be written").with_source(e))?;
        Ok(self.store.put(PutConfig::new(key(&record.tenant), value).expecting(expected)).await?.version)
    }
}

#[async_trait]
impl TenantDirectory for TenantRegistry {
    async fn require_exists(&self, tenant: &TenantId) -> Result<()> {
        self.get(tenant).await.map(drop)
    }
}

fn key(tenant: &TenantId) -> ConfigKey {
    ConfigKey::new(ConfigOwner::System, ConfigScope::System, SERVICE, tenant.as_str())
}

fn parse(entry: ConfigEntry) -> Result<FoundTenant> {
    let (name, version) = (entry.key.key, entry.version);
    let record: Option<TenantRecord> = entry.value.and_then(|value| serde_json::from_value(value).ok());
    // Exact: a record that speaks of another tenant is damage, whatever key it is under.
    match record.filter(|record| record.tenant.as_str() == name) {
        Some(record) => Ok(FoundTenant { record, version }),
        None => Err(Error::new(
            ErrorKind::Corrupt,
            format!("the record of tenant \"{name}\" cannot be read; restore the configuration store"),
        )),
    }
}
