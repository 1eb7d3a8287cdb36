//! Base schemas: loading, compiling and deploying.

pub mod deployment;
mod description;
mod difference;
mod expression;
mod fusion;
mod loader;
mod lower;
mod manager;
pub(crate) mod memory_schema;
pub(crate) mod metadata;
pub mod provenance;
mod query;
mod schema;
mod strategy;

/// The base schema of the catalogue of videos.
pub(crate) const CATALOGUE_BASE: &str = "video_catalogue";

pub(crate) use memory_schema::{BASE as MEMORY_BASE, STAGE_BASE};

pub use description::{FieldDescription, SchemaDescription, StrategyDescription};
pub use difference::SchemaDifference;
pub use loader::{EmbeddedSchemaLoader, FilesystemSchemaLoader, InMemorySchemaLoader, WithShippedSchemas};
pub use manager::{SchemaHealth, SchemaManager};
pub use query::{MAX_QUERY_TEXT, MAX_QUERY_VECTORS, MAX_WINDOW};
pub use schema::Schema;
pub use strategy::{Formula, Fusion, MatchSet, Metric, Rerank, Scale, Score, Signal, Strategy, StrategyInputs};
