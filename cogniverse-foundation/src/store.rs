//! Where configuration versions are kept.

mod cursor;
pub mod memory;
pub mod sqlite;
mod versioning;

pub use memory::InMemoryConfigStore;
pub use sqlite::SqliteConfigStore;
