//! The default search backend: one folder on this machine, nothing to install.
//!
//! Each tenant schema has a SQLite file of its own as the system of record; a feed batch is one transaction. The index
//! (words, attributes, packed sign bits) is derived from it, held in memory as immutable blocks, and scanned by SIMD
//! kernels that are picked at run time. A search takes one snapshot and no lock. Schemas that nobody uses hold no file and
//! no thread.
//!
//! ```
//! use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig};
//! use cogniverse_sdk::{SchemaStore, TenantId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cogniverse_sdk::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! let backend = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await?;
//! assert!(backend.list_schemas(&TenantId::parse("acme_corp")?).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `config`, `backend` | settings; the backend and its schema side |
//! | `feed`, `search` | its document side; its search |
//! | `folder`, `catalog` | the data folder; which tenant schemas are deployed |
//! | `open_stores`, `tenant_store`, `record` | the opened schemas; one of them; its SQLite file |
//! | `layout`, `index` | what of a schema is indexed; blocks and snapshots |
//! | `rank` | matching and scoring |
//! | [`kernel`] | the scoring kernels, the only place with `unsafe` |

mod backend;
mod catalog;
mod config;
mod error;
mod feed;
mod folder;
mod index;
#[doc(hidden)]
pub mod kernel;
mod layout;
mod open_stores;
mod rank;
mod record;
mod search;
mod tenant_store;
mod tensor_cells;

pub use backend::{EmbeddedBackend, Resources};
pub use config::{Durability, EmbeddedConfig};
pub use record::{Damage, Verification};
