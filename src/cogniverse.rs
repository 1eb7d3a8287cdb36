//! The assembled library.

use cogniverse_agents::{
    ExperienceRecorder, OptimizationOptions, OptimizationOrchestrator, OptimizationParts, Route, SearchEvent,
    SearchRequest, SearchResponse, VideoSearchAgent,
};
use cogniverse_core::{
    backup::BackupService,
    catalogue::VideoCatalogue,
    doctor::Doctor,
    fairness::FairScheduler,
    guarded_backend::GuardedBackend,
    health::HealthService,
    ingestion::{IngestJob, IngestReport, IngestRequest, Ingestor},
    isolation::IsolationVerifier,
    lifecycle::TenantLifecycle,
    memory::{MemoryManager, MemoryService},
    metrics::ModalityMetricsTracker,
    models::ModelRegistry,
    quotas::{QuotaBackend, Quotas},
    schemas::SchemaManager,
    tenants::Gate,
};
use cogniverse_foundation::{ConfigManager, telemetry::TelemetryManager};
use cogniverse_sdk::{
    Caller, Error, ErrorCode, Feedback, ProfileName, Result, SearchBackend, SearchId, TelemetryProvider, TenantId,
};
use std::sync::Arc;

/// The assembled library: a value that a service keeps and clones. It has no global state.
///
/// Its calls are those of the embedding service itself, which may do everything. [`Cogniverse::for_caller`] is a handle
/// with the same methods for a user or service that may do less; every call of either is admitted by the gate.
/// [`Cogniverse::operator`] is the way to the parts behind it.
#[derive(Debug, Clone)]
pub struct Cogniverse {
    pub(crate) gate: Gate,
    pub(crate) agent: VideoSearchAgent,
    pub(crate) ingestor: Ingestor,
    pub(crate) catalogue: VideoCatalogue,
    pub(crate) memory: Option<MemoryService>,
    pub(crate) lifecycle: TenantLifecycle,
    pub(crate) schemas: SchemaManager,
    pub(crate) config: ConfigManager,
    pub(crate) parts: Arc<Parts>,
}

/// What all callers share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) backend: GuardedBackend,
    pub(crate) dyn_backend: Arc<dyn SearchBackend>,
    pub(crate) telemetry: TelemetryManager,
    pub(crate) models: ModelRegistry,
    pub(crate) quotas: Quotas,
    pub(crate) counted: QuotaBackend,
    pub(crate) scheduler: FairScheduler,
    pub(crate) doctor: Doctor,
    pub(crate) health: HealthService,
    pub(crate) isolation: IsolationVerifier,
    pub(crate) metrics: ModalityMetricsTracker,
    pub(crate) backups: BackupService,
    pub(crate) experience: ExperienceRecorder,
    pub(crate) traces: Option<Arc<dyn TelemetryProvider>>,
}

impl Cogniverse {
    /// Returns a handle with the same methods for a caller, who may do what the policy allows.
    ///
    /// ```
    /// use cogniverse::{Cogniverse, sdk::{Caller, CallerId, Role}, TenantId};
    ///
    /// fn for_anna(cogniverse: &Cogniverse, acme: TenantId) -> cogniverse::Result<Cogniverse> {
    ///     let anna = Caller::new(CallerId::parse("anna")?).with_tenant(acme).with_role(Role::Reader);
    ///     Ok(cogniverse.for_caller(anna))
    /// }
    /// ```
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Self {
        let gate = self.gate.for_caller(caller);
        let ingestor = self.ingestor.for_caller(gate.clone());
        Self {
            agent: self.agent.for_caller(gate.clone()),
            catalogue: self.catalogue.for_caller(ingestor.clone()),
            ingestor,
            memory: self.memory.as_ref().map(|memory| memory.for_caller(gate.clone())),
            lifecycle: self.lifecycle.for_caller(gate.clone()),
            schemas: self.schemas.for_caller(gate.caller()),
            config: self.config.for_caller(gate.caller()),
            parts: Arc::clone(&self.parts),
            gate,
        }
    }

    /// Stores what is not stored yet, such as the use of quotas and experiences: to be called before the process ends. Without it up to half
    /// a second of use is counted too high, and calls at one moment count for another 30 s.
    ///
    /// # Errors
    /// `Unavailable` where a store cannot be written.
    pub async fn close(&self) -> Result<()> {
        let experience = self.parts.experience.flush().await;
        self.parts.quotas.flush().await?;
        experience
    }

    /// Returns the backups of tenants: making, listing, verifying and restoring them.
    #[must_use]
    pub fn backups(&self) -> BackupService {
        self.parts.backups.for_caller(self.gate.clone())
    }

    /// Returns the search agent, which serves all tenants and profiles.
    #[must_use]
    pub fn agent(&self) -> &VideoSearchAgent {
        &self.agent
    }

