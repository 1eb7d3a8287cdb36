//! Typed reading and writing of configuration.

mod history;
mod profiles;
mod templates;
mod transfer;

use crate::config::routing::RoutingConfig;
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::telemetry::TelemetryConfig;
use crate::config::versioned::{Source, Versioned};
use crate::telemetry;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, ConfigOrigin, ConfigStore, Expected, PutConfig};
use cogniverse_sdk::{Clock, Error, ErrorKind, Result, Retry, SystemClock, TenantId};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tracing::Instrument;

/// How often [`ConfigManager::update`] reads again after another writer came first.
const MAX_UPDATES: usize = 32;

/// Typed reading and writing of configuration in a [`ConfigStore`]. Clones share the store.
///
/// A tenant exists here once it has a [`SystemConfig`]: until then every getter and every setter of its other values is
/// `NotFound`. What an existing tenant has not set is a default, and says so ([`Versioned::source`]; invariant 20).
///
/// There is no cache: a change by another process is seen by the next call (invariant 22).
#[derive(Debug, Clone)]
pub struct ConfigManager {
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
}

impl ConfigManager {
    /// A manager of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ConfigStore>) -> Self {
        Self { store, clock: Arc::new(SystemClock) }
    }

    /// Takes the time of an export from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The store, for values that are not a [`ConfigSection`].
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ConfigStore> {
        &self.store
    }

    /// Sets the models and addresses of a tenant, whatever was there. The tenant exists from now on.
    ///
    /// # Errors
    /// `InvalidInput` that names the field.
    pub async fn set_system_config(&self, config: SystemConfig) -> Result<Versioned<SystemConfig>> {
        let tenant = config.tenant_id.clone();
        self.set(&tenant, config).await
    }

    /// The models and addresses of a tenant.
    ///
    /// # Errors
    /// `NotFound` where the tenant has none.
    pub async fn get_system_config(&self, tenant: &TenantId) -> Result<Versioned<SystemConfig>> {
        self.get(tenant).await
    }

    /// Sets how the queries of a tenant are routed.
    ///
    /// # Errors
    /// `InvalidInput` that names the field; `NotFound` for a tenant without a system configuration.
    pub async fn set_routing_config(&self, config: RoutingConfig) -> Result<Versioned<RoutingConfig>> {
        let tenant = config.tenant_id.clone();
        self.set(&tenant, config).await
    }

    /// How the queries of a tenant are routed.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration.
    pub async fn get_routing_config(&self, tenant: &TenantId) -> Result<Versioned<RoutingConfig>> {
        self.get(tenant).await
    }

    /// Sets what is traced of a tenant.
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

    /// What is traced of a tenant.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration.
    pub async fn get_telemetry_config(&self, tenant: &TenantId) -> Result<Versioned<TelemetryConfig>> {
        self.get(tenant).await
    }

    /// A tenant's value, or its default.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration; `Corrupt` where the stored value cannot be read as one.
    pub async fn get<T: ConfigSection>(&self, tenant: &TenantId) -> Result<Versioned<T>> {
        self.require_tenant(tenant).await?;
        let key = T::key_of(tenant);
        match self.newest(&key).await? {
            Some(entry) => readable(entry, |value: &T| section::check(tenant, value)),
            // The system configuration, deleted between the two reads.
            None if key == SystemConfig::key_of(tenant) => Err(missing(tenant)),
            None => Ok(Versioned::default_value(T::default_for(tenant))),
        }
    }

    /// Sets a tenant's value, whatever was there.
    ///
    /// # Errors
    /// As [`ConfigManager::compare_and_set`], without `Conflict`.
    pub async fn set<T: ConfigSection>(&self, tenant: &TenantId, value: T) -> Result<Versioned<T>> {
        self.compare_and_set(tenant, value, Expected::Any).await
    }

    /// Sets a tenant's value where what is expected holds. [`Versioned::version`] is what to expect; a default is
    /// [`Expected::Absent`].
    ///
    /// # Errors
    /// `Conflict` with the version that is there; `InvalidInput` that names the field; `NotFound` for a tenant without a
    /// system configuration.
    pub async fn compare_and_set<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        value: T,
        expected: Expected,
    ) -> Result<Versioned<T>> {
        section::check(tenant, &value)?;
        let key = T::key_of(tenant);
        if key != SystemConfig::key_of(tenant) {
            self.require_tenant(tenant).await?;
        }
        self.write(key, value, expected, ConfigOrigin::Set).await
    }

    /// Changes a tenant's value: reads it, changes it, writes it where nobody else wrote in between, else again.
    ///
    /// # Errors
    /// As [`ConfigManager::get`] and [`ConfigManager::compare_and_set`]; `Conflict` with [`Retry::Exhausted`] where
    /// others came first 32 times.
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

    /// Takes back a tenant's value: the default holds again, the history stays. Without a [`SystemConfig`] the tenant is
    /// missing.
    ///
    /// # Errors
    /// `NotFound` where nothing is set; `Conflict` with the version that is there.
    pub async fn delete<T: ConfigSection>(&self, tenant: &TenantId, expected: Expected) -> Result<u64> {
        self.remove(&T::key_of(tenant), expected).await
    }

    /// `NotFound`, with the remedy, for a tenant without a system configuration.
    async fn require_tenant(&self, tenant: &TenantId) -> Result<()> {
        self.newest(&SystemConfig::key_of(tenant)).await?.map(drop).ok_or_else(|| missing(tenant))
    }

    /// The newest version, where it holds a value.
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
            Ok::<_, Error>(entry)
        };
        let entry = entry.instrument(span).await?;
        Ok(versioned(value, &entry))
    }

    async fn remove(&self, key: &ConfigKey, expected: Expected) -> Result<u64> {
        let deleted = self.store.delete(key, expected).instrument(telemetry::write_span(key)).await?;
        Ok(deleted.version)
    }
}

fn versioned<T>(value: T, entry: &ConfigEntry) -> Versioned<T> {
    let source = Source::of(&entry.origin).unwrap_or(Source::Set);
    Versioned { value, version: entry.version, source, created_at: Some(entry.created_at) }
}

fn missing(tenant: &TenantId) -> Error {
    let message = format!(
        "tenant \"{tenant}\" has no system configuration; create it by set_system_config or create_from_template"
    );
    Error::new(ErrorKind::NotFound, message).with_context("tenant", tenant)
}

/// What a version holds, as this release reads it.
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
