//! The vocabulary of cogniverse: ids, domain types, role traits and one error type.
//!
//! This crate has no async runtime, network client or storage engine. Adapters implement its traits; everything above
//! them depends on these types only. A tenant is a required part of every request: [`TenantSchema`], the only address
//! of a document or a search, is made from a [`TenantId`] and a [`SchemaName`] and from nothing else.
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
//! | [`tenant_schema`] | a tenant's copy of a base schema, with its injective physical name |
//! | [`error`] | the one error type: code, kind, retry, context, source; its view for customers |
//! | [`schema`], [`tensor_type`] | the grammar of a base schema file |
//! | [`tensor`], [`quantize`] | vectors, and their bit-exact packed forms |
//! | [`document`], [`filter`], [`word_condition`] | documents, and the conditions that select them |
//! | [`sort`], [`facet`], [`query_words`] | their order and their counts; the operators that people write into a search field |
//! | [`schema_store`], [`document_store`], [`search_backend`] | the roles of a backend |
//! | [`config_store`] | append-only configuration versions |
//! | [`quota_store`], [`experience`] | the use of quotas; what is remembered of routed searches |
//! | [`language_model`], [`text_embedder`], [`encoder`], [`transcriber`], [`frame_describer`], [`screen_reader`] | the roles of models |
//! | [`picture`] | still pictures, checked by their headers |
//! | [`memory`], [`memory_store`] | memories of agents, and their store |
//! | [`modality`], [`route`] | what a query asks for, and who decided so |
//! | [`reranker`] | the role that scores results anew |
//! | [`schema_loader`], [`clock`], [`health_probe`] | the other roles |
//! | [`kept_file`] | detection of lost data files |
//! | `contract` | the contract suite of each role (feature `contract`) |

pub mod access;
pub mod audit_log;
pub mod backup;
pub mod clock;
pub mod config_store;
#[cfg(feature = "contract")]
pub mod contract;
pub mod document;
pub mod document_store;
pub mod encoder;
pub mod error;
pub mod experience;
pub mod facet;
pub mod filter;
pub mod frame_describer;
pub mod health_probe;
pub mod id;
pub mod isolation;
pub mod kept_file;
pub mod language_model;
pub mod language_model_provider;
pub mod memory;
pub mod memory_store;
pub mod metadata;
pub mod modality;
pub mod page_cursor;
pub mod picture;
pub mod quantize;
pub mod query_words;
pub mod quota_store;
pub mod reranker;
pub mod retention;
pub mod route;
pub mod schema;
pub mod schema_loader;
pub mod schema_store;
pub mod screen_reader;
pub mod search_backend;
pub mod sort;
pub mod telemetry_provider;
pub mod tenant_schema;
pub mod tenant_surface;
pub mod tensor;
pub mod tensor_type;
pub mod text_embedder;
pub mod time_range;
pub mod transcriber;
pub mod word_condition;

pub use access::{AccessPolicy, Caller, CallerId, Operation, Role, SameTenant};
pub use audit_log::{AuditEntry, AuditEvent, AuditLog, AuditPage, AuditVerification};
pub use backup::{BackupKey, BackupKeys, BackupRecord, BackupTarget, Export, ExportPage, Import};
pub use clock::{Clock, ManualClock, SystemClock, deadline_after, deadline_in};
pub use config_store::{ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigScope, ConfigStore, Expected};
pub use document::{Document, FieldValue, OwnedDocument};
pub use document_store::{DocumentOutcome, DocumentStore, FeedReport, ListRequest, OutcomeStatus, TenantSnapshot};
pub use encoder::{EncoderInfo, PictureEncoder, QueryEncoder, SegmentContent, SegmentEncoder, VectorKind};
pub use error::{Error, ErrorCode, ErrorKind, PublicError, Result, Retry, json_problem};
pub use experience::{
    Experience, ExperienceNote, ExperiencePage, ExperienceStore, FastEvidence, Feedback, FeedbackCounts, PathVerdict,
    RouteAnnotation, RouteLabel,
};
pub use facet::{Facet, FacetCount, FacetRequest};
pub use filter::Filter;
pub use frame_describer::{DescribeRequest, DescriberInfo, FrameDescriber, FrameDescription};
pub use health_probe::HealthProbe;
pub use id::{DocumentId, FieldName, ProfileName, SchemaName, StrategyName, TenantId, VideoId};
pub use jiff::Timestamp;
pub use kept_file::KeptFile;
pub use language_model::{ChatAnswer, ChatMessage, ChatRequest, ChatRole, FinishReason, LanguageModel};
pub use language_model_provider::LanguageModelProvider;
pub use memory::{
    AgentId, Memory, MemoryEvent, MemoryEventKind, MemoryId, MemoryOrigin, MemoryReach, MemoryScope, SessionId, UserId,
};
pub use memory_store::{MemoryHit, MemoryHits, MemoryPage, MemorySignals, MemoryStats, MemoryStore, MemoryWeights};
pub use metadata::{Metadata, MetadataName, MetadataType, MetadataValue};
pub use modality::Modality;
pub use page_cursor::{Listing, PageCursor};
pub use picture::{Picture, PictureHeader, PictureKind};
pub use quota_store::{Quota, QuotaLease, QuotaState, QuotaStore};
pub use reranker::{RerankItem, RerankRequest, RerankScore, Reranker};
pub use retention::Retention;
pub use route::{Generation, RouteTier, SearchId};
pub use schema::BaseSchema;
pub use schema_loader::SchemaLoader;
pub use schema_store::{DeployedSchema, SchemaStore};
pub use screen_reader::{ReadScreensRequest, ScreenReader, ScreenReaderInfo, ScreenText};
pub use search_backend::{BackendHit, BackendHits, BackendQuery, Highlight, SearchBackend};
pub use sort::Sort;
pub use telemetry_provider::{ProjectName, Span, SpanId, SpanQuery, TelemetryProvider, TimeWindow, TraceId};
pub use tenant_schema::TenantSchema;
pub use tenant_surface::{Inventory, Remains, SurfaceErasure, TenantSurface};
pub use tensor::{Matrix, Tensor};
pub use tensor_type::{CellType, TensorShape, TensorType};
pub use text_embedder::{TextEmbedder, TextKind};
pub use time_range::TimeRange;
pub use transcriber::{Cue, TranscribeRequest, Transcriber, TranscriberInfo, Transcription};
pub use word_condition::{Correction, WordCondition};
