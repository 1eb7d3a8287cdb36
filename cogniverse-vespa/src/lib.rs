//! The search backend for Vespa: it deploys tenant schemas into an application, feeds and searches them, and keeps
//! configuration there too.
//!
//! Each tenant schema is a Vespa schema of its own. A deployment is a compare-and-set over the config server's sessions, so
//! that two processes never take back each other's; what is not this library's stays byte for byte. A search names its one
//! schema twice, carries user text only as a parameter, and checks whose each hit is.
//!
//! ```no_run
//! use cogniverse_vespa::{VespaBackend, VespaConfig};
//!
//! # fn main() -> cogniverse_sdk::Result<()> {
//! let backend = VespaBackend::new(VespaConfig::new("http://localhost:8080", "http://localhost:19071"))?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `config`, `client`, `error`, `wire` | settings; calls with retries; one table of errors; shapes of answers |
//! | `schema`, `services`, `overrides`, `manifest`, `application` | the files of an application package, and edits of them |
//! | `config_server`, `deploy`, `plan` | the deploy API; compare-and-set; what would change |
//! | `catalog`, `backend` | what is deployed; the backend and its schema side |
//! | `document_path`, `document_json`, `tensor_json` | documents on the wire |
//! | `feed`, `documents`, `visit`, `condition` | its document side; filters in Vespa's two languages |
//! | `retrieval`, `search_request`, `response`, `search` | its search |
//! | `config_schema`, `config_record`, `config_store` | configuration versions in Vespa |

mod application;
mod backend;
mod catalog;
mod client;
mod condition;
mod config;
mod config_record;
mod config_schema;
mod config_server;
mod config_store;
mod deploy;
mod document_json;
mod document_path;
mod documents;
mod error;
mod feed;
#[cfg(test)]
mod judged;
mod manifest;
mod overrides;
mod plan;
mod response;
mod retrieval;
mod schema;
mod search;
mod search_request;
mod services;
mod tensor_json;
mod visit;
mod wire;

pub use backend::VespaBackend;
pub use config::{ResourceLimits, VespaConfig};
pub use config_store::VespaConfigStore;
pub use feed::{Condition, Feed, FeedOperation};
pub use plan::DeploymentPlan;
