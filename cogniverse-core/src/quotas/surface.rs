//! The surface of the use of quotas.

use super::Quotas;
use async_trait::async_trait;
use cogniverse_sdk::{Inventory, Remains, Result, SurfaceErasure, TenantId, TenantSurface};

/// The stored use of a tenant's quotas.
#[derive(Debug, Clone)]
pub struct QuotaSurface(Quotas);

impl QuotaSurface {
    /// Creates the surface.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self(quotas)
    }
}

#[async_trait]
impl TenantSurface for QuotaSurface {
    fn name(&self) -> &'static str {
        "quotas"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.store().count(tenant).await?))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        self.0.close(tenant);
        Ok(SurfaceErasure::of(self.0.store().erase_tenant(tenant).await?))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.store().count(tenant).await?))
    }
}
