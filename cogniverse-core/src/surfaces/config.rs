//! The surface of a tenant's configuration.

use super::PAGE;
use async_trait::async_trait;
use cogniverse_foundation::{ConfigExport, ConfigManager};
use cogniverse_sdk::{
    BackupRecord, ConfigEntry, ConfigOwner, Error, ErrorCode, Export, ExportPage, Import, Inventory, PageCursor,
    Remains, Result, SurfaceErasure, TenantId, TenantSurface, Timestamp,
    config_store::{ConfigPage, ListConfig},
    isolation::{Attack, Canary, Planting},
};

/// The configuration of a tenant and its history. It comes last, as the other surfaces read it.
#[derive(Debug, Clone)]
pub struct ConfigSurface(ConfigManager);

impl ConfigSurface {
    /// Creates the surface of a configuration.
    #[must_use]
    pub fn new(config: ConfigManager) -> Self {
        Self(config)
    }

    async fn versions(&self, tenant: &TenantId) -> Result<u64> {
        let owner = ConfigOwner::Tenant(tenant.clone());
        let (mut versions, mut after) = (0, None);
        loop {
            let page = self.0.store().export(&owner, after, PAGE).await?;
            versions += page.entries.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(versions);
            }
        }
    }
}

#[async_trait]
impl TenantSurface for ConfigSurface {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn comes_last(&self) -> bool {
        true
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.versions(tenant).await?))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        Ok(SurfaceErasure::of(self.0.erase_tenant(tenant).await?))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.versions(tenant).await?))
    }

    /// Nothing is planted, as a history keeps what was ever written: what the tenant has anyway names it.
    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        let owner = ConfigOwner::Tenant(canary.tenant.clone());
        Ok(match self.0.store().export(&owner, None, 1).await?.entries.is_empty() {
            false => Planting::Planted,
            true => Planting::NotChecked(format!("tenant \"{}\" has no configuration", canary.tenant)),
        })
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let (owner, own) = (ConfigOwner::Tenant(canary.tenant.clone()), ConfigOwner::Tenant(attacker.clone()));
        let mut attempts = Vec::new();
        let judged = |name: &str, found: Result<ConfigPage>| match found {
            Ok(page) => {
                let is_other = |entry: &&ConfigEntry| {
                    let named = entry.value.as_ref().and_then(|value| value.get("tenant_id"));
                    entry.key.owner != own || named.is_some_and(|named| named.as_str() == Some(canary.tenant.as_str()))
                };
                let others = page.entries.iter().filter(is_other).count();
                let evidence = format!("{others} of {} values are the other tenant's", page.entries.len());
                Attack::of(name, others == 0, evidence)
            }
            Err(error) => Attack::refused(name, &error, canary),
        };
        attempts.push(judged("export", self.0.store().export(&own, None, PAGE).await));
        attempts.push(judged("list", self.0.store().list(ListConfig::new(own.clone()).with_limit(PAGE)).await));
        let next = self.0.store().export(&owner, None, 1).await?.next;
        attempts.push(match next {
            None => Attack::held("export:cursor", "the owner's history has one page"),
            Some(next) => match self.0.store().export(&own, Some(next), 1).await {
                Ok(_) => Attack::failed("export:cursor", "the other tenant's cursor is accepted"),
                Err(error) => Attack::refused("export:cursor", &error, canary),
            },
        });
        Ok(attempts)
    }

    fn not_carried(&self) -> Option<String> {
        None
    }

    async fn export(&self, export: &Export, after: Option<&str>) -> Result<ExportPage> {
        let owner = ConfigOwner::Tenant(export.tenant.clone());
        let page = self.0.store().export(&owner, after.map(PageCursor::from_text), PAGE).await?;
        let records = page.entries.into_iter().map(|entry| {
            let head = serde_json::to_value(&entry);
            let head = head.map_err(|e| Error::unexpected("a configuration cannot be written").with_source(e))?;
            Ok(BackupRecord::new(head, Vec::new()))
        });
        let records = records.collect::<Result<Vec<_>>>()?;
        let items = records.len() as u64;
        Ok(ExportPage::new(records, items, page.next.map(|next| next.as_str().to_owned())))
    }

    async fn import(&self, import: &Import, records: Vec<BackupRecord>) -> Result<()> {
        let entries = records.into_iter().map(|record| {
            serde_json::from_value(record.head).map_err(|e| {
                Error::of(ErrorCode::BackupDamaged, "a configuration of the backup cannot be read; use another backup")
                    .with_source(cogniverse_sdk::json_problem(&e))
            })
        });
        let entries = entries.collect::<Result<Vec<ConfigEntry>>>()?;
        if entries.is_empty() {
            return Ok(());
        }
        let exported = ConfigExport::new(import.from.clone(), Timestamp::UNIX_EPOCH, entries);
        self.0.import_tenant(exported, &import.tenant).await.map(drop)
    }
}