    /// Returns the ingestor, which serves all tenants and profiles.
    #[must_use]
    pub fn ingestor(&self) -> &Ingestor {
        &self.ingestor
    }

    /// Returns the telemetry pipeline, which is disabled unless the builder was given one.
    #[must_use]
    pub fn telemetry(&self) -> &TelemetryManager {
        &self.parts.telemetry
    }

    /// Returns the service that opens and re-embeds tenants' memories.
    ///
    /// # Errors
    /// `FailedPrecondition` where the builder was given no text embedder.
    pub fn memories(&self) -> Result<&MemoryService> {
        self.memory.as_ref().ok_or_else(|| {
            Error::of(ErrorCode::TextEmbedderMissing, "memories need a text embedder; give the builder a text_embedder")
        })
    }

    /// Opens a tenant's memories, deploying their schema if needed.
    ///
    /// # Errors
    /// Those of [`Cogniverse::memories`] and [`MemoryService::open`].
    pub async fn memory(&self, tenant: &TenantId) -> Result<MemoryManager> {
        self.memories()?.open(tenant).await
    }

    /// Ingests a source of videos, as [`Ingestor::ingest`].
    ///
    /// # Errors
    /// Those of [`Ingestor::ingest`].
    pub async fn ingest(&self, request: IngestRequest) -> Result<IngestReport> {
        self.ingestor.ingest(request).await
    }

    /// Starts an ingest in the background, as [`Ingestor::start`].
    ///
    /// # Errors
    /// Those of [`Ingestor::start`].
    pub async fn start_ingest(&self, request: IngestRequest) -> Result<IngestJob> {
        self.ingestor.start(request).await
    }

    /// Returns the catalogue of tenants' videos, their thumbnails, and the jobs that ingest them.
    ///
    /// ```no_run
    /// # async fn list() -> cogniverse::Result<()> {
    /// use cogniverse::{Cogniverse, ProfileName, TenantId, catalogue::VideoQuery};
    ///
    /// let cogniverse = Cogniverse::builder().open().await?;
    /// let (tenant, profile) = (TenantId::parse("acme_corp")?, ProfileName::parse("video_text_minilm_mv_segment")?);
    /// for video in cogniverse.catalogue().videos(VideoQuery::new(tenant, profile)).await?.videos {
    ///     println!("{}: {} segments, {}", video.title, video.segments, video.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn catalogue(&self) -> &VideoCatalogue {
        &self.catalogue
    }

    /// Searches a tenant's videos, as [`VideoSearchAgent::search`].
    ///
    /// # Errors
    /// Those of [`VideoSearchAgent::search`].
    pub async fn search(&self, request: SearchRequest) -> Result<SearchResponse> {
        self.agent.search(request).await
    }

    /// Searches a tenant's videos and tells what is known as soon as it is, as [`VideoSearchAgent::search_streamed`].
    ///
    /// # Errors
    /// Those of [`VideoSearchAgent::search`].
    pub async fn search_streamed(
        &self,
        request: SearchRequest,
        events: impl for<'s> FnMut(SearchEvent<'s>) + Send,
    ) -> Result<SearchResponse> {
        self.agent.search_streamed(request, events).await
    }

    /// Records what a user did with the results of a routed search, as [`VideoSearchAgent::record_feedback`].
    ///
    /// # Errors
    /// Those of [`VideoSearchAgent::record_feedback`].
    pub async fn record_feedback(
        &self,
        tenant: &TenantId,
        search: &SearchId,
        feedback: Feedback,
        profile: Option<ProfileName>,
    ) -> Result<bool> {
        self.agent.record_feedback(tenant, search, feedback, profile).await
    }

    /// Returns the optimization of a tenant's routing, which does not run until it is started.
    ///
    /// ```no_run
    /// use cogniverse::{Cogniverse, TenantId, agents::OptimizationOptions};
    ///
    /// async fn optimize(cogniverse: &Cogniverse, acme: TenantId) -> cogniverse::Result<()> {
    ///     let optimizer = cogniverse.optimizer(acme, OptimizationOptions::new());
    ///     optimizer.start().await?;
    ///     println!("{}", optimizer.status().await?);
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn optimizer(&self, tenant: TenantId, options: OptimizationOptions) -> OptimizationOrchestrator {
        let parts = &self.parts;
        let (gate, config) = (self.gate.clone(), self.config.clone());
        let parts = OptimizationParts::new(gate, config, parts.experience.clone(), parts.models.clone())
            .with_traces(parts.traces.clone());
        OptimizationOrchestrator::new(parts, tenant, options)
    }

    /// Decides what a query of a tenant asks for and which of its profiles would be searched, as
    /// [`VideoSearchAgent::route`].
    ///
    /// # Errors
    /// Those of [`VideoSearchAgent::route`].
    pub async fn route(&self, tenant: &TenantId, query: &str) -> Result<Route> {
        self.agent.route(tenant, query).await
    }
}
