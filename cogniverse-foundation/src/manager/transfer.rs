//! A tenant's configuration as a whole: export, import, erase.

use super::{ConfigManager, decode, missing};
use crate::config::export::ConfigExport;
use crate::config::routing::RoutingConfig;
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::telemetry::TelemetryConfig;
use crate::telemetry;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigOwner};
use cogniverse_sdk::{Error, Result, TenantId};
use serde_json::Value;
use std::collections::BTreeMap;
use tracing::Instrument;

const PAGE: usize = 200;

impl ConfigManager {
    /// Every version of every value of a tenant, also of values that other crates keep in the same store. Pages are read
    /// one after the other: a value written meanwhile may or may not be in it, and no history in it has gaps.
    ///
    /// # Errors
    /// `NotFound` for a tenant of whom nothing is stored.
    pub async fn export_tenant(&self, tenant: &TenantId) -> Result<ConfigExport> {
        let owner = ConfigOwner::Tenant(tenant.clone());
        let exported_at = self.clock.now();
        let span = telemetry::transfer_span(tenant);
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let page = self.store().export(&owner, after, PAGE).instrument(span.clone()).await?;
            entries.extend(page.entries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if entries.is_empty() {
            return Err(missing(tenant));
        }
        Ok(ConfigExport::new(tenant.clone(), exported_at, entries))
    }

    /// Takes over an export, with its version numbers, all or none; returns how many versions are new here. Under another
    /// tenant, the owner and every value's `tenant_id` that names the exported tenant become the other's.
    ///
    /// # Errors
    /// `Conflict` where the tenant has other versions here; `InvalidInput` where the export is of another format, mixes
    /// owners, lacks versions, or its newest values are not accepted by this release.
    pub async fn import_tenant(&self, export: ConfigExport, into: &TenantId) -> Result<u64> {
        if export.format != ConfigExport::FORMAT {
            let (found, known) = (export.format, ConfigExport::FORMAT);
            return Err(Error::invalid(format!("the export has format {found} and this release reads {known}")));
        }
        let entries = rehome(export.entries, &export.tenant, into)?;
        check_newest(&entries, into)?;
        self.store().import(entries).instrument(telemetry::transfer_span(into)).await
    }

    /// Removes every version of every value of a tenant; returns how many. This is the only thing that shortens a history.
    ///
    /// # Errors
    /// `Unavailable` where the store cannot be written.
    pub async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.store().erase_tenant(tenant).instrument(telemetry::transfer_span(tenant)).await
    }
}

fn rehome(mut entries: Vec<ConfigEntry>, from: &TenantId, into: &TenantId) -> Result<Vec<ConfigEntry>> {
    let (old, new) = (ConfigOwner::Tenant(from.clone()), ConfigOwner::Tenant(into.clone()));
    for entry in &mut entries {
        if entry.key.owner != old {
            let message = format!("the export of tenant \"{from}\" holds configuration {}; export it again", entry.key);
            return Err(Error::invalid(message));
        }
        entry.key.owner = new.clone();
        let named = entry.value.as_mut().and_then(|value| value.get_mut("tenant_id"));
        if let Some(named) = named.filter(|named| named.as_str() == Some(from.as_str())) {
            *named = Value::String(into.as_str().to_owned());
        }
    }
    Ok(entries)
}

fn check_newest(entries: &[ConfigEntry], tenant: &TenantId) -> Result<()> {
    let mut newest = BTreeMap::new();
    for entry in entries {
        let held = newest.entry(&entry.key).or_insert(entry);
        if held.version < entry.version {
            *held = entry;
        }
    }
    for entry in newest.into_values().filter(|entry| entry.value.is_some()) {
        check_section::<SystemConfig>(entry, tenant)?;
        check_section::<RoutingConfig>(entry, tenant)?;
        check_section::<TelemetryConfig>(entry, tenant)?;
    }
    Ok(())
}

fn check_section<T: ConfigSection>(entry: &ConfigEntry, tenant: &TenantId) -> Result<()> {
    if entry.key != T::key_of(tenant) {
        return Ok(());
    }
    let checked = decode(entry, |value: &T| section::check(tenant, value));
    checked
        .map(drop)
        .map_err(|e| Error::invalid("the export holds a value this release does not accept").with_source(e))
}
