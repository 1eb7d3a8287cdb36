//! Everything wired together.

use crate::builder::CogniverseBuilder;
use cogniverse_agents::{SearchRequest, SearchResponse, VideoSearchAgent};
use cogniverse_core::{
    ingestion::{IngestReport, IngestRequest, Ingestor},
    memory::{MemoryManager, MemoryService},
    schemas::SchemaManager,
    tenants::{TenantRecord, TenantRegistry},
};
use cogniverse_foundation::{ConfigManager, Template, telemetry::TelemetryManager};
use cogniverse_sdk::{Error, ErrorKind, ProfileName, Result, SearchBackend, TenantId, schema_store::DeployReport};
use std::sync::Arc;

/// Everything wired together: one value that a service keeps and clones. There is nothing global behind it.
#[derive(Debug, Clone)]
pub struct Cogniverse {
    pub(crate) agent: VideoSearchAgent,
    pub(crate) ingestor: Ingestor,
    pub(crate) schemas: SchemaManager,
    pub(crate) tenants: TenantRegistry,
    pub(crate) config: ConfigManager,
    pub(crate) backend: Arc<dyn SearchBackend>,
    pub(crate) telemetry: TelemetryManager,
    pub(crate) memory: Option<MemoryService>,
}

impl Cogniverse {
    /// Begins with the defaults: the embedded backend, the shipped schemas, no encoder.
    #[must_use]
    pub fn builder() -> CogniverseBuilder {
        CogniverseBuilder::default()
    }

    /// The agent, for all tenants and profiles.
    #[must_use]
    pub fn agent(&self) -> &VideoSearchAgent {
        &self.agent
    }

    /// The ingestor, for all tenants and profiles.
    #[must_use]
    pub fn ingestor(&self) -> &Ingestor {
        &self.ingestor
    }

    /// Tenants' schemas.
    #[must_use]
    pub fn schemas(&self) -> &SchemaManager {
        &self.schemas
    }

    /// Who exists, and whether it is served.
    #[must_use]
    pub fn tenants(&self) -> &TenantRegistry {
        &self.tenants
    }

    /// Tenants' configuration.
    #[must_use]
    pub fn config(&self) -> &ConfigManager {
        &self.config
    }

    /// The backend, for documents as they are.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn SearchBackend> {
        &self.backend
    }

    /// Spans of tenants; off unless the builder was given a pipeline.
    #[must_use]
    pub fn telemetry(&self) -> &TelemetryManager {
        &self.telemetry
    }

    /// Opens tenants' memories, and embeds them anew for another model.
    ///
    /// # Errors
    /// `FailedPrecondition` where the builder was given no text embedder.
    pub fn memories(&self) -> Result<&MemoryService> {
        self.memory.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::FailedPrecondition,
                "there is no model to embed memories by; give the builder a text_embedder",
            )
        })
    }

    /// A tenant's memory; its schema is deployed where it is not.
    ///
    /// # Errors
    /// As [`Cogniverse::memories`] and [`MemoryService::open`].
    pub async fn memory(&self, tenant: &TenantId) -> Result<MemoryManager> {
        self.memories()?.open(tenant).await
    }

    /// As [`TenantRegistry::create_from_template`], without overrides.
    ///
    /// # Errors
    /// `Conflict` where the tenant exists.
    pub async fn create_tenant(&self, tenant: &TenantId, template: Template) -> Result<TenantRecord> {
        self.tenants.create_from_template(&self.config, tenant, template, serde_json::Map::new()).await
    }

    /// Deploys the schema of a profile for a tenant.
    ///
    /// # Errors
    /// As [`ConfigManager::get_profile`] and [`SchemaManager::deploy`]; `FailedPrecondition` for a suspended tenant.
    pub async fn deploy(&self, tenant: &TenantId, profile: &ProfileName) -> Result<DeployReport> {
        self.tenants.require_active(tenant).await?;
        let profile = self.config.get_profile(tenant, profile).await?;
        self.schemas.deploy(tenant, &profile.config.value.schema).await
    }

    /// As [`Ingestor::ingest`].
    ///
    /// # Errors
    /// As there.
    pub async fn ingest(&self, request: IngestRequest) -> Result<IngestReport> {
        self.ingestor.ingest(request).await
    }

    /// As [`VideoSearchAgent::search`].
    ///
    /// # Errors
    /// As there.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchResponse> {
        self.agent.search(request).await
    }
}
