//! The surface of a tenant's folder.

use crate::backend::EmbeddedBackend;
use async_trait::async_trait;
use cogniverse_sdk::{Error, ErrorKind, Inventory, Remains, Result, SurfaceErasure, TenantId, TenantSurface};

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
}
