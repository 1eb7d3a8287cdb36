//! Memories of agents, per tenant.
//!
//! [`MemoryService`] opens tenants' memories; a [`MemoryManager`] holds those of one tenant. It embeds texts, lets a
//! language model extract facts on request, and keeps memories in a [`cogniverse_sdk::MemoryStore`]: the tenant's own
//! schema `agent_memories` on the search backend. Each call names a scope within the tenant, and an id means nothing
//! without one: the scope is part of a memory's address.
//!
//! Histories are in the same schema: a single feed writes a memory with its history entry, a backup includes both,
//! and erasing the tenant's schemas erases both.
//!
//! | module | what it holds |
//! |---|---|
//! | `service`, `manager` | opening tenants' memories; the calls |
//! | `remembering`, `inference`, `prompt`, `decision` | from messages to memories |
//! | `backend_store`, `lookup`, `document`, `condition`, `cursor` | memories as documents of a backend |
//! | `in_memory` | a store in main memory |
//! | [`bounds`], `rules`, `identity` | limits, and the identity of memories |
//! | `reembed`, `transfer` | re-embedding; export and import |

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
mod isolation;
mod known_texts;
mod lookup;
mod manager;
mod prompt;
mod reembed;
mod remembering;
mod report;
mod request;
mod rules;
mod schemas;
mod service;
mod telemetry;
mod transfer;

pub(crate) use isolation::{attack_memories, canary_id, remove_planted};
pub(crate) use schemas::STAGE_BASE;

pub use backend_store::BackendMemoryStore;
pub use in_memory::InMemoryMemoryStore;
pub use manager::MemoryManager;
pub use reembed::ReembedReport;
pub use report::{MemoryAction, MemoryDecision, MemoryReport};
pub use request::{MemoryQuery, Remember, Revise};
pub use service::MemoryService;
pub use transfer::{ImportReport, read_export};
