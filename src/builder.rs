//! The wiring.

use crate::cogniverse::Cogniverse;
use cogniverse_agents::VideoSearchAgent;
use cogniverse_core::{
    ingestion::{Ffmpeg, Ingestor, Speech},
    memory::MemoryService,
    schemas::{EmbeddedSchemaLoader, SchemaManager},
    tenants::{TenantCache, TenantRegistry},
};
use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig};
use cogniverse_foundation::{
    ConfigManager, SqliteConfigStore,
    telemetry::{TelemetryManager, TenantTelemetry},
};
use cogniverse_sdk::{
    Clock, ConfigStore, LanguageModel, QueryEncoder, Result, SchemaLoader, SearchBackend, SegmentEncoder, SystemClock,
    TenantId, TextEmbedder, Transcriber,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The folder where nothing else is said.
const DATA_DIR: &str = "cogniverse-data";
/// The configuration's file in the data folder.
const CONFIG_FILE: &str = "config.sqlite";
/// The folder of transcripts in the data folder.
const TRANSCRIPTS: &str = "transcripts";

/// Chooses the parts. Every part has a default; [`CogniverseBuilder::open`] checks and connects them.
#[derive(Debug, Default)]
pub struct CogniverseBuilder {
    data_dir: Option<PathBuf>,
    embedded: Option<EmbeddedConfig>,
    backend: Option<Arc<dyn SearchBackend>>,
    config_store: Option<Arc<dyn ConfigStore>>,
    schema_loader: Option<Arc<dyn SchemaLoader>>,
    clock: Option<Arc<dyn Clock>>,
    query_encoders: BTreeMap<String, Arc<dyn QueryEncoder>>,
    segment_encoders: BTreeMap<String, Arc<dyn SegmentEncoder>>,
    text_embedder: Option<Arc<dyn TextEmbedder>>,
    language_model: Option<Arc<dyn LanguageModel>>,
    ffmpeg: Option<Ffmpeg>,
    speech: Option<Speech>,
    telemetry: Option<TelemetryManager>,
}

impl CogniverseBuilder {
    /// The folder of the embedded backend and the configuration (default: `cogniverse-data`).
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Other settings of the embedded backend, its folder included.
    #[must_use]
    pub fn embedded(mut self, config: EmbeddedConfig) -> Self {
        self.embedded = Some(config);
        self
    }

    /// Another backend in place of the embedded one.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn SearchBackend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Another configuration store in place of a SQLite file in the data folder.
    #[must_use]
    pub fn config_store(mut self, store: Arc<dyn ConfigStore>) -> Self {
        self.config_store = Some(store);
        self
    }

    /// Other base schemas in place of the shipped ones.
    #[must_use]
    pub fn schema_loader(mut self, loader: Arc<dyn SchemaLoader>) -> Self {
        self.schema_loader = Some(loader);
        self
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A model for queries and segments, by the name that profiles use.
    #[must_use]
    pub fn encoder<E: QueryEncoder + SegmentEncoder>(mut self, name: impl Into<String>, encoder: Arc<E>) -> Self {
        let name = name.into();
        self.query_encoders.insert(name.clone(), encoder.clone());
        self.segment_encoders.insert(name, encoder);
        self
    }

    /// A model for queries alone.
    #[must_use]
    pub fn query_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn QueryEncoder>) -> Self {
        self.query_encoders.insert(name.into(), encoder);
        self
    }

    /// A model for segments alone.
    #[must_use]
    pub fn segment_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn SegmentEncoder>) -> Self {
        self.segment_encoders.insert(name.into(), encoder);
        self
    }

    /// A model that makes one vector of a text: what memories are embedded by (default: none, and no memory).
    #[must_use]
    pub fn text_embedder(mut self, embedder: Arc<dyn TextEmbedder>) -> Self {
        self.text_embedder = Some(embedder);
        self
    }

    /// A model that answers messages: what facts to remember are drawn by (default: none; texts are remembered as they are).
    #[must_use]
    pub fn language_model(mut self, model: Arc<dyn LanguageModel>) -> Self {
        self.language_model = Some(model);
        self
    }

    /// Other programs than the path's ffmpeg and ffprobe.
    #[must_use]
    pub fn ffmpeg(mut self, ffmpeg: Ffmpeg) -> Self {
        self.ffmpeg = Some(ffmpeg);
        self
    }

    /// Who writes down what is said in videos that have no transcript beside them (default: nobody). Transcripts are kept in
    /// the data folder, so that no video is transcribed twice.
    #[must_use]
    pub fn transcriber(self, transcriber: Arc<dyn Transcriber>) -> Self {
        self.speech(Speech::new(transcriber))
    }

    /// As [`Self::transcriber`], with other settings. Where they name no folder, transcripts are kept in the data folder.
    #[must_use]
    pub fn speech(mut self, speech: Speech) -> Self {
        self.speech = Some(speech);
        self
    }

    /// Where spans go (default: nowhere). A `TenantLayer` of `cogniverse-otlp` brings the library's own spans there.
    #[must_use]
    pub fn telemetry(mut self, telemetry: TelemetryManager) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Opens the stores and connects the parts.
    ///
    /// # Errors
    /// Where the data folder cannot be used, or another process holds it.
    pub async fn open(self) -> Result<Cogniverse> {
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
        let config_store = match self.config_store {
            Some(store) => store,
            None => Arc::new(SqliteConfigStore::open(folder.join(CONFIG_FILE)).await?),
        };
        let tenants = TenantRegistry::new(Arc::clone(&config_store), Arc::clone(&clock));
        let backend: Arc<dyn SearchBackend> = match (self.backend, embedded) {
            (Some(backend), _) => backend,
            (None, Some(embedded)) => {
                tenants.register_cache(Arc::new(EmbeddedCaches(embedded.clone())));
                Arc::new(embedded)
            }
            (None, None) => return Err(cogniverse_sdk::Error::unexpected("no backend was opened")),
        };
        let loader = self.schema_loader.unwrap_or_else(|| Arc::new(EmbeddedSchemaLoader));
        let config = ConfigManager::new(config_store);
        let schemas = SchemaManager::new(loader, Arc::clone(&backend));
        let telemetry = TenantTelemetry::new(self.telemetry.unwrap_or_else(TelemetryManager::disabled), config.clone());
        tenants.register_cache(Arc::new(TelemetryCaches(telemetry.clone())));
        let mut agent =
            VideoSearchAgent::builder(Arc::clone(&backend), config.clone(), schemas.clone(), tenants.clone())
                .with_telemetry(telemetry.clone());
        let memory = match self.text_embedder {
            None => None,
            Some(embedder) => {
                let service = MemoryService::new(Arc::clone(&backend), schemas.clone(), tenants.clone(), embedder)?
                    .with_clock(clock)
                    .with_telemetry(telemetry.clone());
                Some(match self.language_model {
                    Some(model) => service.with_language_model(model),
                    None => service,
                })
            }
        };
        if let Some(memory) = &memory {
            agent = agent.with_memory(memory.clone());
        }
        for (name, encoder) in self.query_encoders {
            agent = agent.with_query_encoder(name, encoder);
        }
        let mut ingestor = Ingestor::new(Arc::clone(&backend), config.clone(), schemas.clone(), tenants.clone())
            .with_segment_encoders(self.segment_encoders)
            .with_ffmpeg(self.ffmpeg.unwrap_or_default())
            .with_telemetry(telemetry.clone());
        if let Some(speech) = self.speech {
            let kept = speech.kept.is_some();
            ingestor = ingestor.with_speech(if kept { speech } else { speech.kept_in(folder.join(TRANSCRIPTS)) });
        }
        let telemetry = telemetry.manager().clone();
        Ok(Cogniverse { agent: agent.build(), ingestor, schemas, tenants, config, backend, telemetry, memory })
    }
}

/// The embedded backend's open files and vectors, let go with their tenant.
#[derive(Debug)]
struct EmbeddedCaches(EmbeddedBackend);

impl TenantCache for EmbeddedCaches {
    fn forget_tenant(&self, tenant: &TenantId) {
        let in_use = self.0.close_tenant(tenant);
        if in_use > 0 {
            tracing::debug!(tenant.id = %tenant, in_use, "calls under way keep their files until they end");
        }
    }
}

/// When a tenant's telemetry configuration was looked at last, let go with the tenant.
#[derive(Debug)]
struct TelemetryCaches(TenantTelemetry);

impl TenantCache for TelemetryCaches {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.0.forget(tenant);
    }
}
