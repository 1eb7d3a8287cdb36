//! A server with Vespa's wire, for tests: of cogniverse, and of programs that use it.
//!
//! It takes deployments as Vespa's config server does, with sessions and their compare-and-set, and documents and searches
//! as Vespa's container does. It speaks HTTP/1.1 and HTTP/2 in the clear, and does wrong what a test orders.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> cogniverse_sdk::Result<()> {
//! use vespa_testkit::{Fault, Route, TestServer};
//!
//! let server = TestServer::start().await?;
//! server.faults().next(Route::Documents, 3, Fault::Status(429));
//! println!("documents {}, deployments {}", server.url(), server.config_url());
//! assert_eq!(server.generation(), None);
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//!
//! - **Not proton.** Documents are kept in memory. Its speed, its memory and its limits are not Vespa's, nothing
//!   is written twice, and a feed is blocked only where a test orders it.
//! - **Not HNSW.** Nearest neighbours are exact, or the embedded engine's; its recall says nothing about Vespa's.
//! - **Not Vespa's linguistics.** Words are split and stemmed by the embedded engine.
//! - **Not a config server of many nodes.** There is one node, no ZooKeeper, no tenant or application but "default", and the
//!   parameters `timeout`, `verbose`, `debug`, `vespaVersion` and `ignoreValidationErrors` change nothing.
//! - **Not Vespa's checks of a package.** What is checked is what the tests of cogniverse need.
//! - **Not every rank expression.** Phases that are formulas of a cogniverse schema are scored by the embedded engine (the best
//!   10,000 documents of a type, each phase). In others numbers, `attribute`, `bm25`, `nativeRank` (bm25 over all text fields),
//!   `closeness` and functions of these have values; anything else is 0, and so is a query's input that is missing.
//! - Queries neither group nor match regular expressions; answers are JSON, whatever else is accepted.
//! - A `timeChunk` below a second ends after a quarter of the buckets, so that a client has something to continue.
//! - Reindexing ends at once and does nothing. A package may hold 256 MiB, unpacked, and a body 100 MiB.
//!
//! `tests/requests.json` holds requests that Vespa's own container and this server answer alike (status, error code, shape);
//! its rows with `differs` say where they do not, and why.
//!
//! # Modules
//!
//! | module | what it holds |
//! |---|---|
//! | `test_server`, `options`, `stop` | a running server; how it starts and ends |
//! | `transport`, `server` | HTTP; what answers behind the two ports |
//! | `message`, `route`, `request_log` | a request and an answer; which part of the wire it is for; those seen |
//! | `faults` | what goes wrong, where and how often |
//! | `config_server`, `rollout`, `topology` | the deploy API; from activation to being in force; the services of a package |
//! | `content` | document types, `/document/v1` and `/search/` |
//! | `health` | health, state and metrics |

mod config_server;
mod content;
mod faults;
mod health;
mod message;
mod options;
mod request_log;
mod rollout;
mod route;
mod server;
mod stop;
mod test_server;
mod topology;
mod transport;

pub use faults::{Fault, FaultId, Faults};
pub use options::TestServerOptions;
pub use request_log::SeenRequest;
pub use route::Route;
pub use test_server::TestServer;
