//! Snapshots of all documents of a tenant schema.

mod folding;

pub(crate) use folding::{StoredAs, StoredChange};

use super::{Block, IndexedDocument, Places};
use crate::layout::Layout;
use cogniverse_core::text::{LANGUAGE_FIELD, Language};
use cogniverse_sdk::{FieldName, FieldValue};
use std::{collections::BTreeSet, sync::Arc};

/// The largest number of documents in a merged block.
const MAX_BLOCK: usize = 8192;
/// The bound of the bytes of a block whose sections are addressed by 32 bits.
const MAX_BYTES: usize = u32::MAX as usize;

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
    /// The last row of the blocks that are being written out, which stay as they are until then.
    held: i64,
}

/// A block with its living documents.
#[derive(Debug, Clone)]
pub(crate) struct BlockView {
    pub(crate) block: Arc<Block>,
    pub(crate) live: Places,
    live_count: usize,
    /// The file in which the block lies; `None` where it is in memory alone.
    stored: Option<StoredAs>,
}

impl BlockView {
    fn new(block: Block) -> Self {
        let live_count = block.len();
        Self { live: Places::all(live_count), block: Arc::new(block), live_count, stored: None }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.live_count == self.block.len()
    }

    pub(crate) fn is_live(&self, place: usize) -> bool {
        self.live.contains(place)
    }
}

impl Snapshot {
    pub(crate) fn empty(layout: Arc<Layout>) -> Self {
        let words = vec![0; layout.texts.len()];
        Self { layout, blocks: Vec::new(), words, live: 0, moment: 0, held: 0 }
    }

    /// Returns the next snapshot: documents of `removed` rows are deleted, `added` ones are present. Rows of `added`
    /// are ascending and larger than all existing ones.
    pub(crate) fn next(&self, removed: &[i64], added: Vec<IndexedDocument>) -> Self {
        let mut next = self.clone();
        for row in removed {
            next.remove(*row);
        }
        next.append(&added);
        next.settle();
        next
    }

    /// Returns the languages that documents name, where they are analyzed by them. A language may be one of deleted documents.
    pub(crate) fn languages(&self) -> BTreeSet<Language> {
        let blocks = self.blocks.iter().filter(|_| self.layout.languages);
        blocks.flat_map(|view| view.block.columns().texts_of(LANGUAGE_FIELD)).filter_map(Language::of).collect()
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
        let after = self.blocks.partition_point(|view| view.block.rows().first().is_some_and(|first| first <= row));
        let Some(view) = after.checked_sub(1).and_then(|index| self.blocks.get_mut(index)) else { return };
        let Some(place) = view.block.rows().find(row) else { return };
        if view.live.unset(place) {
            view.live_count -= 1;
            self.live -= 1;
            for (text, words) in self.words.iter_mut().enumerate() {
                let length = view.block.text(text).and_then(|index| index.lengths().get(place));
                *words -= u64::from(length.unwrap_or(0));
            }
        }
    }

    fn append(&mut self, added: &[IndexedDocument]) {
        self.live += added.len();
        for document in added {
            for (words, field) in self.words.iter_mut().zip(&document.terms.fields) {
                *words += u64::from(field.length);
            }
        }
        let mut rest = added;
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(piece(rest));
            self.blocks.push(BlockView::new(Block::build(&self.layout, piece)));
            rest = others;
        }
    }

    /// Drops empty blocks, and merges the last two in memory while the newer is at least half as large as the older: each
    /// document is copied, and blocks exist, a logarithmic number of times. Blocks in files are merged in the background.
    fn settle(&mut self) {
        let held = self.held;
        let is_held = |view: &BlockView| view.last_row().is_some_and(|last| last <= held);
        self.blocks.retain(|view| view.live_count > 0 || is_held(view));
        for view in self.blocks.iter_mut().filter(|view| view.stored.is_none() && !is_held(view)) {
            if view.live_count * 2 < view.block.len() {
                *view = BlockView::new(Block::merge(&self.layout, &[(&*view.block, &view.live)]));
            }
        }
        while let [.., older, newer] = self.blocks.as_slice() {
            let documents = older.live_count + newer.live_count;
            let bytes = older.block.bytes().get().len().saturating_add(newer.block.bytes().get().len());
            let in_memory = older.stored.is_none() && newer.stored.is_none() && !is_held(older);
            if !in_memory || older.live_count > newer.live_count * 2 || documents > MAX_BLOCK || bytes > MAX_BYTES {
                break;
            }
            let parts = [(&*older.block, &older.live), (&*newer.block, &newer.live)];
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
            let places = view.live.iter().map(|place| place as usize).filter(|place| in_file(*place));
            rows.extend(places.filter_map(|place| view.block.row(place)));
        }
        rows
    }

    /// Returns whether any document has vectors of a tensor field.
    pub(crate) fn has_vectors(&self, field: &FieldName) -> bool {
        let (bits, floats) = (self.layout.bit_field(field), self.layout.float_field(field));
        self.blocks.iter().any(|view| {
            let arena = bits.and_then(|bits| view.block.bits(bits));
            view.live.iter().map(|place| place as usize).any(|place| {
                arena.as_ref().is_some_and(|arena| arena.has(place))
                    || floats.is_some_and(|floats| view.block.cells_at(floats, place).is_some())
            })
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

/// Returns the number of leading documents that fit in a block: at least one.
fn piece(documents: &[IndexedDocument]) -> usize {
    let texts = |document: &IndexedDocument| {
        let terms = document.terms.fields.iter().flat_map(|field| &field.counts).map(|(term, _)| term.len() + 16);
        let fields = document.fields.values().map(|value| match value {
            FieldValue::String(text) => text.len(),
            FieldValue::Strings(texts) => texts.iter().map(|text| text.len() + 8).sum(),
            _ => 16,
        });
        document.id.as_str().len() + terms.sum::<usize>() + fields.sum::<usize>()
    };
    let sizes = documents.iter().take(MAX_BLOCK).map(texts);
    let fit = sizes.scan(0_usize, |sum, size| {
        *sum = sum.saturating_add(size);
        Some(*sum)
    });
    fit.take_while(|sum| *sum < MAX_BYTES / 2).count().max(1)
}
