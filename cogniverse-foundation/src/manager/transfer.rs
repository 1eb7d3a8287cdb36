//! Export, import and erasure of a tenant's whole configuration.

use super::{ConfigManager, decode, missing};
use crate::config::export::ConfigExport;
use crate::config::origin::AllowedOrigins;
use crate::config::quotas::QuotaConfig;
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
    /// Exports every version of every value of a tenant, including values that other crates keep in the same store.
    /// Pages are read one after another: a value written concurrently may be missing, but no history in the export
    /// has gaps.
    ///
    /// # Errors
    /// `NotFound` for a tenant without stored values.
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

    /// Imports an export with its version numbers, all or none, and returns the number of new versions. Under another
    /// tenant, the owner and every `tenant_id` that names the exported tenant are rewritten.
    ///
    /// # Errors
    /// `NotFound` where a [`TenantDirectory`](super::TenantDirectory) is set and does not know the tenant: add it
    /// there first. `Conflict` where the tenant has other versions here; `InvalidInput` where the export has another
    /// format, mixes owners or lacks versions, or where this release does not accept its newest values.
    pub async fn import_tenant(&self, export: ConfigExport, into: &TenantId) -> Result<u64> {
        if export.format != ConfigExport::FORMAT {
            let (found, known) = (export.format, ConfigExport::FORMAT);
            return Err(Error::invalid(format!("the export has format {found} and this release reads {known}")));
        }
        let entries = rehome(export.entries, &export.tenant, into)?;
        check_newest(&entries, into, &self.allowed)?;
        if let Some(tenants) = &self.tenants {
            tenants.require_exists(into).await?;
        }
        let imported = self.store().import(entries).instrument(telemetry::transfer_span(into)).await;
        self.count_write();
        imported
    }

    /// Removes every version of every value of a tenant and returns how many. Nothing else shortens a history.
    ///
    /// # Errors
    /// `Unavailable` where the store cannot be written.
    pub async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let erased = self.store().erase_tenant(tenant).instrument(telemetry::transfer_span(tenant)).await;
        self.count_write();
        erased
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

fn check_newest(entries: &[ConfigEntry], tenant: &TenantId, allowed: &AllowedOrigins) -> Result<()> {
    let mut newest = BTreeMap::new();
    for entry in entries {
        let held = newest.entry(&entry.key).or_insert(entry);
        if held.version < entry.version {
            *held = entry;
        }
    }
    for entry in newest.into_values().filter(|entry| entry.value.is_some()) {
        check_section::<SystemConfig>(entry, tenant, allowed)?;
        check_section::<RoutingConfig>(entry, tenant, allowed)?;
        check_section::<TelemetryConfig>(entry, tenant, allowed)?;
        check_section::<QuotaConfig>(entry, tenant, allowed)?;
    }
    Ok(())
}

fn check_section<T: ConfigSection>(entry: &ConfigEntry, tenant: &TenantId, allowed: &AllowedOrigins) -> Result<()> {
    if entry.key != T::key_of(tenant) {
        return Ok(());
    }
    let checked = decode(entry, |value: &T| section::accept(tenant, value, allowed));
    checked.map(drop).map_err(|e| {
        let message = "the export holds a value that is not accepted here; change it at its source, and export again";
        Error::invalid(message).with_source(e)
    })
}
