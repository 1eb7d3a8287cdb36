//! The search backend for Vespa: deploys tenant schemas to an application, feeds and searches them, and stores
//! configuration.
//!
//! Each tenant schema is a Vespa schema of its own. A deployment is a compare-and-set over the config server's
//! sessions, so that concurrent deployments never revert each other, and it keeps everything that is not this
//! library's byte for byte. A search names its schema twice, passes user text only as a parameter, and verifies the
//! owner of each hit.
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
//! | `config_server`, `deploy`, `plan` | the deploy API; compare-and-set; deployment plans |
//! | `catalog`, `backend` | the cached catalog of deployed schemas; the backend and its `SchemaStore` |
//! | `document_path`, `document_json`, `tensor_json` | documents on the wire |
//! | `feed`, `documents`, `visit`, `condition` | its `DocumentStore`; filters in Vespa's two languages |
//! | `retrieval`, `search_request`, `response`, `search` | its search |
//! | `probe` | the health of the container and the config server |
//! | `config_schema`, `config_record`, `config_store`, `quota_store` | configuration versions and the use of quotas in Vespa |

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
mod facets;
mod feed;
mod json_key;
#[cfg(test)]
mod judged;
mod listing;
mod manifest;
mod overrides;
mod plan;
mod probe;
mod quota_store;
mod response;
mod retrieval;
mod schema;
mod search;
mod search_request;
mod services;
mod tensor_json;
mod visit;
mod wire;
mod word_condition;

pub use backend::VespaBackend;
pub use config::{ResourceLimits, VespaConfig};
pub use config_store::VespaConfigStore;
pub use feed::{Condition, Feed, FeedOperation};
pub use plan::DeploymentPlan;
pub use quota_store::VespaQuotaStore;
