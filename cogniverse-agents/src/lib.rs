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
//! A search goes through four stages, one module each: `route` (which profiles), `plan` (schema, strategy and encoder of
//! each), `retrieve` (encode and search), `arrange` (fuse, rerank, page). Its record is made into spans, metrics and
//! experience.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`], [`parameters`], [`response`] | requests, built in code or read from a customer's JSON; responses |
//! | `snippet` | highlights: ranges, marked text, HTML |
//! | [`agent`] | the flow of a search, from the tenant's state to typed results |
//! | `route`, `plan`, `retrieve`, `arrange` | its stages |
//! | [`routing`] | what a query asks for: classifier, language model, keywords |
//! | [`rerank`] | rerankers by five signals and by a language model |
//! | `answer` | texts made from results, with citations |
//! | [`record`] | what happened in a search, and who is told |
//! | [`experience`], [`optimization`] | what is remembered of searches, and what is learned from it |
//! | `encoding` | query encoders by name, and the cache of their vectors |
//! | `like`, `picture` | a stored segment, or a picture, as the query |
//! | `fusion`, `moment` | fusion of several profiles; merging of adjacent hits into moments |
//! | [`recall`] | memories recalled beside a search, and verdicts on results |
//! | `cursor`, `tenant_lru` | page cursors, bound to one tenant and one query; caches that tenants share |

pub mod agent;
mod answer;
mod arrange;
mod cursor;
mod encoding;
pub mod experience;
mod fusion;
mod like;
mod moment;
pub mod optimization;
pub mod parameters;
mod picture;
mod plan;
pub mod recall;
pub mod record;
pub mod request;
pub mod rerank;
pub mod response;
mod retrieve;
mod route;
pub mod routing;
mod snippet;
mod telemetry;
mod tenant_lru;

pub use agent::{SearchEvent, VideoSearchAgent, VideoSearchAgentBuilder};
pub use cogniverse_sdk::PageCursor;
pub use experience::{ExperienceRecorder, ExperienceSurface};
pub use optimization::{
    OptimizationOptions, OptimizationOrchestrator, OptimizationParts, OptimizationReport, OptimizationStatus,
};
pub use parameters::SearchParameters;
pub use recall::{MemoryOptions, Outcome, OutcomeReport, Recall, Recalled, Verdict};
pub use record::{RouteRecord, SearchObserver, SearchRecord, StageTimes};
pub use request::{AnswerMode, Grouping, Like, SearchRequest};
pub use rerank::{LanguageModelReranker, SignalReranker, SignalWeights};
pub use response::{
    Answer, Citation, Degradation, Evidence, ProfileAnswer, Reranked, Reranking, SearchResponse, SearchResult,
    Statement,
};
pub use routing::{Generation, LeftOut, Route, RouteTier, Router};
pub use snippet::Snippet;
