//! The list of tenants and their moves from state to state.

use super::{TenantRecord, TenantState};
use cogniverse_sdk::{
    Clock, ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ConfigStore, Error, ErrorKind, Expected, Result, TenantId,
    config_store::{ListConfig, PutConfig},
};
use parking_lot::RwLock;
use std::{sync::Arc, time::Duration};

/// The service that tenant records are kept under, with the system's own configuration: they outlive a tenant's.
const SERVICE: &str = "tenants";
/// How many tenants an "unknown tenant" message may name.
const NAMED: usize = 20;

/// Who exists. Every question goes to the store, so that a suspension is seen by the next call, also of another process.
#[derive(Debug, Clone)]
pub struct TenantRegistry {
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
    caches: Arc<RwLock<Vec<Arc<dyn TenantCache>>>>,
}

/// Whatever keeps something of a tenant in memory (invariant 4).
pub trait TenantCache: std::fmt::Debug + Send + Sync + 'static {
    /// Lets go of everything of the tenant, at once.
    fn forget_tenant(&self, tenant: &TenantId);
}

/// One page of tenants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TenantPage {
    /// By id.
    pub tenants: Vec<TenantRecord>,
    /// Give this back for the next page; none at the end.
    pub next: Option<String>,
}

impl TenantRegistry {
    /// Tenants whose records are in a store.
    #[must_use]
    pub fn new(store: Arc<dyn ConfigStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, caches: Arc::default() }
    }

    /// Tells a cache of tenants that stop being served. Called where parts are wired together.
    pub fn register_cache(&self, cache: Arc<dyn TenantCache>) {
        self.caches.write().push(cache);
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `Conflict` where it exists.
    pub async fn create(&self, tenant: &TenantId) -> Result<TenantRecord> {
        let record = TenantRecord::active(tenant.clone(), self.clock.now());
        match self.write(&record, Expected::Absent).await {
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let message =
                    format!("tenant \"{tenant}\" exists already; choose another id, or use the one that is there");
                Err(Error::new(ErrorKind::Conflict, message).with_source(e))
            }
            other => other.map(|()| record),
        }
    }

    /// What is known of a tenant.
    ///
    /// # Errors
    /// `NotFound` that names tenants that exist and the remedy.
    pub async fn get(&self, tenant: &TenantId) -> Result<TenantRecord> {
        self.find(tenant).await.map(|(record, _)| record)
    }

    /// The record, where the tenant may be served.
    ///
    /// # Errors
    /// `NotFound`; `FailedPrecondition` for a suspended tenant, with since when, why, and the remedy.
    pub async fn require_active(&self, tenant: &TenantId) -> Result<TenantRecord> {
        let record = self.get(tenant).await?;
        match record.state {
            TenantState::Active => Ok(record),
            TenantState::Suspended => Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!(
                    "tenant \"{tenant}\" is suspended since {} ({}); reactivate it first",
                    record.changed_at,
                    record.reason.as_deref().unwrap_or("no reason given")
                ),
            )),
        }
    }

    /// One page of tenants, by id.
    ///
    /// # Errors
    /// Where they cannot be read, which is never an empty page.
    pub async fn list(&self, after: Option<String>, limit: usize) -> Result<TenantPage> {
        let list =
            ListConfig::new(ConfigOwner::System).within(ConfigScope::System, SERVICE).after(after).with_limit(limit);
        let page = self.store.list(list).await?;
        let tenants =
            page.entries.into_iter().map(|entry| parse(entry).map(|(record, _)| record)).collect::<Result<_>>()?;
        Ok(TenantPage { tenants, next: page.next })
    }

    /// Stops serving a tenant and keeps its data for a time.
    ///
    /// # Errors
    /// `FailedPrecondition` where it is not active; `Conflict` where another call changed it meanwhile.
    pub async fn suspend(
        &self,
        tenant: &TenantId,
        reason: impl Into<String>,
        retention: Duration,
    ) -> Result<TenantRecord> {
        let now = self.clock.now();
        let retain_until = now
            .checked_add(retention)
            .map_err(|e| Error::invalid(format!("the retention {retention:?} is too long")).with_source(e))?;
        self.move_to(tenant, TenantState::Active, |record| TenantRecord {
            state: TenantState::Suspended,
            changed_at: now,
            reason: Some(reason.into()),
            retain_until: Some(retain_until),
            ..record
        })
        .await
    }

    /// Serves a suspended tenant again.
    ///
    /// # Errors
    /// As [`TenantRegistry::suspend`].
    pub async fn reactivate(&self, tenant: &TenantId) -> Result<TenantRecord> {
        let now = self.clock.now();
        self.move_to(tenant, TenantState::Suspended, |record| TenantRecord {
            state: TenantState::Active,
            changed_at: now,
            reason: None,
            retain_until: None,
            ..record
        })
        .await
    }

    async fn move_to(
        &self,
        tenant: &TenantId,
        from: TenantState,
        change: impl FnOnce(TenantRecord) -> TenantRecord,
    ) -> Result<TenantRecord> {
        let (record, version) = self.find(tenant).await?;
        if record.state != from {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!("tenant \"{tenant}\" is {} and this move is from {from} only", record.state),
            ));
        }
        let next = change(record);
        self.write(&next, Expected::Version(version)).await?;
        if next.state != TenantState::Active {
            self.caches.read().iter().for_each(|cache| cache.forget_tenant(tenant));
        }
        tracing::info!(tenant.id = %tenant, state = %next.state, "tenant moved");
        Ok(next)
    }

    async fn find(&self, tenant: &TenantId) -> Result<(TenantRecord, u64)> {
        match self.store.get(&key(tenant), None).await? {
            Some(entry) if entry.value.is_some() => parse(entry),
            _ => {
                let known = self.list(None, NAMED).await?.tenants;
                let unknown = Error::unknown("tenant", tenant, known.iter().map(|record| &record.tenant));
                Err(Error::new(ErrorKind::NotFound, format!("{}; create it first", unknown.message())))
            }
        }
    }

    async fn write(&self, record: &TenantRecord, expected: Expected) -> Result<()> {
        let value = serde_json::to_value(record)
            .map_err(|e| Error::unexpected("a tenant record cannot be written").with_source(e))?;
        self.store.put(PutConfig::new(key(&record.tenant), value).expecting(expected)).await.map(|_| ())
    }
}

fn key(tenant: &TenantId) -> ConfigKey {
    ConfigKey::new(ConfigOwner::System, ConfigScope::System, SERVICE, tenant.as_str())
}

fn parse(entry: ConfigEntry) -> Result<(TenantRecord, u64)> {
    let (name, version) = (entry.key.key, entry.version);
    let record: Option<TenantRecord> = entry.value.and_then(|value| serde_json::from_value(value).ok());
    // Exact: a record that speaks of another tenant is damage, whatever key it is under.
    match record.filter(|record| record.tenant.as_str() == name) {
        Some(record) => Ok((record, version)),
        None => Err(Error::new(
            ErrorKind::Corrupt,
            format!("the record of tenant \"{name}\" cannot be read; restore the configuration store"),
        )),
    }
}
