//! Video search for many customers over HTTP, in one file: the guide `docs/in-your-service.md` walks through it.
//!
//! Needs: nothing for segment files; ffmpeg for videos. Prints: the address that it listens on, then its log.
//!
//! ```sh
//! cargo run -p cogniverse-example-service -- --operator-key op --customer-key acme_corp=a1 --customer-key globex_inc=g1
//! ```
//!
//! | Route | Key | |
//! |---|---|---|
//! | `GET /health/live`, `GET /health/ready` | none | whether the process runs; whether it can serve |
//! | `PUT /tenants/{tenant}` | operator | creates a tenant with its schema, or does nothing |
//! | `POST /videos?name=talk.mp4` | customer | ingests the body; the answer is a stream of progress events and the report |
//! | `DELETE /videos/{id}` | customer | removes a video from the index |
//! | `POST /search` | customer | searches |
//!
//! A customer is known by a key, and the key names the tenant: no request of a customer can name another tenant.

use anyhow::Context as _;
use axum::{
    Json, Router,
    body::Body,
    extract::{FromRequestParts, Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{delete, get, post, put},
};
use clap::Parser;
use cogniverse::{
    Caller, CallerId, Cogniverse, Error, ErrorCode, FieldName, Filter, IngestRequest, IngestSource, NewTenant,
    Operation, ProfileName, ProgressEvent, ProgressSink, Role, SearchParameters, Template, TenantId, TenantSchema,
    health::HealthStatus, sdk::document_store::DeleteRequest,
};
use futures_util::StreamExt as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::task::TaskTracker;

/// The largest upload: 4 GiB.
const MAX_UPLOAD_BYTES: u64 = 4 << 30;
/// How long running ingestions may go on after the signal to stop; what is not finished then goes on with the next upload.
const STOP_TIME: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Video search for many customers over HTTP")]
struct Options {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// The folder of all data
    #[arg(long, default_value = "service-data")]
    data_dir: PathBuf,
    /// How videos are cut, encoded and ranked
    #[arg(long, default_value = "video_text_minilm_mv_segment")]
    profile: ProfileName,
    /// The key of the operator, who creates tenants
    #[arg(long, env = "SERVICE_OPERATOR_KEY", hide_env_values = true)]
    operator_key: String,
    /// A customer's key, as TENANT=KEY; repeatable
    #[arg(long = "customer-key", env = "SERVICE_CUSTOMER_KEYS", value_delimiter = ',', hide_env_values = true, value_parser = customer_key)]
    customer_keys: Vec<(TenantId, String)>,
}

fn customer_key(text: &str) -> Result<(TenantId, String), String> {
    let (tenant, key) = text.split_once('=').filter(|(_, key)| !key.is_empty()).ok_or("give TENANT=KEY")?;
    Ok((TenantId::parse(tenant).map_err(|e| e.to_string())?, key.to_owned()))
}

struct Service {
    cogniverse: Cogniverse,
    profile: ProfileName,
    uploads: PathBuf,
    parts: PathBuf,
    /// Counts uploads, so that two of one name do not write to one file.
    upload: AtomicU64,
    /// The caller, and the tenant of a customer, by the SHA-256 of a key, so that looking one up takes the same time for every wrong key.
    callers: HashMap<[u8; 32], (Caller, Option<TenantId>)>,
    stopping: AtomicBool,
    ingestions: TaskTracker,
}

type App = Arc<Service>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let operator = Caller::new(CallerId::parse("operator")?).with_role(Role::Operator);
    let mut callers = HashMap::from([(digest(&options.operator_key), (operator, None))]);
    for (tenant, key) in options.customer_keys {
        let customer = Caller::new(CallerId::parse(format!("customer {tenant}"))?);
        let customer = customer.with_tenant(tenant.clone()).with_role(Role::Member);
        let taken = callers.insert(digest(&key), (customer, Some(tenant)));
        anyhow::ensure!(taken.is_none(), "one key is given to two callers");
    }
    // What an earlier process did not finish writing.
    let parts = options.data_dir.join("parts");
    drop(std::fs::remove_dir_all(&parts));
    std::fs::create_dir_all(&parts).context("making the folder of uploads")?;
    let service = Arc::new(Service {
        cogniverse: Cogniverse::builder().data_dir(options.data_dir.join("index")).open().await?,
        profile: options.profile,
        uploads: options.data_dir.join("uploads"),
        parts,
        upload: AtomicU64::new(0),
        callers,
        stopping: AtomicBool::new(false),
        ingestions: TaskTracker::new(),
    });
    let app = Router::new()
        .route("/health/live", get(|| async { StatusCode::NO_CONTENT }))
        .route("/health/ready", get(ready))
        .route("/tenants/{tenant}", put(create_tenant))
        .route("/videos", post(ingest))
        .route("/videos/{id}", delete(delete_video))
        .route("/search", post(search))
        .with_state(Arc::clone(&service));
    let listener = TcpListener::bind(options.listen).await.context("listening")?;
    println!("listening on http://{}", listener.local_addr()?);
    // Not ready first, so that nothing new is sent here while what runs comes to its end.
    let stopping = Arc::clone(&service);
    let signal = async move {
        stop_signal().await;
        tracing::info!("stopping");
        stopping.stopping.store(true, Ordering::Release);
    };
    axum::serve(listener, app).with_graceful_shutdown(signal).await?;
    service.ingestions.close();
    if tokio::time::timeout(STOP_TIME, service.ingestions.wait()).await.is_err() {
        tracing::warn!("ingestions were cut off; uploading the same videos again goes on where they were");
    }
    service.cogniverse.close().await?;
    Ok(())
}

