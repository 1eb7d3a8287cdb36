//! The surfaces of what a tenant's schemas hold: documents, and memories with their histories.

use crate::{
    memory,
    schemas::{MEMORY_BASE, SchemaManager},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    DeployedSchema, ErrorKind, Inventory, Remains, Result, SearchBackend, SurfaceErasure, TenantId, TenantSchema,
    TenantSurface,
    document_store::DeleteRequest,
    isolation::{self, Attack, Canary, Planting},
};
use std::sync::Arc;

/// The documents of a tenant in its schemas, or its memories.
#[derive(Debug, Clone)]
pub struct SchemaSurface {
    name: &'static str,
    backend: Arc<dyn SearchBackend>,
    schemas: SchemaManager,
    memories: bool,
    behind: Option<Arc<dyn SearchBackend>>,
}

impl SchemaSurface {
    /// Creates the surface `documents`: every schema but those of memories.
    #[must_use]
    pub fn documents(backend: Arc<dyn SearchBackend>, schemas: SchemaManager) -> Self {
        Self { name: "documents", backend, schemas, memories: false, behind: None }
    }

    /// Creates the surface `memories`: the memories and their histories.
    #[must_use]
    pub fn memories(backend: Arc<dyn SearchBackend>, schemas: SchemaManager) -> Self {
        Self { name: "memories", backend, schemas, memories: true, behind: None }
    }

    /// Sets the backend behind guard, quotas and hidden canaries, on which isolation is checked: what those would hide must be
    /// seen.
    #[must_use]
    pub fn with_backend_behind(mut self, behind: Arc<dyn SearchBackend>) -> Self {
        self.behind = Some(behind);
        self
    }

    async fn deployed(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        let all = self.schemas.list(tenant).await?;
        let of_memories = |base: &str| base == MEMORY_BASE || base == crate::memory::STAGE_BASE;
        Ok(all.into_iter().filter(|deployed| of_memories(deployed.schema.base().as_str()) == self.memories).collect())
    }
}

#[async_trait]
impl TenantSurface for SchemaSurface {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let mut items = 0;
        for deployed in self.deployed(tenant).await? {
            items += self.backend.count(&deployed.schema, None).await?;
        }
        Ok(Inventory::of(items))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let (mut erased, mut dropped) = (0, false);
        for deployed in self.deployed(tenant).await? {
            // Of a schema that cannot be read the documents are not counted, and it goes all the same.
            let held = self.backend.count(&deployed.schema, None).await;
            match self.schemas.drop_schema(tenant, deployed.schema.base()).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            (erased, dropped) = (erased + held.unwrap_or_default(), true);
        }
        self.backend.finish_drops(tenant).await?;
        let kept = self.backend.kept_after_drop().filter(|_| dropped);
        Ok(match kept {
            Some(kept) => SurfaceErasure::of(erased).with_retained(kept),
            None => SurfaceErasure::of(erased),
        })
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.deployed(tenant).await?.len() as u64))
    }

    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        let Some(behind) = &self.behind else {
            return Ok(Planting::NotChecked("the surface was given no backend behind the guard".to_owned()));
        };
        let deployed = self.deployed(&canary.tenant).await?;
        if deployed.is_empty() {
            return Ok(Planting::NotChecked(format!("tenant \"{}\" has no {}", canary.tenant, self.name)));
        }
        for deployed in &deployed {
            isolation::plant_documents(&**behind, deployed, canary).await?;
        }
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let Some(behind) = &self.behind else { return Ok(Vec::new()) };
        let mut attempts = Vec::new();
        for planted in self.deployed(&canary.tenant).await? {
            let base = planted.schema.base();
            let own = TenantSchema::new(attacker, base);
            let found = isolation::attack_documents(&**behind, &planted, &own, canary).await?;
            attempts.extend(found.into_iter().map(|attempt| attempt.within(base.as_str())));
            if base.as_str() == MEMORY_BASE {
                let found = memory::attack_memories(behind, &planted, &own, canary).await?;
                attempts.extend(found.into_iter().map(|attempt| attempt.within(base.as_str())));
            }
        }
        Ok(attempts)
    }

    async fn remove_canaries(&self, tenant: &TenantId) -> Result<u64> {
        let Some(behind) = &self.behind else { return Ok(0) };
        let mut removed = 0;
        for deployed in self.deployed(tenant).await? {
            removed += isolation::remove_documents(&**behind, &deployed.schema).await?;
            if deployed.schema.base().as_str() == MEMORY_BASE {
                let left = DeleteRequest::ids(deployed.schema, vec![memory::canary_id(tenant)?]);
                removed += behind.delete(left).await?;
            }
        }
        Ok(removed)
    }
}
