//! Schemas, tenants, ingestion, memory and language models: everything that a search builds on.
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
//! | [`schemas`] | base schemas: loading, compiling, deploying to tenants |
//! | [`ingestion`], [`transcript`] | ingestion of videos and segments files |
//! | [`catalogue`] | the videos that were ingested, and the jobs that did it |
//! | [`text`] | text analysis: terms and highlights |
//! | [`tenants`] | tenants' records, and the gate that admits every call |
//! | [`lifecycle`] | creation, suspension, reactivation and erasure of tenants |
//! | [`guarded_backend`] | the guard around a backend, which verifies whose each answer is |
//! | [`quotas`] | what tenants use of their quotas, and its limits |
//! | [`fairness`] | the order in which tenants are served by the backend |
//! | [`doctor`] | everything that can be wrong with a tenant |
//! | [`backup`] | backups of a tenant, and their restore |
//! | [`surfaces`] | what is kept of tenants, as erasure, backup and isolation see it |
//! | [`isolation`] | the check that tenants are apart, on what is stored |
//! | [`metrics`] | requests of each tenant in each modality |
//! | [`health`] | the health of the whole service, and its changes as events |
//! | [`memory`] | memories of agents |

pub mod backup;
pub mod catalogue;
pub mod doctor;
#[doc(hidden)]
pub mod failpoint;
pub mod fairness;
mod files;
pub mod guarded_backend;
pub mod health;
pub mod ingestion;
pub mod isolation;
pub mod lifecycle;
pub mod memory;
pub mod metrics;
pub mod models;
pub mod quotas;
pub mod schemas;
pub mod surfaces;
pub mod tenants;
pub mod text;
pub mod transcript;

pub use cogniverse_foundation::worker;
