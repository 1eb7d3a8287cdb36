//! The profile-agnostic video search agent: built once, it serves every tenant and profile.
//!
//! Tenant and profile come with each call and cannot be given to the agent's builder:
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
//! | [`request`], [`response`] | what a search asks and answers |
//! | [`agent`] | the flow of a search, from the tenant's state to typed results |
//! | `plan` | profile, schema, strategy and encoder of a search |
//! | `encoding` | query encoders by name, and the cache of what they made |
//! | `fusion`, `moment` | many profiles in one list; neighbouring hits as one moment |
//! | [`recall`] | what is remembered of users, and what became of results |
//! | [`cursor`] | pages that belong to one tenant and one query |

pub mod agent;
pub mod cursor;
mod encoding;
mod fusion;
mod moment;
mod plan;
pub mod recall;
pub mod request;
pub mod response;
mod telemetry;

pub use agent::{VideoSearchAgent, VideoSearchAgentBuilder};
pub use cursor::PageCursor;
pub use recall::{MemoryOptions, Outcome, Recall, Recalled, Verdict};
pub use request::{Grouping, LeakPolicy, SearchRequest};
pub use response::{Degradation, Evidence, ProfileAnswer, SearchResponse, SearchResult, Snippet};
