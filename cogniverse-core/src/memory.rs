//! What agents remember, tenant by tenant.
//!
//! [`MemoryService`] opens tenants' memories; a [`MemoryManager`] is the memory of one. It embeds what is remembered, lets a
//! language model draw facts where that is asked for, and keeps memories in a [`cogniverse_sdk::MemoryStore`]: the tenant's own
//! schema `agent_memories` on the search backend. Each call names a scope within the tenant, and an id means nothing without
//! one: the scope is part of a memory's address.
//!
//! History lives in the same schema as the memories: one feed then carries a memory and the entry of its history, a backup
//! carries both, and erasing the tenant's schemas erases both.
//!
//! | module | what it holds |
//! |---|---|
//! | `service`, `manager` | opening tenants' memories; the calls |
//! | `remembering`, `inference`, `prompt`, `decision` | from what was said to memories |
//! | `backend_store`, `lookup`, `document`, `condition`, `cursor` | memories as documents of a backend |
//! | `in_memory` | memories in memory |
//! | [`bounds`], `rules`, `identity` | what may be remembered, and what makes two memories one |
//! | `reembed`, `transfer` | another model; another place |

mod backend_store;
pub mod bounds;
mod condition;
mod cursor;
mod decision;
mod document;
mod embedding;
mod identity;
mod in_memory;
mod inference;
mod lookup;
mod manager;
mod prompt;
mod reembed;
mod remembering;
mod report;
mod request;
mod rules;
mod service;
mod telemetry;
mod transfer;

pub use backend_store::BackendMemoryStore;
pub use in_memory::InMemoryMemoryStore;
pub use manager::MemoryManager;
pub use reembed::ReembedReport;
pub use report::{MemoryAction, MemoryDecision, MemoryReport};
pub use request::{MemoryQuery, Remember, Revise};
pub use service::MemoryService;
pub use transfer::{ImportReport, read_export};
