//! What the examples share: one set of flags, and what they print (`answer`).

#![allow(dead_code, reason = "each example uses its part")]

mod answer;

use anyhow::{Context, Result};
use clap::Args;
use cogniverse::{
    Cogniverse, CogniverseBuilder, IngestReport, IngestRequest, ProgressEvent, ProgressSink, SearchRequest,
    backup::{FolderKeys, OperatorKey},
    config::ConfigSection,
    sdk::{QueryEncoder, SegmentEncoder},
    telemetry::{TelemetryManager, TelemetrySettings},
};
use cogniverse_ollama::{OllamaClient, OllamaConfig, OllamaModel, OllamaProvider};
use cogniverse_otlp::{OtlpConfig, OtlpExporter, TenantLayer};
use cogniverse_phoenix::{PhoenixClient, PhoenixConfig};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tracing_subscriber::layer::SubscriberExt;

#[allow(unused_imports, reason = "each example uses its part")]
pub(crate) use answer::{TEXT_PROFILE, answer_json, clock, plain_table, table};

/// The name that profiles use for the model of `--model`.
pub(crate) const LOCAL_MODEL: &str = "minilm";

/// Where documents and configuration lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    /// One folder on this machine
    Embedded,
    /// A Vespa application
    Vespa,
}

/// The pipeline of `--phoenix-url` and where it leads: as global as the subscriber that feeds it.
static PIPELINE: OnceLock<(TelemetryManager, String)> = OnceLock::new();
/// What is closed in the end.
static OPENED: OnceLock<Cogniverse> = OnceLock::new();
/// How long an example waits for its last spans.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Flags that every example takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The folder of the embedded backend and the configuration
    #[arg(global = true, long, default_value = "cogniverse-data", env = "COGNIVERSE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where documents and configuration lie
    #[arg(global = true, long, value_enum, default_value = "embedded", env = "COGNIVERSE_BACKEND")]
    pub(crate) backend: Backend,
    /// With --backend vespa: its container
    #[arg(
        global = true,
        long,
        value_name = "URL",
        default_value = "http://localhost:8080",
        env = "COGNIVERSE_VESPA_URL"
    )]
    pub(crate) url: String,
    /// With --backend vespa: its config server
    #[arg(
        global = true,
        long,
        value_name = "URL",
        default_value = "http://localhost:19071",
        env = "COGNIVERSE_VESPA_CONFIG_URL"
    )]
    pub(crate) config_url: String,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(global = true, long)]
    pub(crate) json: bool,
    /// A folder with all-MiniLM-L6-v2, for strategies on vectors (needs --features local-models)
    #[arg(global = true, long)]
    pub(crate) model: Option<PathBuf>,
    /// Send the tenants' traces to a Phoenix, such as http://localhost:6006
    #[arg(global = true, long, value_name = "URL", env = "COGNIVERSE_PHOENIX_URL")]
    pub(crate) phoenix_url: Option<String>,
    /// Its API key
    #[arg(global = true, long, value_name = "KEY", env = "COGNIVERSE_PHOENIX_API_KEY", hide_env_values = true)]
    pub(crate) phoenix_api_key: Option<String>,
    /// An Ollama, such as http://localhost:11434, for routing, reranking, answers and memories: its models are those of the
    /// tenants' configuration (llm_model)
    #[arg(global = true, long, value_name = "URL")]
    pub(crate) ollama_url: Option<String>,
    /// With --ollama-url: one model for all tenants, whatever their configuration says
    #[arg(global = true, long, value_name = "NAME", requires = "ollama_url")]
    pub(crate) ollama_model: Option<String>,
    /// A file with the operator's key of backups: 64 hexadecimal digits. Tenants' keys lie in the data folder, in backup-keys
    #[arg(global = true, long, value_name = "FILE", env = "COGNIVERSE_BACKUP_KEY")]
    pub(crate) backup_key: Option<PathBuf>,
}

impl Common {
    /// Opens the library on the data folder, or on Vespa.
    pub(crate) async fn open(&self) -> Result<Cogniverse> {
        self.open_with(self.builder()?).await
    }

    /// The model of the flags.
    pub(crate) fn model(&self) -> Result<Option<Model>> {
        self.model.as_deref().map(|folder| Model::open(folder, 1)).transpose()
    }

