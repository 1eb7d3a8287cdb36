//! Snapshots of all documents of a tenant schema.

use super::{Block, IndexedDocument};
use crate::layout::Layout;
use cogniverse_sdk::FieldName;
use std::sync::Arc;

/// The largest number of documents in a merged block.
pub(crate) const MAX_BLOCK: usize = 8192;

/// An immutable view of all documents after one write. Cheap to clone; a search keeps the one it started with.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    layout: Arc<Layout>,
    /// The blocks, in ascending row order.
    blocks: Vec<BlockView>,
    /// The number of words over all living documents, by text field.
    words: Vec<u64>,
    live: usize,
    /// The write that the snapshot reflects.
    moment: i64,
}

/// A block with its living documents.
#[derive(Debug, Clone)]
pub(crate) struct BlockView {
    pub(crate) block: Arc<Block>,
    pub(crate) live: Arc<Vec<bool>>,
    live_count: usize,
}

impl BlockView {
    fn new(block: Block) -> Self {
        let live_count = block.len();
        Self { live: Arc::new(vec![true; live_count]), block: Arc::new(block), live_count }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.live_count == self.block.len()
    }

    pub(crate) fn is_live(&self, place: usize) -> bool {
        self.live.get(place).copied().unwrap_or(false)
    }
}

impl Snapshot {
    pub(crate) fn empty(layout: Arc<Layout>) -> Self {
        let words = vec![0; layout.texts.len()];
        Self { layout, blocks: Vec::new(), words, live: 0, moment: 0 }
    }

    /// Returns the next snapshot: documents of `removed` rows are deleted, `added` ones are present. Rows of `added`
    /// are ascending and larger than all existing ones.
    pub(crate) fn next(&self, removed: &[i64], added: Vec<IndexedDocument>) -> Self {
        let mut next = self.clone();
        for row in removed {
            next.remove(*row);
        }
        next.append(added);
        next.settle();
        next
    }

    /// Sets the write that the snapshot reflects.
    pub(crate) fn at(mut self, moment: i64) -> Self {
        self.moment = moment;
        self
    }

    /// Returns the write that the snapshot reflects.
    pub(crate) fn moment(&self) -> i64 {
        self.moment
    }

    fn remove(&mut self, row: i64) {
        let after = self.blocks.partition_point(|view| view.block.rows().first().is_some_and(|first| *first <= row));
        let Some(view) = after.checked_sub(1).and_then(|index| self.blocks.get_mut(index)) else { return };
        let Ok(place) = view.block.rows().binary_search(&row) else { return };
        let Some(live) = Arc::make_mut(&mut view.live).get_mut(place) else { return };
        if std::mem::replace(live, false) {
            view.live_count -= 1;
            self.live -= 1;
            for (words, text) in self.words.iter_mut().zip(view.block.texts()) {
                *words -= u64::from(text.length(place));
            }
        }
    }

    fn append(&mut self, mut added: Vec<IndexedDocument>) {
        self.live += added.len();
        for document in &added {
            for (words, field) in self.words.iter_mut().zip(&document.terms.fields) {
                *words += u64::from(field.length);
            }
        }
        while !added.is_empty() {
            let rest = added.split_off(added.len().min(MAX_BLOCK));
            self.blocks.push(BlockView::new(Block::build(&self.layout, added)));
            added = rest;
        }
    }

    /// Drops empty blocks, and merges the last two while the newer is at least half as large as the older: each
    /// document is copied, and blocks exist, a logarithmic number of times.
    fn settle(&mut self) {
        self.blocks.retain(|view| view.live_count > 0);
        for view in &mut self.blocks {
            if view.live_count * 2 < view.block.len() {
                *view = BlockView::new(Block::merge(&self.layout, &[(&*view.block, view.live.as_slice())]));
            }
        }
        while let [.., older, newer] = self.blocks.as_slice() {
            if older.live_count > newer.live_count * 2 || older.live_count + newer.live_count > MAX_BLOCK {
                break;
            }
            let parts = [(&*older.block, older.live.as_slice()), (&*newer.block, newer.live.as_slice())];
            let merged = BlockView::new(Block::merge(&self.layout, &parts));
            self.blocks.truncate(self.blocks.len() - 2);
            self.blocks.push(merged);
        }
    }

    /// Returns the rows of living documents that have float vectors in a file, in order.
    pub(crate) fn rows_in_file(&self, number: u32) -> Vec<i64> {
        let fields = 0..self.layout.floats.len();
        let mut rows = Vec::new();
        for view in &self.blocks {
            let in_file = |place: usize| {
                fields.clone().any(|field| view.block.cells_at(field, place).is_some_and(|at| at.file == number))
            };
            let places = (0..view.block.len()).filter(|place| view.is_live(*place) && in_file(*place));
            rows.extend(places.filter_map(|place| view.block.row(place)));
        }
        rows
    }

    /// Returns whether any document has vectors of a tensor field.
    pub(crate) fn has_vectors(&self, field: &FieldName) -> bool {
        let (bits, floats) = (self.layout.bit_field(field), self.layout.float_field(field));
        self.blocks.iter().any(|view| {
            let has = |place: usize| {
                bits.and_then(|bits| view.block.bits(bits)).is_some_and(|arena| arena.has(place))
                    || floats.is_some_and(|floats| view.block.cells_at(floats, place).is_some())
            };
            (0..view.block.len()).any(|place| view.is_live(place) && has(place))
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn blocks(&self) -> &[BlockView] {
        &self.blocks
    }

    /// Returns the exact number of words of a text field over all living documents.
    pub(crate) fn words(&self, text: usize) -> u64 {
        self.words.get(text).copied().unwrap_or(0)
    }

    /// Returns the number of documents.
    pub(crate) fn len(&self) -> usize {
        self.live
    }
}