/// Resolves at SIGTERM or Ctrl-C.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
            }
            Err(_) => drop(interrupt.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

// ---- Who calls.

/// The tenant of a customer's key, and the library for that customer: a mistake in a route below cannot reach another tenant.
struct Customer(TenantId, Cogniverse);
/// The library for the operator, who creates tenants and sees nothing in them.
struct Operator(Cogniverse);

fn caller(parts: &Parts, service: &Service) -> Result<(Cogniverse, Option<TenantId>), ApiError> {
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let known = given.and_then(|key| service.callers.get(&digest(key)));
    let (caller, tenant) =
        known.cloned().ok_or_else(|| Error::of(ErrorCode::Unauthenticated, "the key is missing or not known"))?;
    Ok((service.cogniverse.for_caller(caller), tenant))
}

impl FromRequestParts<App> for Customer {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, service: &App) -> Result<Self, ApiError> {
        match caller(parts, service)? {
            (cogniverse, Some(tenant)) => Ok(Self(tenant, cogniverse)),
            _ => Err(Error::of(ErrorCode::PermissionDenied, "this is a customer's route").into()),
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, service: &App) -> Result<Self, ApiError> {
        match caller(parts, service)? {
            (cogniverse, None) => Ok(Self(cogniverse)),
            _ => Err(Error::of(ErrorCode::PermissionDenied, "this is the operator's route").into()),
        }
    }
}

// ---- Errors as statuses.

/// An error as a response: the code's status, the public view as JSON, and the whole story in the log.
struct ApiError(Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let public = self.0.public();
        let status = StatusCode::from_u16(public.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::error!(code = %public.code(), "{}", self.0.chain());
        } else {
            tracing::debug!(code = %public.code(), "{}", self.0.chain());
        }
        let mut headers = HeaderMap::new();
        if let Some(seconds) = public.retry_after_ms().map(|ms| ms.div_ceil(1000)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        (status, headers, Json(public)).into_response()
    }
}

/// The answer to a body that is not the expected JSON, in the same form as every other error.
fn unreadable(rejection: &JsonRejection) -> ApiError {
    Error::invalid(rejection.body_text()).into()
}

// ---- Routes.

async fn ready(State(service): State<App>) -> Result<StatusCode, ApiError> {
    if service.stopping.load(Ordering::Acquire) {
        return Ok(StatusCode::SERVICE_UNAVAILABLE);
    }
    let health = service.cogniverse.operator().health().await;
    health
        .parts
        .iter()
        .filter(|part| !part.is_ok())
        .for_each(|part| tracing::error!("{}: {:?}", part.name, part.error));
    Ok(if health.status == HealthStatus::Unavailable {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::NO_CONTENT
    })
}

async fn create_tenant(
    Operator(cogniverse): Operator,
    State(service): State<App>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiError> {
    let tenant = TenantId::parse(&tenant)?;
    let new = NewTenant::new(tenant.clone(), Template::Startup).with_profile(service.profile.clone());
    let record = match cogniverse.create(new).await {
        // An earlier version of this service created it in another way.
        Err(error) if error.code() == ErrorCode::TenantExists => cogniverse.tenant(&tenant).await?,
        created => created?,
    };
    Ok(Json(record).into_response())
}

async fn search(
    Customer(tenant, cogniverse): Customer,
    State(service): State<App>,
    body: Result<Json<SearchParameters>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(parameters) = body.map_err(|rejection| unreadable(&rejection))?;
    let request = parameters.for_tenant(tenant, service.profile.clone());
    Ok(Json(cogniverse.search(request).await?).into_response())
}

async fn delete_video(
    Customer(tenant, cogniverse): Customer,
    State(service): State<App>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let grant = cogniverse.admit(&tenant, Operation::WriteDocuments).await?;
    let schema = TenantSchema::new(&tenant, &grant.config().profile(&service.profile)?.config.value.schema);
    let of_video = Filter::equals(FieldName::parse("video_id")?, id.as_str());
    let removed = cogniverse.delete_documents(DeleteRequest::matching(schema, of_video)).await?;
    Ok(Json(serde_json::json!({ "removed_segments": removed })).into_response())
}

#[derive(Deserialize)]
struct Upload {
    /// The file's name, whose ending says what it is: a video, or `.jsonl` of ready-made segments.
    name: String,
}

async fn ingest(
    Customer(tenant, cogniverse): Customer,
    State(service): State<App>,
    Query(Upload { name }): Query<Upload>,
    body: Body,
) -> Result<Response, ApiError> {
    // Whether the tenant may be served is known before its bytes are taken.
    drop(cogniverse.admit(&tenant, Operation::Ingest).await?);
    let path = save(&service, &tenant, &name, body).await?;
    let source = match path.extension().is_some_and(|ending| ending == "jsonl") {
        true => IngestSource::Segments(path),
        false => IngestSource::Files(vec![path]),
    };
    let (events, received) = mpsc::unbounded_channel();
    let request =
        IngestRequest::new(tenant, service.profile.clone(), source).with_progress(Arc::new(Progress(events.clone())));
    // It goes on where the client goes away: an upload is not lost with its connection.
    service.ingestions.spawn(async move {
        let last = match cogniverse.ingest(request).await {
            Ok(report) => Event::default().event("report").json_data(&report),
            Err(error) => {
                tracing::error!("an ingestion failed: {}", error.chain());
                Event::default().event("error").json_data(error.public())
            }
        };
        drop(events.send(last.unwrap_or_else(|_| Event::default().event("error"))));
    });
    let stream = UnboundedReceiverStream::new(received).map(Ok::<_, Infallible>);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

/// Sends progress to the client that watches.
#[derive(Debug)]
struct Progress(mpsc::UnboundedSender<Event>);

impl ProgressSink for Progress {
    fn event(&self, event: &ProgressEvent) {
        if let Ok(event) = Event::default().event("progress").json_data(event) {
            drop(self.0.send(event));
        }
    }
}

/// Writes a body to a file of the tenant's folder. A name that already exists is replaced, once the new file is whole.
async fn save(service: &Service, tenant: &TenantId, name: &str, body: Body) -> Result<PathBuf, ApiError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::invalid(
            "the name is no file name of letters, digits, blanks, dots, dashes and underscores",
        )
        .into());
    }
    let failed = |e: std::io::Error| Error::of(ErrorCode::Unavailable, "an upload cannot be stored").with_source(e);
    let folder = service.uploads.join(tenant.as_str());
    tokio::fs::create_dir_all(&folder).await.map_err(failed)?;
    let part = service.parts.join(service.upload.fetch_add(1, Ordering::Relaxed).to_string());
    let path = folder.join(name);
    let mut file = tokio::fs::File::create(&part).await.map_err(failed)?;
    let (mut chunks, mut bytes) = (body.into_data_stream(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| Error::invalid("the upload broke off; send it again").with_source(e))?;
        bytes += chunk.len() as u64;
        if bytes > MAX_UPLOAD_BYTES {
            return Err(Error::invalid(format!("an upload has at most {MAX_UPLOAD_BYTES} bytes")).into());
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    tokio::fs::rename(&part, &path).await.map_err(failed)?;
    Ok(path)
}