    /// The data folder and the telemetry of the flags.
    pub(crate) fn builder(&self) -> Result<CogniverseBuilder> {
        let mut builder = Cogniverse::builder().data_dir(&self.data_dir).telemetry(self.telemetry()?);
        if let Some(file) = &self.backup_key {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let keys = FolderKeys::new(self.data_dir.join("backup-keys"), OperatorKey::parse(&text)?);
            builder = builder.backup_keys(Arc::new(keys));
        }
        if let Some(url) = &self.ollama_url {
            let config = OllamaConfig::new(url);
            builder = match &self.ollama_model {
                Some(name) => builder.language_model(Arc::new(OllamaModel::new(OllamaClient::new(config)?, name)?)),
                None => builder.language_model_provider("ollama", Arc::new(OllamaProvider::new(config)?)),
            };
        }
        // An erasure reaches the traces where they are.
        Ok(match self.phoenix()? {
            Some(phoenix) => builder.telemetry_provider(Arc::new(phoenix)),
            None => builder,
        })
    }

    /// Opens what a builder says.
    pub(crate) async fn open_with(&self, builder: CogniverseBuilder) -> Result<Cogniverse> {
        let opened = match self.backend {
            Backend::Embedded => builder.open().await,
            Backend::Vespa => {
                let backend = self.vespa()?;
                let store = backend.config_store().await.with_context(|| format!("cannot use {}", self.place()))?;
                let quotas = backend.quota_store().await.with_context(|| format!("cannot use {}", self.place()))?;
                let builder = builder.config_store(Arc::new(store)).quota_store(Arc::new(quotas));
                builder.backend(Arc::new(backend)).open().await
            }
        }
        .with_context(|| format!("cannot open {}", self.place()))?;
        let _ = OPENED.set(opened.clone());
        Ok(opened)
    }

    /// The Phoenix that the flags name.
    pub(crate) fn phoenix(&self) -> Result<Option<PhoenixClient>> {
        let Some(url) = &self.phoenix_url else { return Ok(None) };
        let config = self.phoenix_api_key.iter().fold(PhoenixConfig::new(url), |config, key| config.with_api_key(key));
        Ok(Some(PhoenixClient::new(config)?))
    }

    /// The Vespa that the flags name.
    pub(crate) fn vespa(&self) -> Result<VespaBackend> {
        Ok(VespaBackend::new(VespaConfig::new(&self.url, &self.config_url))?)
    }

    /// Where everything lies, for a person.
    pub(crate) fn place(&self) -> String {
        match self.backend {
            Backend::Embedded => format!("the data folder {}", self.data_dir.display()),
            Backend::Vespa => format!("Vespa at {} (config server {})", self.url, self.config_url),
        }
    }

    /// With `--phoenix-url`: a pipeline to it, and the library's own spans into the pipeline.
    fn telemetry(&self) -> Result<TelemetryManager> {
        let Some(url) = &self.phoenix_url else { return Ok(TelemetryManager::disabled()) };
        let config = OtlpConfig::http(url).with_service_name("cogniverse-examples");
        let config = self.phoenix_api_key.iter().fold(config, |config, key| config.with_api_key(key));
        let telemetry = TelemetryManager::new(TelemetrySettings::new(), OtlpExporter::new(config)?)?;
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(TenantLayer::new(&telemetry)))?;
        let _ = PIPELINE.set((telemetry.clone(), url.clone()));
        Ok(telemetry)
    }
}

/// A model for one run. The tenant's configuration stays as it is, so that the next run, which may have none, works too.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    queries: Arc<dyn QueryEncoder>,
    pub(crate) segments: Arc<dyn SegmentEncoder>,
}

impl Model {
    /// Of a folder; of every `pool` vectors of a segment one is left.
    #[cfg(feature = "local-models")]
    pub(crate) fn open(folder: &Path, pool: usize) -> Result<Self> {
        use cogniverse::encoders::{MiniLmEncoder, PooledEncoder, Pooling};
        let model = Arc::new(MiniLmEncoder::open(folder, Pooling::Tokens)?);
        if pool == 1 {
            return Ok(Self { queries: model.clone(), segments: model });
        }
        let pooled = Arc::new(PooledEncoder::new(model, pool)?);
        Ok(Self { queries: pooled.clone(), segments: pooled })
    }

