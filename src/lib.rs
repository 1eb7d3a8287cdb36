#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | item | description |
//! |---|---|
//! | [`Cogniverse`] | the assembled library, on the embedded backend by default |
//! | [`VideoSearchAgent`], [`SearchRequest`], [`SearchResponse`] | search |
//! | [`Ingestor`](ingestion::Ingestor), [`IngestRequest`], [`IngestSource`] | ingestion |
//! | [`VideoCatalogue`](catalogue::VideoCatalogue) | the ingested videos: listing, changing, deleting; ingest jobs |
//! | [`MemoryManager`](memory::MemoryManager), [`Remember`](memory::Remember) | memories of a tenant's agents and
//! users |
//! | [`models`] | resolution of tenants' language models |
//! | [`Operator`] | the parts behind the gate, for operators |
//! | [`tenants`], [`lifecycle`] | the gate that admits every call; the life of tenants |
//! | [`schemas`], [`config`] | tenants' schemas and configuration |
//! | [`sdk`] | the traits that adapters implement, with their contract suites |

mod builder;
mod cogniverse;
mod operator;
mod sight;
mod tenant_calls;

pub use builder::CogniverseBuilder;
pub use cogniverse::Cogniverse;
pub use cogniverse_agents as agents;
pub use cogniverse_agents::{
    AnswerMode, Grouping, Like, MemoryOptions, Outcome, PageCursor, Route, SearchEvent, SearchParameters,
    SearchRequest, SearchResponse, SearchResult, VideoSearchAgent,
};
pub use cogniverse_core::ingestion::{
    IngestJob, IngestReport, IngestRequest, IngestSource, ProgressEvent, ProgressSink, VideoInput,
};
pub use cogniverse_core::lifecycle::{NewTenant, Suspend};
pub use cogniverse_core::tenants::ShareAccess;
pub use cogniverse_core::{
    backup, catalogue, doctor, fairness, guarded_backend, health, ingestion, isolation, lifecycle, memory, metrics,
    models, quotas, schemas, surfaces, tenants, transcript,
};
pub use cogniverse_embedded as embedded;
pub use cogniverse_encoders as encoders;
pub use cogniverse_foundation as config;
pub use cogniverse_foundation::{Template, telemetry};
#[cfg(feature = "http-models")]
pub use cogniverse_model_servers as model_servers;
#[cfg(feature = "object-store")]
pub use cogniverse_object_store as object_store;
#[cfg(feature = "ollama")]
pub use cogniverse_ollama as ollama;
#[cfg(feature = "openai")]
pub use cogniverse_openai as openai;
#[cfg(feature = "otlp")]
pub use cogniverse_otlp as otlp;
#[cfg(feature = "phoenix")]
pub use cogniverse_phoenix as phoenix;
pub use cogniverse_sdk as sdk;
pub use cogniverse_sdk::{
    Caller, CallerId, Error, ErrorCode, ErrorKind, FieldName, Filter, MetadataName, MetadataType, MetadataValue,
    Operation, ProfileName, PublicError, Result, Role, SchemaName, StrategyName, TenantId, TenantSchema, TimeRange,
    VideoId,
};
pub use operator::Operator;

#[cfg(feature = "vespa")]
pub use cogniverse_vespa as vespa;
/// `docs/errors.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/errors.md")]
struct ErrorsGuide;

/// `docs/speech.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "http-models"))]
#[doc = include_str!("../docs/speech.md")]
struct SpeechGuide;

/// `docs/seeing.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "ollama"))]
#[doc = include_str!("../docs/seeing.md")]
struct SeeingGuide;

/// `docs/encoders.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "http-models"))]
#[doc = include_str!("../docs/encoders.md")]
struct EncodersGuide;

/// `docs/models.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "ollama"))]
#[doc = include_str!("../docs/models.md")]
struct ModelsGuide;

/// `docs/telemetry.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "otlp"))]
#[doc = include_str!("../docs/telemetry.md")]
struct TelemetryGuide;

/// `docs/vespa.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "vespa"))]
#[doc = include_str!("../docs/vespa.md")]
struct VespaGuide;
/// `docs/memory.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/memory.md")]
struct MemoryGuide;

/// `docs/tenants.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/tenants.md")]
struct TenantsGuide;

/// `docs/backup.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/backup.md")]
struct BackupGuide;

/// `docs/videos.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/videos.md")]
struct VideosGuide;

/// `docs/doctor.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/doctor.md")]
struct DoctorGuide;

/// `docs/health.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/health.md")]
struct HealthGuide;

/// `docs/isolation.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/isolation.md")]
struct IsolationGuide;

/// `docs/operations-guide.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "otlp", feature = "phoenix"))]
#[doc = include_str!("../docs/operations-guide.md")]
struct OperationsGuide;

/// `docs/routing.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/routing.md")]
struct RoutingGuide;

/// `docs/quotas.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/quotas.md")]
struct QuotasGuide;

/// `docs/in-your-service.md`, whose code is compiled by the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/in-your-service.md")]
struct ServiceGuide;
