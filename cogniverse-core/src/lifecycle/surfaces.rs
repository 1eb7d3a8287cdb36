//! The surfaces of this crate: where documents, memories, transcripts, configuration and the rest are kept.

use crate::{
    ingestion::KeptTranscripts,
    schemas::{MEMORY_BASE, SchemaManager},
    tenants::Gate,
};
use async_trait::async_trait;
use cogniverse_foundation::{ConfigManager, Recorded, TelemetryConfig, telemetry::TelemetryManager};
use cogniverse_sdk::{
    ConfigOwner, DeployedSchema, Error, ErrorKind, Inventory, ProjectName, Remains, Result, Retention, SearchBackend,
    SurfaceErasure, TelemetryProvider, TenantId, TenantSurface, telemetry_provider::Settle,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The number of entries that are read together.
const PAGE: usize = 500;
/// The time that a running export of spans is waited for.
const EXPORT: Duration = Duration::from_secs(10);

/// The documents of a tenant in its schemas, or its memories.
#[derive(Debug, Clone)]
pub struct SchemaSurface {
    name: &'static str,
    backend: Arc<dyn SearchBackend>,
    schemas: SchemaManager,
    memories: bool,
}

impl SchemaSurface {
    /// Creates the surface `documents`: every schema but those of memories.
    #[must_use]
    pub fn documents(backend: Arc<dyn SearchBackend>, schemas: SchemaManager) -> Self {
        Self { name: "documents", backend, schemas, memories: false }
    }

    /// Creates the surface `memories`: the memories and their histories.
    #[must_use]
    pub fn memories(backend: Arc<dyn SearchBackend>, schemas: SchemaManager) -> Self {
        Self { name: "memories", backend, schemas, memories: true }
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
}

/// The transcripts that are kept so that no video is transcribed twice.
#[derive(Debug, Clone)]
pub struct TranscriptSurface(KeptTranscripts);

impl TranscriptSurface {
    /// Creates the surface of a cache of transcripts.
    #[must_use]
    pub fn new(kept: KeptTranscripts) -> Self {
        Self(kept)
    }
}

#[async_trait]
impl TenantSurface for TranscriptSurface {
    fn name(&self) -> &'static str {
        "transcripts"
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
}

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
}

/// The access that callers of other tenants have to a tenant.
#[derive(Debug, Clone)]
pub struct AccessSurface(Gate);

impl AccessSurface {
    /// Creates the surface of a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

#[async_trait]
impl TenantSurface for AccessSurface {
    fn name(&self) -> &'static str {
        "access"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.accesses().list(tenant).await?.len() as u64))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let shared = self.0.accesses().list(tenant).await?;
        for access in &shared {
            match self.0.accesses().remove(tenant, &access.caller).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(SurfaceErasure::of(shared.len() as u64))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.accesses().list(tenant).await?.len() as u64))
    }
}

/// The caches of this process that are registered with a gate.
#[derive(Debug, Clone)]
pub struct CacheSurface(Gate);

impl CacheSurface {
    /// Creates the surface of a gate's caches.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

#[async_trait]
impl TenantSurface for CacheSurface {
    fn name(&self) -> &'static str {
        "caches"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.cached(tenant)))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let held = self.0.cached(tenant);
        self.0.forget_cached(tenant);
        Ok(SurfaceErasure::of(held))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.cached(tenant)))
    }
}

/// The audit log, which outlives the tenant on purpose.
#[derive(Debug, Clone)]
pub struct AuditSurface(Gate);

impl AuditSurface {
    /// Creates the surface of a gate's audit log.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

#[async_trait]
impl TenantSurface for AuditSurface {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.audit().head(tenant).await?.sequence))
    }

    async fn erase(&self, _tenant: &TenantId) -> Result<SurfaceErasure> {
        let reason = "the audit log is kept as the proof of what was done; it holds no text of users";
        Ok(SurfaceErasure::of(0).with_retained(Retention::for_good(reason)))
    }

    async fn remains(&self, _tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(0))
    }
}

/// The spans of a tenant: those waiting in this process, and every project that its configuration ever named.
#[derive(Debug, Clone)]
pub struct TelemetrySurface {
    telemetry: TelemetryManager,
    config: ConfigManager,
    provider: Option<Arc<dyn TelemetryProvider>>,
    settle: Settle,
}

impl TelemetrySurface {
    /// Creates the surface of a pipeline. Without a provider, projects can neither be erased nor checked.
    #[must_use]
    pub fn new(
        telemetry: TelemetryManager,
        config: ConfigManager,
        provider: Option<Arc<dyn TelemetryProvider>>,
    ) -> Self {
        Self { telemetry, config, provider, settle: Settle::new() }
    }

    /// Sets how long an erased project must stay absent.
    #[must_use]
    pub fn with_settle(mut self, settle: Settle) -> Self {
        self.settle = settle;
        self
    }

    /// Returns every project that the tenant had, by its configuration's history.
    async fn projects(&self, tenant: &TenantId) -> Result<BTreeSet<ProjectName>> {
        let mut names = BTreeSet::from([TelemetryConfig::new().project_name(tenant)]);
        let mut before = None;
        loop {
            let page = self.config.history::<TelemetryConfig>(tenant, before, PAGE).await?;
            for entry in page.entries {
                match entry.recorded {
                    Recorded::Value(config) => drop(names.insert(config.project_name(tenant))),
                    Recorded::Unreadable(reason) => {
                        let message = format!(
                            "version {} of the telemetry configuration cannot be read, and with it the name of a project: {reason}",
                            entry.version
                        );
                        return Err(Error::new(ErrorKind::Corrupt, message));
                    }
                    _ => {}
                }
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        names.into_iter().map(|name| Ok(ProjectName::parse(name)?)).collect()
    }
}

#[async_trait]
impl TenantSurface for TelemetrySurface {
    fn name(&self) -> &'static str {
        "telemetry"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let Some(provider) = &self.provider else { return Ok(Inventory::of(0)) };
        let mut found = 0;
        for project in self.projects(tenant).await? {
            found += u64::from(provider.find_project(&project).await?.is_some());
        }
        Ok(Inventory::of(found))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let (telemetry, closed) = (self.telemetry.clone(), tenant.clone());
        cogniverse_foundation::worker::blocking(move || telemetry.close_tenant(&closed, EXPORT)).await?;
        let Some(provider) = &self.provider else { return Ok(SurfaceErasure::of(0)) };
        let mut spans = 0;
        for project in self.projects(tenant).await? {
            let receipt = provider.erase_project(&project, self.settle).await?;
            spans += receipt.spans_before;
        }
        Ok(SurfaceErasure::of(spans))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        let Some(provider) = &self.provider else {
            return Ok(match self.telemetry.is_enabled() {
                false => Remains::Items(0),
                true => Remains::Unknown(
                    "spans were exported and no provider of traces is set; erase the tenant's projects where they are"
                        .to_owned(),
                ),
            });
        };
        let mut left = 0;
        for project in self.projects(tenant).await? {
            left += u64::from(provider.find_project(&project).await?.is_some());
        }
        Ok(Remains::Items(left))
    }
}