    /// Says how to get a build that can run models.
    #[cfg(not(feature = "local-models"))]
    pub(crate) fn open(folder: &Path, _pool: usize) -> Result<Self> {
        anyhow::bail!(
            "this build runs no models; add --features local-models before the --, or leave out --model {}",
            folder.display()
        )
    }

    /// The request with its query's vectors.
    pub(crate) async fn ask(&self, request: SearchRequest) -> Result<SearchRequest> {
        let vectors = self.queries.encode_query(&request.query).await?;
        Ok(request.with_query_vectors(vectors))
    }

    /// For profiles that name it already.
    pub(crate) fn register(&self, builder: CogniverseBuilder) -> CogniverseBuilder {
        builder.query_encoder(LOCAL_MODEL, self.queries.clone()).segment_encoder(LOCAL_MODEL, self.segments.clone())
    }
}

/// Ingests with a progress bar on standard error.
pub(crate) async fn ingest(cogniverse: &Cogniverse, request: IngestRequest) -> Result<IngestReport> {
    let bar = Arc::new(Bar::new());
    let report = cogniverse.ingest(request.with_progress(bar.clone())).await;
    bar.0.finish_and_clear();
    Ok(report?)
}

/// A progress bar: of videos, or of a segment file's bytes.
#[derive(Debug)]
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("  {bar:32} {percent:>3}%  {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl ProgressSink for Bar {
    fn event(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Started { videos } => self.0.set_length(*videos as u64),
            ProgressEvent::Read { bytes, of } => {
                self.0.set_length(*of);
                self.0.set_position(*bytes);
            }
            ProgressEvent::VideoStarted { name, segments } => {
                self.0.set_message(format!("{name} ({segments} segments)"))
            }
            ProgressEvent::Transcribing { name, piece, of } => {
                self.0.set_message(format!("{name} (writing down what is said, {piece} of {of})"))
            }
            ProgressEvent::VideoFinished { .. } => self.0.inc(1),
            _ => {}
        }
    }
}

/// Parses values of the configuration, each as `name=value`: numbers and booleans as such, everything else as text.
pub(crate) fn overrides(pairs: &[String]) -> Result<serde_json::Map<String, serde_json::Value>> {
    let parse = |pair: &String| {
        let (name, value) = pair.split_once('=').with_context(|| format!("--set {pair}: write NAME=VALUE"))?;
        Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
    };
    pairs.iter().map(parse).collect()
}

/// A section with some values in place of its own, each as `name=value`; `none` takes a value away.
pub(crate) fn changed<T: ConfigSection>(known: &T, values: &[String]) -> Result<T> {
    let mut fields = serde_json::to_value(known)?;
    for pair in values {
        let (name, value) = pair.split_once('=').with_context(|| format!("{pair}: write NAME=VALUE"))?;
        let value = match value {
            "none" => serde_json::Value::Null,
            value => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        };
        match fields.get_mut(name).filter(|_| name != "tenant_id") {
            Some(field) => *field = value,
            None => {
                let names: Vec<&str> = T::fields().iter().map(|(name, _)| *name).collect();
                anyhow::bail!("{} has no value \"{name}\"; it has {}", T::KEY, names.join(", "))
            }
        }
    }
    serde_json::from_value(fields).with_context(|| format!("a value of {} has the wrong type", T::KEY))
}

/// Ends an example: the cause, and its causes, on standard error; before it, what became of spans that nobody took.
pub(crate) fn finish(result: Result<()>) -> std::process::ExitCode {
    if let Some((telemetry, url)) = PIPELINE.get() {
        let ended = telemetry.shutdown(LAST_SPANS);
        let stats = telemetry.stats();
        let lost = stats.dropped + stats.queued as u64;
        if lost > 0 {
            let why = stats.last_error.or_else(|| ended.err().map(|e| e.to_string())).unwrap_or_default();
            eprintln!("warning: {lost} spans could not be delivered to {url}: {why}");
        }
    }
    if let Some(opened) = OPENED.get() {
        let closed = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(opened.close()));
        if let Err(error) = closed {
            eprintln!("warning: the use of quotas is not stored: {error}");
        }
    }
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
