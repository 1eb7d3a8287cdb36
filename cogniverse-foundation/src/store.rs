//! Stores of configuration and of the use of quotas.

pub mod memory;
pub mod quotas;
pub mod sqlite;

pub use memory::InMemoryConfigStore;
pub use quotas::{InMemoryQuotaStore, SqliteQuotaStore};
pub use sqlite::SqliteConfigStore;
