//! The in-memory index of a tenant schema: immutable blocks of documents and snapshots of them.
//!
//! A search takes one [`Snapshot`] and holds no lock while it scans. A writer creates the next one: it marks replaced
//! documents dead, adds a block, and merges small blocks, so that their number is logarithmic in the size of the
//! corpus.

mod bits;
mod block;
#[cfg_attr(not(test), expect(dead_code, reason = "for the scan of codes"))]
mod codes;
mod columns;
mod float_cache;
mod floats;
mod snapshot;
mod terms;

pub(crate) use bits::BitArena;
pub(crate) use block::{Block, IndexedDocument};
#[expect(unused_imports, reason = "for the scan of codes")]
pub(crate) use codes::CodeArena;
pub(crate) use columns::Columns;
pub(crate) use float_cache::{FloatCache, FloatSlot, KeptFloats};
pub(crate) use floats::{FloatArena, FloatRows};
pub(crate) use snapshot::{BlockView, Snapshot};
pub(crate) use terms::{DocumentTerms, TermIndex};
