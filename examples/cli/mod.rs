//! What the examples share: one set of flags, a progress bar, tables, and answers as JSON.

#![allow(dead_code, reason = "each example uses its part")]

use anyhow::{Context, Result};
use clap::Args;
use cogniverse::{
    Cogniverse, CogniverseBuilder, ErrorKind, IngestReport, IngestRequest, ProfileName, SearchResponse, TenantId,
    ingestion::{ProgressEvent, ProgressSink},
    telemetry::{TelemetryManager, TelemetrySettings},
};
use cogniverse_otlp::{OtlpConfig, OtlpExporter, TenantLayer};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{io::IsTerminal, path::PathBuf, sync::Arc};
use tracing_subscriber::layer::SubscriberExt;

/// The profile of text segments: it needs no model.
pub(crate) const TEXT_PROFILE: &str = "video_text_minilm_mv_segment";
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

/// Flags that every example takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The folder of the embedded backend and the configuration
    #[arg(long, default_value = "cogniverse-data", env = "COGNIVERSE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where documents and configuration lie
    #[arg(long, value_enum, default_value = "embedded", env = "COGNIVERSE_BACKEND")]
    pub(crate) backend: Backend,
    /// With --backend vespa: its container
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080", env = "COGNIVERSE_VESPA_URL")]
    pub(crate) url: String,
    /// With --backend vespa: its config server
    #[arg(long, value_name = "URL", default_value = "http://localhost:19071", env = "COGNIVERSE_VESPA_CONFIG_URL")]
    pub(crate) config_url: String,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// A folder with all-MiniLM-L6-v2, for strategies on vectors (needs --features local-models)
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// Send the tenants' traces to a Phoenix, such as http://localhost:6006
    #[arg(long, value_name = "URL", env = "COGNIVERSE_PHOENIX_URL")]
    pub(crate) phoenix_url: Option<String>,
    /// Its API key
    #[arg(long, value_name = "KEY", env = "COGNIVERSE_PHOENIX_API_KEY", hide_env_values = true)]
    pub(crate) phoenix_api_key: Option<String>,
}

impl Common {
    /// Opens the library on the data folder, or on Vespa.
    pub(crate) async fn open(&self) -> Result<Cogniverse> {
        self.open_with(self.builder()?).await
    }

    /// The data folder, the model and the telemetry of the flags.
    pub(crate) fn builder(&self) -> Result<CogniverseBuilder> {
        let builder = with_model(Cogniverse::builder().data_dir(&self.data_dir), self.model.as_deref(), 1)?;
        Ok(builder.telemetry(self.telemetry()?))
    }

    /// Opens what a builder says.
    pub(crate) async fn open_with(&self, builder: CogniverseBuilder) -> Result<Cogniverse> {
        match self.backend {
            Backend::Embedded => builder.open().await,
            Backend::Vespa => {
                let backend = self.vespa()?;
                let store = backend.config_store().await.with_context(|| format!("cannot use {}", self.place()))?;
                builder.backend(Arc::new(backend)).config_store(Arc::new(store)).open().await
            }
        }
        .with_context(|| format!("cannot open {}", self.place()))
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
        Ok(telemetry)
    }

    /// With `--model`: makes the model the profile's encoder for the tenant, if it is not yet.
    pub(crate) async fn use_model(
        &self,
        cogniverse: &Cogniverse,
        tenant: &TenantId,
        profile: &ProfileName,
    ) -> Result<()> {
        if self.model.is_none() {
            return Ok(());
        }
        let known = cogniverse.config().get_profile(tenant, profile).await?.config.value;
        if known.encoder.as_deref() != Some(LOCAL_MODEL) {
            cogniverse.config().set_profile(tenant, profile, known.with_encoder(LOCAL_MODEL)).await?;
        }
        Ok(())
    }
}

/// Registers the model of a folder as [`LOCAL_MODEL`]; of every `pool` vectors of a segment one is left.
#[cfg(feature = "local-models")]
pub(crate) fn with_model(
    builder: CogniverseBuilder,
    model: Option<&std::path::Path>,
    pool: usize,
) -> Result<CogniverseBuilder> {
    use cogniverse::encoders::{MiniLmEncoder, PooledEncoder, Pooling};
    let Some(folder) = model else { return Ok(builder) };
    let model = Arc::new(MiniLmEncoder::open(folder, Pooling::Tokens)?);
    Ok(match pool {
        1 => builder.encoder(LOCAL_MODEL, model),
        factor => builder.encoder(LOCAL_MODEL, Arc::new(PooledEncoder::new(model, factor)?)),
    })
}

/// Says how to get a build that can run models.
#[cfg(not(feature = "local-models"))]
pub(crate) fn with_model(
    builder: CogniverseBuilder,
    model: Option<&std::path::Path>,
    _pool: usize,
) -> Result<CogniverseBuilder> {
    anyhow::ensure!(model.is_none(), "this build runs no models; add --features local-models before the --");
    Ok(builder)
}

/// Makes a tenant unless it is there.
pub(crate) async fn ensure_tenant(cogniverse: &Cogniverse, tenant: &TenantId) -> Result<()> {
    match cogniverse.create_tenant(tenant, cogniverse::Template::Startup).await {
        Err(e) if e.kind() != ErrorKind::Conflict => Err(e.into()),
        _ => Ok(()),
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

/// `m:ss.s`
pub(crate) fn clock(seconds: f64) -> String {
    format!("{}:{:04.1}", (seconds / 60.0).floor(), seconds % 60.0)
}

/// An answer as a table, best first, the query's words marked.
pub(crate) fn table(answer: &SearchResponse) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(110);
    }
    table.set_header(["", "video", "time", "score", "text"]);
    for (result, place) in answer.results.iter().zip(1..) {
        let snippet = result.evidence.first().and_then(|evidence| evidence.snippets.last());
        let text = snippet.map_or_else(|| result.text.clone(), |snippet| snippet.marked("«", "»"));
        let name = if result.title.is_empty() { &result.video_id } else { &result.title };
        let time = format!("{}–{}", clock(result.start_time), clock(result.end_time));
        table.add_row([
            place.to_string(),
            name.clone(),
            time,
            format!("{:.3}", result.score),
            text.chars().take(240).collect(),
        ]);
    }
    table.to_string()
}

/// An answer as one JSON object.
pub(crate) fn answer_json(answer: &SearchResponse) -> Value {
    let hit = |result: &cogniverse::SearchResult| {
        json!({
            "video_id": result.video_id, "segment_id": result.segment_id, "title": result.title,
            "start_time": result.start_time, "end_time": result.end_time, "score": result.score,
            "strategy": result.strategy, "profile": result.profile, "text": result.text,
        })
    };
    json!({
        "tenant_id": answer.tenant, "hits": answer.results.iter().map(hit).collect::<Vec<_>>(),
        "profiles": answer.profiles, "degraded": answer.is_degraded(), "partial": answer.is_partial(),
        "next": answer.next,
    })
}

/// Ends an example: the cause, and its causes, on standard error.
pub(crate) fn finish(result: Result<()>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
