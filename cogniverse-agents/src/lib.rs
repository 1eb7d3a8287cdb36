//! The profile-agnostic video search agent: built once, it serves every tenant and profile.
//!
//! Tenant and profile are arguments of each call and cannot be given to the builder:
//!
//! ```compile_fail
//! # use cogniverse_agents::VideoSearchAgentBuilder;
//! # fn wrong(builder: VideoSearchAgentBuilder, tenant: cogniverse_sdk::TenantId) {
//! builder.with_tenant(tenant);
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`], [`parameters`], [`response`] | requests, built in code or read from a customer's JSON; responses |
//! | `snippet` | highlights: ranges, marked text, HTML |
//! | [`agent`] | the flow of a search, from the tenant's state to typed results |
//! | `plan` | the profile, schema, strategy and encoder of a search |
//! | `encoding` | query encoders by name, and the cache of their vectors |
//! | `fusion`, `moment` | fusion of several profiles; merging of adjacent hits into moments |
//! | [`recall`] | memories recalled beside a search, and verdicts on results |
//! | `cursor` | page cursors, bound to one tenant and one query |

pub mod agent;
mod cursor;
mod encoding;
mod fusion;
mod moment;
pub mod parameters;
mod plan;
pub mod recall;
pub mod request;
pub mod response;
mod snippet;
mod telemetry;

pub use agent::{VideoSearchAgent, VideoSearchAgentBuilder};
pub use cogniverse_sdk::PageCursor;
pub use parameters::SearchParameters;
pub use recall::{MemoryOptions, Outcome, Recall, Recalled, Verdict};
pub use request::{Grouping, SearchRequest};
pub use response::{Degradation, Evidence, ProfileAnswer, SearchResponse, SearchResult};
pub use snippet::Snippet;
