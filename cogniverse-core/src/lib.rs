//! Schemas, tenants and ingestion: what a search needs before it can run.
//!
//! ```
//! use cogniverse_core::schemas::{EmbeddedSchemaLoader, Schema};
//! use cogniverse_sdk::{SchemaLoader, SchemaName, StrategyName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cogniverse_sdk::Result<()> {
//! let base = EmbeddedSchemaLoader.load(&SchemaName::parse("video_text_minilm_mv_segment")?).await?;
//! let schema = Schema::compile(base)?;
//! let phased = schema.strategy(&StrategyName::parse("phased")?)?;
//! assert!(phased.inputs().vectors() && phased.second_phase().is_some());
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`schemas`] | base schemas: loading, understanding, bringing them to tenants |
//! | [`ingestion`], [`transcript`] | from videos and segment files to stored documents |
//! | [`text`] | words: terms and highlights |
//! | [`tenants`] | who exists, and whether it may be served |
//! | [`memory`] | what agents remember |

pub mod ingestion;
pub mod memory;
pub mod schemas;
pub mod tenants;
pub mod text;
pub mod transcript;
