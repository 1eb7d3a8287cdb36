//! The typed interface to configuration.

mod directory;
mod history;
mod profiles;
mod snapshot;
mod templates;
mod transfer;

use crate::audit::AuditRecorder;
use crate::config::origin::AllowedOrigins;
use crate::config::quotas::QuotaConfig;
use crate::config::routing::RoutingConfig;
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::telemetry::TelemetryConfig;
use crate::config::versioned::{Source, Versioned};
use crate::telemetry;
use cogniverse_sdk::config_store::{
    ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigStore, Expected, PutConfig,
};
use cogniverse_sdk::{
    AuditEvent, AuditLog, Caller, Clock, Error, ErrorCode, ErrorKind, Result, Retry, SystemClock, TenantId,
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tracing::Instrument;

pub use directory::TenantDirectory;
pub use snapshot::ConfigSnapshot;

/// The most times that [`ConfigManager::update`] retries after a concurrent write.
const MAX_UPDATES: usize = 32;

/// Typed access to the configuration in a [`ConfigStore`]. Clones share the store.
///
/// A tenant exists once it has a [`SystemConfig`] or, where a [`TenantDirectory`] is set, once the directory knows
/// it. Until then every getter and setter is `NotFound`: setting a value does not create a tenant. A value that an
/// existing tenant has not set reads as its default and says so ([`Versioned::source`]; [invariant 20](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#20)).
///
/// There is no cache: the next call sees a change by another process ([invariant 22](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#22)).
#[derive(Debug, Clone)]
pub struct ConfigManager {
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
    tenants: Option<Arc<dyn TenantDirectory>>,
    allowed: AllowedOrigins,
    recorder: AuditRecorder,
    reason: Option<Arc<str>>,
    /// Counts the writes of this manager and its clones.
    writes: Arc<AtomicU64>,
}

impl ConfigManager {
    /// Creates a manager over a store.
    #[must_use]
    pub fn new(store: Arc<dyn ConfigStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            tenants: None,
            allowed: AllowedOrigins::none(),
            recorder: AuditRecorder::default(),
            reason: None,
            writes: Arc::default(),
        }
    }

    /// Sets the clock that stamps exports (default [`SystemClock`]).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Restricts writes to tenants in a directory (default: tenants that have a [`SystemConfig`]).
    #[must_use]
    pub fn with_tenants(mut self, tenants: Arc<dyn TenantDirectory>) -> Self {
        self.tenants = Some(tenants);
        self
    }

    /// Records every change of a tenant's configuration in an audit log (default: none).
    #[must_use]
    pub fn with_audit(mut self, audit: Arc<dyn AuditLog>) -> Self {
        self.recorder = AuditRecorder::new(audit);
        self
    }

    /// Returns the same manager for a caller, under whose name the audit log records changes.
    #[must_use]
    pub fn for_caller(&self, caller: &Caller) -> Self {
        Self { recorder: self.recorder.for_caller(caller), ..self.clone() }
    }

    /// Returns the same manager with a reason, which the audit log records with each change.
    #[must_use]
    pub fn because(&self, reason: &str) -> Self {
        Self { reason: Some(AuditEvent::reason(reason).into()), ..self.clone() }
    }

    /// Returns the number of writes by this manager and its clones, so that a reader can tell that it reads what came
    /// before one of them.
    #[must_use]
    pub fn local_writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    fn count_write(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a change, and records one of a tenant's value.
    async fn record(&self, entry: &ConfigEntry) -> Result<()> {
        self.count_write();
        let ConfigOwner::Tenant(tenant) = &entry.key.owner else { return Ok(()) };
        let key = &entry.key;
        let event = AuditEvent::ConfigChanged {
            key: format!("{} / {} / {}", key.scope.as_str(), key.service, key.key),
            from_version: entry.version.saturating_sub(1),
            to_version: entry.version,
            reason: self.reason.as_deref().map(str::to_owned),
        };
        self.recorder.record(tenant, event).await
    }

    /// Sets the addresses that tenants may configure (default: only the default addresses).
    #[must_use]
    pub fn with_allowed_origins(mut self, allowed: AllowedOrigins) -> Self {
        self.allowed = allowed;
        self
    }

    /// Returns the addresses that tenants may configure.
    #[must_use]
    pub fn allowed_origins(&self) -> &AllowedOrigins {
        &self.allowed
    }

    /// Returns the store, for values that are not a [`ConfigSection`].
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ConfigStore> {
        &self.store
    }

    /// Sets a tenant's models and addresses unconditionally. This does not create a tenant.
    ///
    /// # Errors
    /// Those of [`ConfigManager::set`]; `InvalidInput` where the value names another tenant.
    pub async fn set_system_config(&self, tenant: &TenantId, config: SystemConfig) -> Result<Versioned<SystemConfig>> {
        self.set(tenant, config).await
    }

    /// Returns a tenant's models and addresses.
    ///
    /// # Errors
    /// `NotFound` where the tenant has no system configuration.
    pub async fn get_system_config(&self, tenant: &TenantId) -> Result<Versioned<SystemConfig>> {
        self.get(tenant).await
    }

    /// Sets a tenant's routing configuration.
    ///
    /// # Errors
    /// Those of [`ConfigManager::set`]; `InvalidInput` where the value names another tenant.
    pub async fn set_routing_config(
        &self,
        tenant: &TenantId,
        config: RoutingConfig,
    ) -> Result<Versioned<RoutingConfig>> {
        self.set(tenant, config).await
    }

    /// Returns a tenant's routing configuration.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration.
    pub async fn get_routing_config(&self, tenant: &TenantId) -> Result<Versioned<RoutingConfig>> {
        self.get(tenant).await
    }

    /// Sets a tenant's telemetry configuration.
    ///
    /// # Errors
    /// `InvalidInput` that names the field; `NotFound` for a tenant without a system configuration.
    pub async fn set_telemetry_config(
        &self,
        tenant: &TenantId,
        config: TelemetryConfig,
    ) -> Result<Versioned<TelemetryConfig>> {
        self.set(tenant, config).await
    }

    /// Returns a tenant's telemetry configuration.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration.
    pub async fn get_telemetry_config(&self, tenant: &TenantId) -> Result<Versioned<TelemetryConfig>> {
        self.get(tenant).await
    }

    /// Sets a tenant's quotas.
    ///
    /// # Errors
    /// `InvalidInput` that names the field; `NotFound` for a tenant without a system configuration.
    pub async fn set_quota_config(&self, tenant: &TenantId, config: QuotaConfig) -> Result<Versioned<QuotaConfig>> {
        self.set(tenant, config).await
    }

    /// Returns a tenant's quotas.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration.
    pub async fn get_quota_config(&self, tenant: &TenantId) -> Result<Versioned<QuotaConfig>> {
        self.get(tenant).await
    }

    /// Returns a section of a tenant, or its default.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration; `Corrupt` where the stored value cannot be parsed.
    pub async fn get<T: ConfigSection>(&self, tenant: &TenantId) -> Result<Versioned<T>> {
        let key = T::key_of(tenant);
        // What can be set can be read.
        match key == SystemConfig::key_of(tenant) {
            true => self.require_tenant(tenant).await?,
            false => self.require_known(tenant).await?,
        }
        match self.newest(&key).await? {
            Some(entry) => readable(entry, |value: &T| section::check(tenant, value)),
            // The system configuration, deleted between the two reads.
            None if key == SystemConfig::key_of(tenant) => Err(missing(tenant)),
            None => Ok(Versioned::default_value(T::default_for(tenant))),
        }
    }

    /// Sets a section of a tenant unconditionally.
    ///
    /// # Errors
    /// Those of [`ConfigManager::compare_and_set`], except `Conflict`.
    pub async fn set<T: ConfigSection>(&self, tenant: &TenantId, value: T) -> Result<Versioned<T>> {
        self.compare_and_set(tenant, value, Expected::Any).await
    }

    /// Sets a section of a tenant if the precondition holds. Expect [`Versioned::version`] of the value that was
    /// read, or [`Expected::Absent`] for a default.
    ///
    /// # Errors
    /// `Conflict` with the version that is there; `InvalidInput` that names the field, or another tenant in the value;
    /// `PermissionDenied` for an address that is not allowed; `Unsupported` for what cannot be another for one tenant;
    /// `NotFound` for a tenant that nobody made.
    pub async fn compare_and_set<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        value: T,
        expected: Expected,
    ) -> Result<Versioned<T>> {
        section::accept(tenant, &value, &self.allowed)?;
        self.require_known(tenant).await?;
        self.write(T::key_of(tenant), value, expected, ConfigOrigin::Set).await
    }

    /// Updates a section of a tenant in a read-modify-write loop that retries after concurrent writes.
    ///
    /// # Errors
    /// Those of [`ConfigManager::get`] and [`ConfigManager::compare_and_set`]; `Conflict` with [`Retry::Exhausted`]
    /// after 32 concurrent writes.
    pub async fn update<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        change: impl Fn(&mut T) + Send + Sync,
    ) -> Result<Versioned<T>> {
        let mut last = None;
        for _ in 0..MAX_UPDATES {
            let mut current = self.get::<T>(tenant).await?;
            let expected = if current.is_set() { Expected::Version(current.version) } else { Expected::Absent };
            change(&mut current.value);
            match self.compare_and_set(tenant, current.value, expected).await {
                Err(error) if error.kind() == ErrorKind::Conflict => last = Some(error),
                result => return result,
            }
        }
        Err(last.unwrap_or_else(|| Error::unexpected("an update was never tried")).with_retry(Retry::Exhausted))
    }

    /// Deletes a section of a tenant, so that its default applies again; the history stays. A tenant without its
    /// [`SystemConfig`] counts as missing.
    ///
    /// # Errors
    /// `NotFound` where no value is set; `Conflict` with the current version.
    pub async fn delete<T: ConfigSection>(&self, tenant: &TenantId, expected: Expected) -> Result<u64> {
        self.remove(&T::key_of(tenant), expected).await
    }

    /// Returns `NotFound`, with the remedy, for a tenant that nothing may be written for.
    async fn require_known(&self, tenant: &TenantId) -> Result<()> {
        match &self.tenants {
            Some(tenants) => tenants.require_exists(tenant).await,
            None => self.require_tenant(tenant).await,
        }
    }

    /// Returns `NotFound`, with the remedy, for a tenant without a system configuration.
    async fn require_tenant(&self, tenant: &TenantId) -> Result<()> {
        self.newest(&SystemConfig::key_of(tenant)).await?.map(drop).ok_or_else(|| missing(tenant))
    }

    /// Returns the newest version if it holds a value.
    async fn newest(&self, key: &ConfigKey) -> Result<Option<ConfigEntry>> {
        let entry = self.store.get(key, None).instrument(telemetry::read_span(key)).await?;
        Ok(entry.filter(|entry| entry.value.is_some()))
    }

    async fn write<T: Serialize>(
        &self,
        key: ConfigKey,
        value: T,
        expected: Expected,
        origin: ConfigOrigin,
    ) -> Result<Versioned<T>> {
        let json = serde_json::to_value(&value)
            .map_err(|e| Error::invalid(format!("configuration {key} cannot be written as JSON")).with_source(e))?;
        let span = telemetry::write_span(&key);
        let put = PutConfig::new(key, json).expecting(expected).from_origin(origin);
        let entry = async {
            let entry = self.store.put(put).await?;
            telemetry::written(entry.version);
            self.record(&entry).await?;
            Ok::<_, Error>(entry)
        };
        let entry = entry.instrument(span).await?;
        Ok(versioned(value, &entry))
    }

    async fn remove(&self, key: &ConfigKey, expected: Expected) -> Result<u64> {
        let deleted = self.store.delete(key, expected).instrument(telemetry::write_span(key)).await?;
        self.record(&deleted).await?;
        Ok(deleted.version)
    }
}

