//! Memories of agents: texts with an owner, timestamps and a history.

mod event;
mod record;
mod scope;

pub use event::{MemoryEvent, MemoryEventKind};
pub use record::{Memory, MemoryOrigin, NewMemory};
pub use scope::{AgentId, MemoryId, MemoryReach, MemoryScope, ScopePart, SessionId, UserId};
