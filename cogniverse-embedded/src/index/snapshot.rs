//! All documents of a tenant schema at one moment.

use super::{Block, IndexedDocument};
use crate::layout::Layout;
use std::sync::Arc;

/// A block is never merged beyond this many documents.
pub(crate) const MAX_BLOCK: usize = 8192;

/// All documents at one moment. Cheap to clone; a search keeps the one it began with.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    layout: Arc<Layout>,
    /// In ascending order of row.
    blocks: Vec<BlockView>,
    /// Per text field, its words over all living documents.
    words: Vec<u64>,
    live: usize,
    /// The write after which this is what the record holds.
    moment: i64,
}

/// A block and which of its documents live.
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

    /// The next moment: documents of `removed` rows are gone, `added` are there. Rows of `added` are ascending and larger
    /// than any before.
    pub(crate) fn next(&self, removed: &[i64], added: Vec<IndexedDocument>) -> Self {
        let mut next = self.clone();
        for row in removed {
            next.remove(*row);
        }
        next.append(added);
        next.settle();
        next
    }

    /// The same documents, as those of a moment of the record.
    pub(crate) fn at(mut self, moment: i64) -> Self {
        self.moment = moment;
        self
    }

    /// The moment of the record that this is.
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

    /// Drops empty blocks, and merges the last ones while the newer is at least half as large as the older: each document
    /// is copied a logarithmic number of times, and the number of blocks stays logarithmic too.
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

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn blocks(&self) -> &[BlockView] {
        &self.blocks
    }

    /// Words of a text field over all living documents, exact at every moment.
    pub(crate) fn words(&self, text: usize) -> u64 {
        self.words.get(text).copied().unwrap_or(0)
    }

    /// Number of documents.
    pub(crate) fn len(&self) -> usize {
        self.live
    }
}
