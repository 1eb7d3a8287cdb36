//! The index of a tenant schema: immutable blocks of documents and snapshots of them.
//!
//! A block is one flat sequence of bytes, the same in memory and in a file ([`format`]).
//!
//! A search takes one [`Snapshot`] and holds no lock while it scans. A writer creates the next one: it marks replaced
//! documents dead, adds a block, and merges small blocks, so that their number is logarithmic in the size of the
//! corpus.

mod bits;
mod block;
mod bytes;
mod cells_at;
mod code_cache;
mod codes;
mod columns;
mod floats;
mod format;
mod merge;
mod places;
mod postings;
mod snapshot;
mod strings;
mod term_index;
mod terms;

pub(crate) use bits::BitArena;
pub(crate) use block::{Block, IndexedDocument};
pub(crate) use bytes::BlockBytes;
pub(crate) use cells_at::CellsAt;
pub(crate) use code_cache::{CODE_RUN, CodeCache, CodeSlot, Codes};
pub(crate) use codes::CodeArena;
pub(crate) use columns::{ColumnOrder, ColumnValue, Columns, Rank, compare_values};
pub(crate) use floats::FloatRows;
pub(crate) use places::{Places, ones};
pub(crate) use postings::{Decoded, Postings, RUN};
pub(crate) use snapshot::{BlockView, Snapshot, StoredAs, StoredChange};
pub(crate) use term_index::TermIndex;
pub(crate) use terms::DocumentTerms;
