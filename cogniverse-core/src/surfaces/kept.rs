//! The surfaces of texts that models made of videos.

use crate::ingestion::KeptFiles;
use async_trait::async_trait;
use cogniverse_sdk::{
    BackupRecord, Error, ErrorCode, Export, ExportPage, Import, Inventory, Remains, Result, SurfaceErasure, TenantId,
    TenantSurface,
    isolation::{Attack, Canary, Planting},
};

/// The number of files that are read together: of an hour each, some megabytes.
const FILES: usize = 16;

/// Texts that models made of videos and that are kept, so that nothing is paid for twice: transcripts, descriptions, texts
/// on screen.
#[derive(Debug, Clone)]
pub struct KeptSurface(KeptFiles);

impl KeptSurface {
    /// Creates the surface of a cache.
    #[must_use]
    pub fn new(kept: KeptFiles) -> Self {
        Self(kept)
    }
}

#[async_trait]
impl TenantSurface for KeptSurface {
    fn name(&self) -> &'static str {
        self.0.kind().as_str()
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let (files, bytes) = self.0.size_of(tenant).await?;
        Ok(Inventory::of(files).with_bytes(bytes))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let (files, _) = self.0.size_of(tenant).await?;
        self.0.erase(tenant).await?;
        Ok(SurfaceErasure::of(files))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.size_of(tenant).await?.0))
    }

    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        if let Some(word) = self.0.canary(&canary.tenant).await? {
            canary.may_replace(&word)?;
        }
        self.0.plant(&canary.tenant, &canary.word).await?;
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let own = self.0.canary(&canary.tenant).await?;
        if own.as_deref() != Some(&*canary.word) {
            return Ok(vec![Attack::failed(
                "read",
                "the owner does not find the canary either, so this shows nothing",
            )]);
        }
        Ok(vec![match self.0.canary(attacker).await {
            Ok(found) => Attack::of(
                "read",
                found.as_deref() != Some(&*canary.word),
                format!("{} {} by the same video", usize::from(found.is_some()), self.0.kind().as_str()),
            ),
            Err(error) => Attack::refused("read", &error, canary),
        }])
    }

    async fn remove_canary(&self, canary: &Canary) -> Result<u64> {
        match self.0.canary(&canary.tenant).await? {
            Some(word) if canary.may_replace(&word).is_ok() => {
                self.0.remove_canary(&canary.tenant).await.map(u64::from)
            }
            _ => Ok(0),
        }
    }

    fn not_carried(&self) -> Option<String> {
        None
    }

    async fn export(&self, export: &Export, after: Option<&str>) -> Result<ExportPage> {
        let names = self.0.names_after(&export.tenant, after.unwrap_or_default(), FILES).await?;
        let next = names.last().filter(|_| names.len() == FILES).cloned();
        let mut records = Vec::with_capacity(names.len());
        for name in names {
            // One that is gone meanwhile was replaced or removed, as a cache may be.
            if let Some(bytes) = self.0.read_file(&export.tenant, &name).await? {
                records.push(BackupRecord::new(serde_json::json!({ self.0.kind().one(): name }), bytes));
            }
        }
        let items = records.len() as u64;
        Ok(ExportPage::new(records, items, next))
    }

    async fn import(&self, import: &Import, records: Vec<BackupRecord>) -> Result<()> {
        for record in records {
            let one = self.0.kind().one();
            let name = record.head.get(one).and_then(|name| name.as_str()).ok_or_else(|| {
                Error::of(ErrorCode::BackupDamaged, format!("a {one} of the backup has no name; use another backup"))
            })?;
            self.0.write_file(&import.tenant, name, record.body).await?;
        }
        Ok(())
    }
}
