//! The `QuotaStore` on Vespa, beside the configuration: one document for each quota of a tenant, replaced on a condition.

use crate::{
    backend::VespaBackend,
    config_record::{Record, Records},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    Clock, ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigScope, Error, ErrorKind, Quota, QuotaState,
    QuotaStore, Result, TenantId, json_problem,
};
use std::sync::Arc;

/// A store of the use of quotas, shared by all processes that use the application. It uses the schema of the configuration.
#[derive(Debug)]
pub struct VespaQuotaStore {
    records: Records,
    clock: Arc<dyn Clock>,
}

impl VespaBackend {
    /// Opens the store of quotas of this application. The first call deploys its schema if needed.
    ///
    /// # Errors
    /// Those of [`cogniverse_sdk::SchemaStore::deploy`].
    pub async fn quota_store(&self) -> Result<VespaQuotaStore> {
        self.deployer().ensure_system().await?;
        Ok(VespaQuotaStore { records: Records::new(Arc::clone(self.client())), clock: Arc::clone(self.clock()) })
    }
}

fn key(tenant: &TenantId, quota: Quota) -> ConfigKey {
    ConfigKey::tenant(tenant, ConfigScope::System, "quotas", quota.as_str())
}

#[async_trait]
impl QuotaStore for VespaQuotaStore {
    async fn get(&self, tenant: &TenantId, quota: Quota) -> Result<Option<(QuotaState, u64)>> {
        let Some(record) = self.records.quota(&key(tenant, quota)).await? else { return Ok(None) };
        let state = serde_json::from_value(record.entry.value.unwrap_or_default()).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("the stored use of quota {quota} cannot be parsed"))
                .with_source(json_problem(&e))
                .with_context("tenant", tenant)
        })?;
        Ok(Some((state, record.stamp.unsigned_abs())))
    }

    async fn replace(
        &self,
        tenant: &TenantId,
        quota: Quota,
        expected: Option<u64>,
        state: &QuotaState,
    ) -> Result<Option<u64>> {
        let value = serde_json::to_value(state)
            .map_err(|e| Error::unexpected("the use of a quota cannot be written as JSON").with_source(e))?;
        let entry = ConfigEntry {
            key: key(tenant, quota),
            version: 1,
            value: Some(value),
            origin: ConfigOrigin::Set,
            created_at: self.clock.now(),
        };
        // Stamps are drawn above 0; one beyond them was never answered.
        let Some(expected) = expected.map(i64::try_from).transpose().ok() else { return Ok(None) };
        let new = Record::after(None, entry);
        let is_done = self.records.replace_quota(&new, expected).await?;
        Ok(is_done.then_some(new.stamp.unsigned_abs()))
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        self.records.count_quotas(&ConfigOwner::Tenant(tenant.clone())).await
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.records.remove_quotas(&ConfigOwner::Tenant(tenant.clone())).await
    }
}
