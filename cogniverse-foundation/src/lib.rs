//! Typed, versioned configuration of tenants with compare-and-set, stored in a
//! [`ConfigStore`](cogniverse_sdk::ConfigStore), and the telemetry pipeline.
//!
//! A tenant exists once it has a [`SystemConfig`] or, where a [`TenantDirectory`] is set, once the directory knows
//! it. A value that is not set reads as a default that says so; a tenant that does not exist is an error. Every
//! change, a rollback included, is a new version.
//!
//! ```
//! use cogniverse_foundation::{ConfigManager, InMemoryConfigStore, RoutingConfig, Source, SystemConfig, Template};
//! use cogniverse_sdk::{Expected, TenantId};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cogniverse_sdk::Result<()> {
//! let manager = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
//! let acme = TenantId::parse("acme_corp")?;
//!
//! // A tenant, from a template and an override.
//! let overrides = [("llm_model".to_owned(), "deepseek-r1:7b".into())].into_iter().collect();
//! let created = manager.create_from_template(&acme, Template::Startup, overrides).await?;
//! assert_eq!((created.version, created.value.backend_port), (1, 8080));
//!
//! // What is not set is a default, and says so.
//! assert_eq!(manager.get_routing_config(&acme).await?.source, Source::Default);
//!
//! // A change that is lost to nobody, and the way back.
//! let better = created.value.clone().with_llm_model("mistral:7b-instruct");
//! manager.compare_and_set(&acme, better, Expected::Version(1)).await?;
//! let back = manager.rollback::<SystemConfig>(&acme, 1).await?;
//! assert_eq!((back.version, back.source), (3, Source::Rollback { of: 1 }));
//! assert_eq!(back.value.llm_model, "deepseek-r1:7b");
//!
//! // Nobody created this one.
//! let globex = TenantId::parse("globex_inc")?;
//! assert!(manager.set_routing_config(&globex, RoutingConfig::new(globex.clone())).await.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`audit`] | audit logs: in memory, and beside the configuration |
//! | [`config`] | the configuration types: sections, profiles, templates and versions |
//! | [`manager`] | reads and writes by tenant; history, rollback, templates, export and import |
//! | [`store`] | stores of configuration and of quotas: in memory, or a SQLite file that processes share |
//! | [`telemetry`] | the telemetry pipeline, and the names of spans and fields |
//! | [`worker`] | blocking work on Tokio's threads |

pub mod audit;
pub mod config;
pub mod manager;
pub mod store;
pub mod telemetry;
pub mod worker;

pub use audit::{AuditRecorder, InMemoryAuditLog, StoredAuditLog};
pub use config::builtin::builtin_profiles;
pub use config::export::ConfigExport;
pub use config::field_use::FieldUse;
pub use config::learned::{Changed, Evidence, LearnedRouting};
pub use config::origin::AllowedOrigins;
pub use config::profile::{BackendProfile, ProfileLevel, ResolvedProfile};
pub use config::provenance::FieldSource;
pub use config::quotas::{QuotaConfig, QuotaMode};
pub use config::routing::{RoutingConfig, RoutingMode};
pub use config::section::ConfigSection;
pub use config::segmentation::Segmentation;
pub use config::system::SystemConfig;
pub use config::telemetry::TelemetryConfig;
pub use config::template::Template;
pub use config::versioned::{HistoryEntry, HistoryPage, Recorded, Source, Versioned};
pub use manager::{ConfigManager, ConfigSnapshot, TenantDirectory};
pub use store::{
    InMemoryConfigStore, InMemoryExperienceStore, InMemoryQuotaStore, SqliteConfigStore, SqliteExperienceStore,
    SqliteQuotaStore,
};
