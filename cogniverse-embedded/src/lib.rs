//! The default search backend: one folder on this machine, without any server.
//!
//! Each tenant schema has a SQLite file as its system of record, which names the files of its vectors and of its index; a feed batch
//! is one transaction. Vectors, and the immutable blocks of the index (terms, attributes, packed sign bits), are mapped and
//! scanned in place by SIMD kernels selected at run time. A search takes one snapshot and no lock. Idle schemas hold no thread.
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
//! | `config`, `backend` | settings; the backend, its `SchemaStore`, and what lies in its folders |
//! | `feed`, `search` | its `DocumentStore`; its search |
//! | `files` | what lies in a tenant's folder, for its erasure |
//! | `cores` | the processor cores that searches share |
//! | `folder`, `catalog` | the data folder; the catalog of deployed tenant schemas |
//! | `returned` | release of free memory after stores are closed |
//! | `open_stores`, `tenant_store`, `record` | the open stores; one store; its SQLite file |
//! | `vectors`, `mapped` | the files of vectors; files mapped into memory |
//! | `upkeep`, `derivations` | the background work on block files; indexes that are being derived anew |
//! | `store_file`, `connections` | the connections to a SQLite file; the pool of those that are idle |
//! | `schemas` | the compiled schemas, which tenants share |
//! | `layout`, `index` | the indexed fields of a schema; blocks and snapshots |
//! | `rank` | matching and scoring |
//! | [`kernel`] | the scoring kernels, with `mapped` and `returned` the only places with `unsafe` |

mod backend;
mod catalog;
mod config;
mod connections;
mod cores;
mod derivations;
mod error;
mod feed;
mod files;
mod folder;
mod index;
#[doc(hidden)]
pub mod kernel;
mod layout;
mod listing;
mod mapped;
mod open_stores;
mod probe;
mod rank;
mod record;
mod returned;
mod schemas;
mod search;
mod snapshot;
mod store_file;
mod tenant_store;
mod tensor_cells;
mod upkeep;
mod vectors;

pub use backend::{EmbeddedBackend, Resources};
pub use config::{Durability, EmbeddedConfig};
pub use derivations::Derivation;
pub use files::EmbeddedFiles;
pub use record::{Damage, Verification};
