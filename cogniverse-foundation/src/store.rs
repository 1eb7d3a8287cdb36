//! Stores of configuration, of the use of quotas and of experiences.

pub mod experiences;
pub mod memory;
pub mod quotas;
pub mod sqlite;

pub use experiences::{InMemoryExperienceStore, SqliteExperienceStore};
pub use memory::InMemoryConfigStore;
pub use quotas::{InMemoryQuotaStore, SqliteQuotaStore};
pub use sqlite::SqliteConfigStore;
