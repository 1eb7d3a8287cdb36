#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | item | what it is |
//! |---|---|
//! | [`Cogniverse`] | everything wired together, on the embedded backend unless another is given |
//! | [`VideoSearchAgent`], [`SearchRequest`], [`SearchResponse`] | searching |
//! | [`Ingestor`](ingestion::Ingestor), [`IngestRequest`], [`IngestSource`] | ingesting |
//! | [`MemoryManager`](memory::MemoryManager), [`Remember`](memory::Remember) | what agents remember of a tenant's users |
//! | [`schemas`], [`tenants`], [`config`] | the parts that an operator works with |
//! | [`sdk`] | the traits that an adapter implements, and their contract suites |

mod builder;
mod cogniverse;

pub use builder::CogniverseBuilder;
pub use cogniverse::Cogniverse;
pub use cogniverse_agents as agents;
pub use cogniverse_agents::{
    Grouping, MemoryOptions, Outcome, PageCursor, SearchRequest, SearchResponse, SearchResult, VideoSearchAgent,
};
pub use cogniverse_core::ingestion::{IngestReport, IngestRequest, IngestSource};
pub use cogniverse_core::{ingestion, memory, schemas, tenants, transcript};
pub use cogniverse_embedded as embedded;
pub use cogniverse_encoders as encoders;
pub use cogniverse_foundation as config;
pub use cogniverse_foundation::{Template, telemetry};
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
    Error, ErrorKind, Filter, ProfileName, Result, SchemaName, StrategyName, TenantId, TimeRange,
};

#[cfg(feature = "vespa")]
pub use cogniverse_vespa as vespa;
/// `docs/speech.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "http-models"))]
#[doc = include_str!("../docs/speech.md")]
struct SpeechGuide;

/// `docs/encoders.md`, whose code is compiled by the doc tests.
#[cfg(all(doctest, feature = "http-models"))]
#[doc = include_str!("../docs/encoders.md")]
struct EncodersGuide;

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
