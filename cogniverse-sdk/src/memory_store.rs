//! The role that stores memories of agents.

mod request;
mod search;

pub use request::{
    AddMemories, Added, ClearMemories, DeleteMemory, GetMemory, ListMemories, MemoryChange, MemoryFilter,
    MemoryHistory, MemoryPage, MemoryStats, UpdateMemory,
};
pub use search::{MemoryHit, MemoryHits, MemorySignals, MemoryWeights, SearchMemories};

use crate::{Result, memory::Memory, memory::MemoryEvent, memory::MemoryReach};
use async_trait::async_trait;
use std::fmt;

/// A store of one tenant's memories. The tenant is fixed when the store is opened; no method names another.
///
/// # Contract
/// - An id alone selects nothing: `get`, `update`, `delete` and `history` look only in the scope that they name
///   ([invariant 6](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#6)).
/// - A scope holds each text once, ignoring case and white space, even under concurrent writers; adding an existing
///   text returns the stored memory unchanged.
/// - An expired memory is hidden from `get`, `search`, `list` and `update` unless they ask for expired ones; adding
///   its text again creates it anew. A pinned memory never expires.
/// - A change is in the history when the call returns, and the history outlives the memory.
/// - A list that follows every cursor returns each memory that existed throughout exactly once; a cursor is refused
///   by another tenant's store and for another list ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)).
/// - `clear` removes what existed when it began; memories added meanwhile may remain.
///
/// # Errors
/// `NotFound` for an id that its scope does not have; `InvalidInput` for a vector of the wrong length, of length zero
/// or with NaN, and for a foreign cursor; `Conflict` for an update to the text of another memory of the scope.
///
/// # Cancellation
/// A call whose future is dropped leaves each memory either unchanged or fully changed.
#[async_trait]
pub trait MemoryStore: fmt::Debug + Send + Sync + 'static {
    /// Stores memories in one scope and returns one outcome for each, in order.
    async fn add(&self, request: AddMemories) -> Result<Vec<Added>>;

    /// Reads one memory; `None` where the scope does not have it.
    async fn get(&self, request: GetMemory) -> Result<Option<Memory>>;

    /// Searches memories, best first.
    async fn search(&self, request: SearchMemories) -> Result<MemoryHits>;

    /// Lists one page of memories.
    async fn list(&self, request: ListMemories) -> Result<MemoryPage>;

    /// Changes one memory and returns its new state.
    async fn update(&self, request: UpdateMemory) -> Result<Memory>;

    /// Deletes one memory and returns its last state.
    async fn delete(&self, request: DeleteMemory) -> Result<Memory>;

    /// Deletes all memories of a reach and returns how many there were.
    async fn clear(&self, request: ClearMemories) -> Result<u64>;

    /// Returns the history of one memory, oldest entry first.
    async fn history(&self, request: MemoryHistory) -> Result<Vec<MemoryEvent>>;

    /// Returns the statistics of a reach.
    async fn stats(&self, reach: &MemoryReach) -> Result<MemoryStats>;
}

const _: fn(&dyn MemoryStore) = |_| {};