fn versioned<T>(value: T, entry: &ConfigEntry) -> Versioned<T> {
    let source = Source::of(&entry.origin).unwrap_or(Source::Set);
    Versioned { value, version: entry.version, source, created_at: Some(entry.created_at) }
}

fn missing(tenant: &TenantId) -> Error {
    let message = format!("tenant \"{tenant}\" has no system configuration; create it by create_from_template");
    Error::of(ErrorCode::ConfigKeyUnknown, message).with_context("tenant", tenant)
}

/// Decodes the content of a version.
fn decode<T: DeserializeOwned>(entry: &ConfigEntry, check: impl FnOnce(&T) -> Result<()>) -> Result<T> {
    let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| {
        let message = format!(
            "version {} of configuration {} cannot be read; roll back to an older version or set it again",
            entry.version, entry.key
        );
        Error::new(ErrorKind::Corrupt, message).with_source(source)
    };
    let json = entry.value.clone().unwrap_or_default();
    let value = serde_json::from_value(json).map_err(|e| unreadable(e.into()))?;
    check(&value).map_err(|e| unreadable(e.into()))?;
    Ok(value)
}

fn readable<T: DeserializeOwned>(entry: ConfigEntry, check: impl FnOnce(&T) -> Result<()>) -> Result<Versioned<T>> {
    Ok(versioned(decode(&entry, check)?, &entry))
}
