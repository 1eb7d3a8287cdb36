//! The builder of [`Cogniverse`](crate::Cogniverse).

mod seeing;

use crate::{
    cogniverse::{Cogniverse, Parts},
    sight::Sight,
};
use cogniverse_agents::{ExperienceRecorder, ExperienceSurface, Router, SearchObserver, VideoSearchAgent};
use cogniverse_core::{
    backup::{BackupService, BackupSurface},
    catalogue::VideoCatalogue,
    doctor::Doctor,
    fairness::{FairBackend, FairScheduler, FairnessConfig},
    guarded_backend::{GuardedBackend, LeakPolicy},
    health::{ConfigProbe, HealthService, TelemetryProbe},
    ingestion::{Ffmpeg, Ingestor, KeptTranscripts, Speech},
    isolation::{HiddenCanaries, IsolationVerifier},
    lifecycle::TenantLifecycle,
    memory::MemoryService,
    metrics::ModalityMetricsTracker,
    models::ModelRegistry,
    quotas::{OnQuotaStoreUnavailable, QuotaBackend, QuotaSurface, Quotas},
    schemas::{EmbeddedSchemaLoader, SchemaManager, WithShippedSchemas},
    surfaces::{
        AccessSurface, AuditSurface, CacheSurface, ConfigSurface, KeptSurface, SchemaSurface, TelemetrySurface,
    },
    tenants::{Gate, TenantCache, TenantRegistry},
};
use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig, EmbeddedFiles};
use cogniverse_foundation::{
    AllowedOrigins, ConfigManager, SqliteConfigStore, SqliteExperienceStore, SqliteQuotaStore, StoredAuditLog,
    telemetry::TelemetryManager, worker,
};
use cogniverse_sdk::{
    AccessPolicy, AuditLog, BackupKeys, Clock, ConfigStore, ExperienceStore, HealthProbe, LanguageModel,
    LanguageModelProvider, QueryEncoder, QuotaStore, Reranker, Result, SchemaLoader, SearchBackend, SegmentEncoder,
    SystemClock, TelemetryProvider, TenantId, TenantSurface, TextEmbedder, Transcriber, telemetry_provider::Settle,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// The default data folder.
const DATA_DIR: &str = "cogniverse-data";
/// The name of the configuration file in the data folder.
const CONFIG_FILE: &str = "config.sqlite";
/// The name of the file of quotas in the data folder.
const QUOTAS_FILE: &str = "quotas.sqlite";
/// The name of the file of experiences in the data folder.
const EXPERIENCE_FILE: &str = "experience.sqlite";
/// The file of experiences where tenants are registered elsewhere: generations of two registries say nothing of each other, and
/// what one has erased would be taken for the other's.
const REMOTE_EXPERIENCE_FILE: &str = "experience-remote.sqlite";
/// The number of calls at once that a backend other than the embedded one works on.
const REMOTE_CALLS: usize = 64;
/// The name of the folder of transcripts in the data folder.
const TRANSCRIPTS: &str = "transcripts";

/// A builder of [`Cogniverse`](crate::Cogniverse). Every part has a default; [`CogniverseBuilder::open`] validates
/// and connects them.
#[derive(Debug, Default)]
pub struct CogniverseBuilder {
    data_dir: Option<PathBuf>,
    embedded: Option<EmbeddedConfig>,
    backend: Option<Arc<dyn SearchBackend>>,
    config_store: Option<Arc<dyn ConfigStore>>,
    schemas: Option<WithShippedSchemas>,
    clock: Option<Arc<dyn Clock>>,
    query_encoders: BTreeMap<String, Arc<dyn QueryEncoder>>,
    rerankers: BTreeMap<String, Arc<dyn Reranker>>,
    search_observers: Vec<Arc<dyn SearchObserver>>,
    segment_encoders: BTreeMap<String, Arc<dyn SegmentEncoder>>,
    text_embedder: Option<Arc<dyn TextEmbedder>>,
    language_model: Option<Arc<dyn LanguageModel>>,
    model_providers: BTreeMap<String, Arc<dyn LanguageModelProvider>>,
    ffmpeg: Option<Ffmpeg>,
    speech: Option<Speech>,
    sight: Sight,
    telemetry: Option<TelemetryManager>,
    telemetry_provider: Option<Arc<dyn TelemetryProvider>>,
    erasure_settle: Settle,
    allowed_origins: AllowedOrigins,
    access_policy: Option<Arc<dyn AccessPolicy>>,
    audit_log: Option<Arc<dyn AuditLog>>,
    leak_policy: LeakPolicy,
    config_staleness: Option<Duration>,
    surfaces: Vec<Arc<dyn TenantSurface>>,
    quota_store: Option<Arc<dyn QuotaStore>>,
    experience_store: Option<Arc<dyn ExperienceStore>>,
    on_quota_store_unavailable: OnQuotaStoreUnavailable,
    fairness: Option<FairnessConfig>,
    health_probes: Vec<Arc<dyn HealthProbe>>,
    backup_keys: Option<Arc<dyn BackupKeys>>,
}

impl Cogniverse {
    /// Creates a builder with the defaults: the embedded backend, the shipped schemas, no encoder.
    #[must_use]
    pub fn builder() -> CogniverseBuilder {
        CogniverseBuilder::default()
    }
}

impl CogniverseBuilder {
    /// Sets the folder of the embedded backend and the configuration (default `cogniverse-data`).
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Sets the embedded backend's settings, including its folder.
    #[must_use]
    pub fn embedded(mut self, config: EmbeddedConfig) -> Self {
        self.embedded = Some(config);
        self
    }

    /// Replaces the embedded backend.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn SearchBackend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Replaces the configuration store, which is a SQLite file in the data folder by default.
    #[must_use]
    pub fn config_store(mut self, store: Arc<dyn ConfigStore>) -> Self {
        self.config_store = Some(store);
        self
    }

    /// Adds base schemas to the shipped ones. A schema with the name of a shipped one must be equal to it, or
    /// [`CogniverseBuilder::open`] refuses it.
    #[must_use]
    pub fn schema_loader(mut self, loader: Arc<dyn SchemaLoader>) -> Self {
        self.schemas = Some(WithShippedSchemas::new(loader));
        self
    }

    /// Adds base schemas that take precedence over shipped ones of the same name. A replacement of the memory schema
    /// `agent_memories` must provide what memory needs; errors name what is missing.
    #[must_use]
    pub fn schema_overrides(mut self, loader: Arc<dyn SchemaLoader>) -> Self {
        self.schemas = Some(WithShippedSchemas::new(loader).overriding());
        self
    }

    /// Sets the clock of the embedded backend, the configuration and its file, the tenants, ingestion and memory.
    /// Parts that are supplied ready-made (a backend, a store, telemetry) keep their own.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Registers an encoder of queries and segments under the name that profiles use.
    #[must_use]
    pub fn encoder<E: QueryEncoder + SegmentEncoder>(mut self, name: impl Into<String>, encoder: Arc<E>) -> Self {
        let name = name.into();
        self.query_encoders.insert(name.clone(), encoder.clone());
        self.segment_encoders.insert(name, encoder);
        self
    }

    /// Registers an encoder of queries only.
    #[must_use]
    pub fn query_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn QueryEncoder>) -> Self {
        self.query_encoders.insert(name.into(), encoder);
        self
    }

    /// Registers an encoder of segments only.
    #[must_use]
    pub fn segment_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn SegmentEncoder>) -> Self {
        self.segment_encoders.insert(name.into(), encoder);
        self
    }

    /// Registers a reranker under the name that requests and tenants' configurations use, beside `signals`,
    /// `language_model` and `none`.
    #[must_use]
    pub fn reranker(mut self, name: impl Into<String>, reranker: Arc<dyn Reranker>) -> Self {
        self.rerankers.insert(name.into(), reranker);
        self
    }

    /// Adds an observer that is told of every search once it has ended.
    #[must_use]
    pub fn search_observer(mut self, observer: Arc<dyn SearchObserver>) -> Self {
        self.search_observers.push(observer);
        self
    }

    /// Sets the text embedder of memories (default: none, which disables memory).
    #[must_use]
    pub fn text_embedder(mut self, embedder: Arc<dyn TextEmbedder>) -> Self {
        self.text_embedder = Some(embedder);
        self
    }

    /// Sets the language model for tenants that chose none, which extracts facts to remember, routes queries that the
    /// classifier is not sure of, reranks, and writes answers (default: none; texts are remembered verbatim).
    #[must_use]
    pub fn language_model(mut self, model: Arc<dyn LanguageModel>) -> Self {
        self.language_model = Some(model);
        self
    }

    /// Registers a provider of models that tenants may select in their configuration as `name/model`: `ollama` and
    /// `openai` for the adapters of these names, or any other. The default model of a configuration is
    /// `ollama/gemma3:4b`.
    #[must_use]
    pub fn language_model_provider(
        mut self,
        name: impl Into<String>,
        provider: Arc<dyn LanguageModelProvider>,
    ) -> Self {
        self.model_providers.insert(name.into(), provider);
        self
    }

    /// Allows an origin (`http://models.internal:8000`) as the `base_url` of tenants' models. None is allowed by
    /// default, as a tenant's address makes this service open a connection. Requests to it carry no credentials.
    ///
    /// # Errors
    /// `InvalidInput` for anything but a scheme, a host and an optional port.
    pub fn allow_tenant_origin(mut self, origin: &str) -> Result<Self> {
        self.allowed_origins = self.allowed_origins.allow(origin)?;
        Ok(self)
    }

    /// Sets the ffmpeg and ffprobe programs (default: those in the `PATH`).
    #[must_use]
    pub fn ffmpeg(mut self, ffmpeg: Ffmpeg) -> Self {
        self.ffmpeg = Some(ffmpeg);
        self
    }

    /// Sets the transcriber of videos without a transcript beside them (default: none). Transcripts are cached in the
    /// data folder, so that no video is transcribed twice.
    #[must_use]
    pub fn transcriber(self, transcriber: Arc<dyn Transcriber>) -> Self {
        self.speech(Speech::new(transcriber))
    }

    /// Sets the transcriber with its settings. Where they name no folder, transcripts are cached in the data folder.
    #[must_use]
    pub fn speech(mut self, speech: Speech) -> Self {
        self.speech = Some(speech);
        self
    }

    /// Sets the telemetry pipeline (default: none). A `TenantLayer` of `cogniverse-otlp` routes the library's own
    /// spans to it.
    #[must_use]
    pub fn telemetry(mut self, telemetry: TelemetryManager) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Sets where traces are kept, so that an erasure reaches them (default: none; the receipt then says that traces
    /// could not be checked, where any were exported).
    #[must_use]
    pub fn telemetry_provider(mut self, provider: Arc<dyn TelemetryProvider>) -> Self {
        self.telemetry_provider = Some(provider);
        self
    }

    /// Sets how long an erased project of traces must stay absent.
    #[must_use]
    pub fn erasure_settle(mut self, settle: Settle) -> Self {
        self.erasure_settle = settle;
        self
    }

    /// Sets the policy for named callers (default [`cogniverse_sdk::SameTenant`]).
    #[must_use]
    pub fn access_policy(mut self, policy: Arc<dyn AccessPolicy>) -> Self {
        self.access_policy = Some(policy);
        self
    }

    /// Replaces the audit log, which is kept beside the configuration by default.
    #[must_use]
    pub fn audit_log(mut self, log: Arc<dyn AuditLog>) -> Self {
        self.audit_log = Some(log);
        self
    }

    /// Sets the reaction to a hit or document of another tenant (default: fail the call).
    #[must_use]
    pub fn on_leak(mut self, policy: LeakPolicy) -> Self {
        self.leak_policy = policy;
        self
    }

    /// Sets how long a tenant's configuration is used where the store cannot tell cheaply whether it changed (default
    /// 1 s). The default store can.
    #[must_use]
    pub fn config_staleness(mut self, staleness: Duration) -> Self {
        self.config_staleness = Some(staleness);
        self
    }

    /// Adds a place of one's own where something of tenants is kept, so that an erasure reaches it.
    #[must_use]
    pub fn surface(mut self, surface: Arc<dyn TenantSurface>) -> Self {
        self.surfaces.push(surface);
        self
    }

    /// Replaces the store of the use of quotas, which is a SQLite file in the data folder by default. Processes that serve
    /// the same tenants need one store.
    #[must_use]
    pub fn quota_store(mut self, store: Arc<dyn QuotaStore>) -> Self {
        self.quota_store = Some(store);
        self
    }

    /// Replaces the store of experiences, which is a SQLite file in the data folder by default. Processes that serve the same
    /// tenants need one store.
    #[must_use]
    pub fn experience_store(mut self, store: Arc<dyn ExperienceStore>) -> Self {
        self.experience_store = Some(store);
        self
    }

    /// Sets the behaviour while the store of quotas cannot be used (default: calls are refused).
    #[must_use]
    pub fn on_quota_store_unavailable(mut self, behaviour: OnQuotaStoreUnavailable) -> Self {
        self.on_quota_store_unavailable = behaviour;
        self
    }

    /// Sets the bounds of the scheduler in front of the backend (default: as many calls at once as this machine has
    /// cores, and at least 2, on the embedded backend; 64 on others).
    #[must_use]
    pub fn fairness(mut self, config: FairnessConfig) -> Self {
        self.fairness = Some(config);
        self
    }

    /// Adds a probe of a part of one's own, such as a model server or `VespaBackend::probes`, to the health of the service. The
    /// embedded backend and the configuration have theirs.
    #[must_use]
    pub fn health_probe(mut self, probe: Arc<dyn HealthProbe>) -> Self {
        self.health_probes.push(probe);
        self
    }

    /// Sets the keys with which tenants' backups are encrypted, and which an erasure destroys (default: none; backups are in
    /// plain).
    #[must_use]
    pub fn backup_keys(mut self, keys: Arc<dyn BackupKeys>) -> Self {
        self.backup_keys = Some(keys);
        self
    }

    /// Opens the stores and connects the parts.
    ///
    /// # Errors
    /// `Conflict` where another process holds the data folder, or where a schema of [`Self::schema_loader`] differs
    /// from the shipped one of its name; `Unavailable` where the folder cannot be used; `FailedPrecondition` outside
    /// a Tokio runtime.
    pub async fn open(self) -> Result<Cogniverse> {
        worker::runtime().map_err(|e| e.with_operation("open"))?;
        if let Some(schemas) = &self.schemas {
            schemas.check().await.map_err(|e| e.with_operation("open"))?;
        }
        let folder = self
            .data_dir
            .or_else(|| self.embedded.as_ref().map(|config| config.data_dir.clone()))
            .unwrap_or_else(|| DATA_DIR.into());
        let clock: Arc<dyn Clock> = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let embedded = match (&self.backend, self.embedded) {
            (Some(_), _) => None,
            (None, config) => {
                let config = config.unwrap_or_else(|| EmbeddedConfig::new(&folder));
                Some(EmbeddedBackend::open_with_clock(config, Arc::clone(&clock)).await?)
            }
        };
        let experience_file = match &self.config_store {
            Some(_) => REMOTE_EXPERIENCE_FILE,
            None => EXPERIENCE_FILE,
        };
        let config_store = match self.config_store {
            Some(store) => store,
            None => Arc::new(SqliteConfigStore::open(folder.join(CONFIG_FILE)).await?.with_clock(Arc::clone(&clock))),
        };
        let audit: Arc<dyn AuditLog> = match self.audit_log {
            Some(audit) => audit,
            None => Arc::new(StoredAuditLog::new(Arc::clone(&config_store), Arc::clone(&clock))),
        };
        let config = ConfigManager::new(Arc::clone(&config_store))
            .with_clock(Arc::clone(&clock))
            .with_tenants(TenantRegistry::new(config_store).directory())
            .with_allowed_origins(self.allowed_origins)
            .with_audit(Arc::clone(&audit));
        let telemetry = self.telemetry.unwrap_or_else(TelemetryManager::disabled);
        let quota_store: Arc<dyn QuotaStore> = match self.quota_store {
            Some(store) => store,
            None => Arc::new(SqliteQuotaStore::open(folder.join(QUOTAS_FILE)).await?),
        };
        let experience_store: Arc<dyn ExperienceStore> = match self.experience_store {
            Some(store) => store,
            None => Arc::new(SqliteExperienceStore::open(folder.join(experience_file)).await?),
        };
        let quotas = Quotas::new(quota_store, config.clone(), Arc::clone(&clock))
            .with_on_unavailable(self.on_quota_store_unavailable);
        let scheduler = FairScheduler::new(self.fairness.unwrap_or_else(|| match &embedded {
            Some(_) => FairnessConfig::new(std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))),
            None => FairnessConfig::new(REMOTE_CALLS),
        }));
        let mut gate = Gate::builder(config.clone(), Arc::clone(&audit), Arc::clone(&clock))
            .with_telemetry(telemetry.clone())
            .with_quotas(quotas.clone())
            .with_scheduler(scheduler.clone());
        if let Some(policy) = self.access_policy {
            gate = gate.with_policy(policy);
        }
        if let Some(staleness) = self.config_staleness {
            gate = gate.with_staleness(staleness);
        }
        let gate = gate.build();
        let mut files: Vec<Arc<dyn TenantSurface>> = Vec::new();
        let mut probes: Vec<Arc<dyn HealthProbe>> = vec![Arc::new(ConfigProbe::new(Arc::clone(config.store())))];
        if telemetry.is_enabled() {
            probes.push(Arc::new(TelemetryProbe::new(telemetry.clone())));
        }
        let (backend, is_exclusive): (Arc<dyn SearchBackend>, bool) = match (self.backend, embedded) {
            (Some(backend), _) => (backend, false),
            (None, Some(embedded)) => {
                gate.register_cache(Arc::new(EmbeddedCaches(embedded.clone())));
                files.push(Arc::new(EmbeddedFiles::new(embedded.clone())));
                probes.push(Arc::new(embedded.clone()));
                (Arc::new(embedded), true)
            }
            (None, None) => return Err(cogniverse_sdk::Error::unexpected("no backend was opened")),
        };
        let behind: Arc<dyn SearchBackend> = Arc::new(FairBackend::new(Arc::clone(&backend), scheduler.clone()));
        let backend = FairBackend::new(Arc::new(HiddenCanaries::new(backend)), scheduler.clone());
        let counted = QuotaBackend::new(Arc::new(backend), quotas.clone());
        let backend =
            GuardedBackend::new(Arc::new(counted.clone()), Arc::clone(&audit)).with_leak_policy(self.leak_policy);
        let dyn_backend = backend.to_dyn();
        let loader: Arc<dyn SchemaLoader> = match self.schemas {
            Some(schemas) => Arc::new(schemas),
            None => Arc::new(EmbeddedSchemaLoader),
        };
        let schemas =
            SchemaManager::new(loader, Arc::clone(&dyn_backend)).with_audit(audit).with_config(config.clone());
        let models = ModelRegistry::new(config.clone(), self.model_providers, self.language_model);
        gate.register_cache(Arc::new(models.clone()));
        let memory = match self.text_embedder {
            None => None,
            Some(embedder) => Some(
                MemoryService::new(&backend, schemas.clone(), gate.clone(), embedder)?
                    .with_clock(Arc::clone(&clock))
                    .with_telemetry(telemetry.clone())
                    .with_models(models.clone()),
            ),
        };
        let experience = ExperienceRecorder::new(experience_store, gate.registry().clone());
        let metrics = ModalityMetricsTracker::new(Arc::clone(&clock));
        let mut agent = VideoSearchAgent::builder(backend.clone(), schemas.clone(), gate.clone())
            .with_telemetry(telemetry.clone())
            .with_metrics(metrics.clone())
            .with_models(models.clone())
            .with_experience(experience.clone());
        for (name, reranker) in self.rerankers {
            agent = agent.with_reranker(name, reranker);
        }
        for observer in self.search_observers {
            agent = agent.with_observer(observer);
        }
        if let Some(memory) = &memory {
            agent = agent.with_memory(memory.clone());
        }
        let queries = self.query_encoders.iter().map(|(name, encoder)| (name.clone(), encoder.info().clone()));
        let segments = self.segment_encoders.iter().map(|(name, encoder)| (name.clone(), encoder.info().clone()));
        let known_encoders: Vec<_> = queries.chain(segments).collect();
        for (name, encoder) in self.query_encoders {
            agent = agent.with_query_encoder(name, encoder);
        }
        for (name, encoder) in &self.sight.pictures {
            agent = agent.with_picture_encoder(name, Arc::clone(encoder));
        }
        let mut ingestor = Ingestor::new(&backend, schemas.clone(), gate.clone())
            .with_segment_encoders(self.segment_encoders)
            .with_quotas(quotas.clone())
            .with_clock(clock)
            .with_ffmpeg(self.ffmpeg.unwrap_or_default());
        let mut kept = KeptTranscripts::new(folder.join(TRANSCRIPTS));
        if let Some(mut speech) = self.speech {
            kept = speech.kept.get_or_insert(kept).clone();
            ingestor = ingestor.with_speech(speech);
        }
        let (ingestor, seen) = self.sight.wire(ingestor, &folder);
        let provider = self.telemetry_provider.clone();
        let traces = TelemetrySurface::new(telemetry.clone(), config.clone(), self.telemetry_provider)
            .with_settle(self.erasure_settle);
        let mut surfaces: Vec<Arc<dyn TenantSurface>> = vec![
            Arc::new(traces),
            Arc::new(
                SchemaSurface::documents(Arc::clone(&dyn_backend), schemas.clone())
                    .with_backend_behind(Arc::clone(&behind)),
            ),
            Arc::new(SchemaSurface::memories(Arc::clone(&dyn_backend), schemas.clone()).with_backend_behind(behind)),
            Arc::new(KeptSurface::new(kept.files().clone())),
        ];
        surfaces.extend(seen);
        surfaces.extend(files);
        surfaces.extend(self.surfaces);
        surfaces.push(Arc::new(ExperienceSurface::new(experience.clone())));
        surfaces.push(Arc::new(BackupSurface::new(self.backup_keys.clone(), gate.clone())));
        surfaces.push(Arc::new(QuotaSurface::new(quotas.clone())));
        surfaces.push(Arc::new(AccessSurface::new(gate.clone())));
        surfaces.push(Arc::new(CacheSurface::new(gate.clone())));
        surfaces.push(Arc::new(AuditSurface::new(gate.clone())));
        surfaces.push(Arc::new(ConfigSurface::new(config.clone())));
        let health = HealthService::new(gate.clone(), backend.clone(), scheduler.clone())
            .with_probes(probes.into_iter().chain(self.health_probes));
        let doctor = Doctor::new(gate.clone(), config.clone(), schemas.clone(), counted.clone())
            .with_surfaces(surfaces.clone())
            .with_encoders(known_encoders);
        let mut isolation = IsolationVerifier::new(gate.clone(), surfaces.clone());
        let mut lifecycle = TenantLifecycle::new(gate.clone(), config.clone(), schemas.clone())
            .with_telemetry(telemetry.clone())
            .with_surfaces(surfaces);
        if let Some(memory) = &memory {
            lifecycle = lifecycle.with_memory(memory.clone());
        }
        if is_exclusive {
            // Whoever erased a tenant of this folder before held its lock, and is gone.
            lifecycle = lifecycle.with_lease(Duration::ZERO);
            isolation = isolation.with_lease(Duration::ZERO);
        }
        let mut backups = BackupService::new(gate.clone(), Arc::clone(&dyn_backend), lifecycle.clone());
        if let Some(keys) = self.backup_keys {
            backups = backups.with_keys(keys);
        }
        if is_exclusive {
            backups = backups.with_lease(Duration::ZERO);
        }
        // The first search without a profile does not wait for it, and opening does not either.
        Router::warm_up();
        let parts = Arc::new(Parts {
            backups,
            backend,
            dyn_backend,
            telemetry,
            models,
            quotas,
            counted,
            scheduler,
            doctor,
            health,
            isolation,
            metrics,
            experience,
            traces: provider,
        });
        let catalogue = VideoCatalogue::new(ingestor.clone());
        Ok(Cogniverse { gate, agent: agent.build(), ingestor, catalogue, memory, lifecycle, schemas, config, parts })
    }
}

/// Closes the embedded backend's files of a tenant that stops being served.
#[derive(Debug)]
struct EmbeddedCaches(EmbeddedBackend);

impl TenantCache for EmbeddedCaches {
    fn forget_tenant(&self, tenant: &TenantId) {
        let in_use = self.0.close_tenant(tenant);
        if in_use > 0 {
            tracing::debug!(tenant.id = %tenant, in_use, "calls under way keep their files until they end");
        }
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.0.open_schemas_of(tenant) as u64
    }
}
