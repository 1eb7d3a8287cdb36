//! Keeping what agents remember.

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

/// The memories of one tenant: a store is a tenant's from when it is made, and has no way to name another.
///
/// # Contract
/// - An id alone reaches nothing: `get`, `update`, `delete` and `history` look in the one scope that they name (invariant 6).
/// - Two texts that are equal but for case and white space are one memory of a scope, also where two writers add them at
///   once; `add` answers with the memory that is there, unchanged.
/// - A memory whose time is over is not there for `get`, `search`, `list` and `update`, unless they ask for expired ones;
///   adding its text again makes it anew. A pinned memory never expires.
/// - What was changed is in the history when the call returns, and the history stays when the memory goes.
/// - A list that follows every cursor returns each memory that was there throughout exactly once; a cursor is refused by
///   another tenant's store and for another list (invariant 8).
/// - `clear` takes what was there when it began; what is added meanwhile may stay.
///
/// # Errors
/// `NotFound` for an id that its scope does not have; `InvalidInput` for a vector of another length than the store's, with NaN
/// or of length 0, and for a foreign cursor; `Conflict` for an update to the text of another memory of the scope.
///
/// # Cancellation
/// A dropped call leaves each memory as before or as asked for.
#[async_trait]
pub trait MemoryStore: fmt::Debug + Send + Sync + 'static {
    /// Stores memories of one scope: one answer for each, in order.
    async fn add(&self, request: AddMemories) -> Result<Vec<Added>>;

    /// Reads one memory.
    async fn get(&self, request: GetMemory) -> Result<Option<Memory>>;

    /// Ranks memories.
    async fn search(&self, request: SearchMemories) -> Result<MemoryHits>;

    /// One page of all memories.
    async fn list(&self, request: ListMemories) -> Result<MemoryPage>;

    /// Changes one memory; answers with it as it is then.
    async fn update(&self, request: UpdateMemory) -> Result<Memory>;

    /// Deletes one memory; answers with it as it was.
    async fn delete(&self, request: DeleteMemory) -> Result<Memory>;

    /// Deletes all memories of a reach; answers how many there were.
    async fn clear(&self, request: ClearMemories) -> Result<u64>;

    /// What became of one memory, oldest first.
    async fn history(&self, request: MemoryHistory) -> Result<Vec<MemoryEvent>>;

    /// Figures of a reach.
    async fn stats(&self, reach: &MemoryReach) -> Result<MemoryStats>;
}

const _: fn(&dyn MemoryStore) = |_| {};
