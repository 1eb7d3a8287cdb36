//! Configuration stores.

pub mod memory;
pub mod sqlite;

pub use memory::InMemoryConfigStore;
pub use sqlite::SqliteConfigStore;
