//! The vocabulary of cogniverse: ids, domain types, role traits and one error type.
//!
//! This crate knows no runtime, no network and no storage engine. Adapters implement its traits; everything above them
//! speaks only these types. A tenant is a required part of every request: [`TenantSchema`], the only name a document
//! or a search can be addressed by, is made from a [`TenantId`] and a [`SchemaName`] and from nothing else.
//!
//! ```
//! use cogniverse_sdk::{SchemaName, TenantId, TenantSchema};
//!
//! let tenant = TenantId::parse("acme_corp")?;
//! let base = SchemaName::parse("video_colpali_smol500_mv_frame")?;
//! let schema = TenantSchema::new(&tenant, &base);
//! assert_eq!(schema.physical_name(), "video_colpali_smol500_mv_frame_acme_corp");
//! # Ok::<(), cogniverse_sdk::Error>(())
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`] | validated string ids |
//! | [`tenant_schema`] | base schema x tenant: the physical name, injective |
//! | [`error`] | the one error type: kind, retry, context, source |
//! | [`schema`], [`tensor_type`] | the grammar of a base schema file |
//! | [`tensor`], [`quantize`] | vectors, and their bit-exact packed forms |
//! | [`document`], [`filter`] | what is stored, and which of it is meant |
//! | [`schema_store`], [`document_store`], [`search_backend`] | the roles of a backend |
//! | [`config_store`] | append-only configuration versions |
//! | [`language_model`], [`text_embedder`], [`encoder`], [`transcriber`] | the roles of models |
//! | [`memory`], [`memory_store`] | what agents remember, and the role that keeps it |
//! | [`schema_loader`], [`clock`] | the other roles |
//! | [`kept_file`] | files whose loss is noticed |
//! | `contract` | the contract suite of each role (feature `contract`) |

pub mod clock;
pub mod config_store;
#[cfg(feature = "contract")]
pub mod contract;
pub mod document;
pub mod document_store;
pub mod encoder;
pub mod error;
pub mod filter;
pub mod id;
pub mod kept_file;
pub mod language_model;
pub mod memory;
pub mod memory_store;
pub mod quantize;
pub mod schema;
pub mod schema_loader;
pub mod schema_store;
pub mod search_backend;
pub mod telemetry_provider;
pub mod tenant_schema;
pub mod tensor;
pub mod tensor_type;
pub mod text_embedder;
pub mod time_range;
pub mod transcriber;

pub use clock::{Clock, ManualClock, SystemClock, deadline_after, deadline_in};
pub use config_store::{ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigScope, ConfigStore, Expected};
pub use document::{Document, FieldValue};
pub use document_store::{DocumentOutcome, DocumentStore, FeedReport, OutcomeStatus};
pub use encoder::{EncoderInfo, QueryEncoder, SegmentContent, SegmentEncoder, VectorKind};
pub use error::{Error, ErrorKind, Result, Retry};
pub use filter::Filter;
pub use id::{DocumentId, FieldName, ProfileName, SchemaName, StrategyName, TenantId, VideoId};
pub use jiff::Timestamp;
pub use kept_file::KeptFile;
pub use language_model::{ChatAnswer, ChatMessage, ChatRequest, ChatRole, FinishReason, LanguageModel};
pub use memory::{
    AgentId, Memory, MemoryEvent, MemoryEventKind, MemoryId, MemoryOrigin, MemoryReach, MemoryScope, SessionId, UserId,
};
pub use memory_store::{MemoryHit, MemoryHits, MemoryPage, MemorySignals, MemoryStats, MemoryStore, MemoryWeights};
pub use schema::BaseSchema;
pub use schema_loader::SchemaLoader;
pub use schema_store::{DeployedSchema, SchemaStore};
pub use search_backend::{BackendHit, BackendHits, BackendQuery, Highlight, SearchBackend};
pub use telemetry_provider::{ProjectName, Span, SpanId, SpanQuery, TelemetryProvider, TimeWindow, TraceId};
pub use tenant_schema::TenantSchema;
pub use tensor::{Matrix, Tensor};
pub use tensor_type::{CellType, TensorShape, TensorType};
pub use text_embedder::{TextEmbedder, TextKind};
pub use time_range::TimeRange;
pub use transcriber::{Cue, TranscribeRequest, Transcriber, TranscriberInfo, Transcription};
