//! The surface of a tenant's folder.

use crate::backend::EmbeddedBackend;
use async_trait::async_trait;
use cogniverse_sdk::{
    Error, ErrorKind, Inventory, Remains, Result, SurfaceErasure, TenantId, TenantSurface,
    isolation::{Attack, Canary, Planting},
};

/// The folder of a tenant. Dropping its schemas removes it; a file that the catalog does not know is named, not removed.
#[derive(Debug, Clone)]
pub struct EmbeddedFiles(EmbeddedBackend);

impl EmbeddedFiles {
    /// Creates the surface of a backend.
    #[must_use]
    pub fn new(backend: EmbeddedBackend) -> Self {
        Self(backend)
    }
}

#[async_trait]
impl TenantSurface for EmbeddedFiles {
    fn name(&self) -> &'static str {
        "files"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let (files, bytes) = self.0.size_of(tenant).await?;
        Ok(Inventory::of(files).with_bytes(bytes))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        self.0.remove_empty_folder(tenant).await?;
        Ok(SurfaceErasure::of(0))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        let left = self.0.strays_of(tenant).await?;
        let Some(first) = left.first() else { return Ok(Remains::Items(0)) };
        let message = format!(
            "{} paths in the tenant's folder are unknown to the catalog, such as {}; move or remove them",
            left.len(),
            first.display()
        );
        Err(Error::new(ErrorKind::FailedPrecondition, message))
    }

    /// Nothing is planted: where the files lie is what is checked.
    async fn plant(&self, _canary: &Canary) -> Result<Planting> {
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let (owners, own) = (self.0.folder_of(&canary.tenant), self.0.folder_of(attacker));
        let apart = !owners.starts_with(&own) && !own.starts_with(&owners);
        let evidence = if apart { "each has a folder of its own" } else { "one folder lies in the other" };
        Ok(vec![Attack::of("folder", apart, evidence)])
    }

    fn not_carried(&self) -> Option<String> {
        Some("the files are those of documents and memories, which are carried as such".to_owned())
    }
}
