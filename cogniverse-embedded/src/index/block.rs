//! Blocks: immutable runs of documents.

use super::{BitArena, CellsAt, Columns, DocumentTerms, TermIndex};
use crate::layout::Layout;
use cogniverse_sdk::{DocumentId, document::Fields};

/// A document to be added to a block.
#[derive(Debug, Clone)]
pub(crate) struct IndexedDocument {
    /// The row in the record; a replaced document gets a new, larger one.
    pub(crate) row: i64,
    pub(crate) id: DocumentId,
    /// The fields without tensors.
    pub(crate) fields: Fields,
    pub(crate) terms: DocumentTerms,
    /// The packed rows of each binary tensor of the layout.
    pub(crate) bits: Vec<Option<Vec<u8>>>,
    /// Where the document's vectors lie, for each float tensor of the layout.
    pub(crate) floats: Vec<Option<CellsAt>>,
}

/// An immutable run of documents in ascending order of row.
#[derive(Debug)]
pub(crate) struct Block {
    rows: Vec<i64>,
    ids: Vec<DocumentId>,
    columns: Columns,
    texts: Vec<TermIndex>,
    bits: Vec<BitArena>,
    /// Where the vectors lie, by float tensor and document.
    cells_at: Vec<Vec<Option<CellsAt>>>,
}

impl Block {
    fn empty(layout: &Layout) -> Self {
        Self {
            rows: Vec::new(),
            ids: Vec::new(),
            columns: Columns::new(layout),
            texts: layout.texts.iter().map(|_| TermIndex::default()).collect(),
            bits: layout.bits.iter().map(BitArena::new).collect(),
            cells_at: layout.floats.iter().map(|_| Vec::new()).collect(),
        }
    }

    pub(crate) fn build(layout: &Layout, documents: Vec<IndexedDocument>) -> Self {
        let mut block = Self::empty(layout);
        for document in documents {
            block.rows.push(document.row);
            block.ids.push(document.id);
            block.columns.push(&document.fields);
            for (index, terms) in block.texts.iter_mut().zip(document.terms.fields) {
                index.push(terms);
            }
            for (arena, rows) in block.bits.iter_mut().zip(&document.bits) {
                arena.push(rows.as_deref());
            }
            for (column, at) in block.cells_at.iter_mut().zip(&document.floats) {
                column.push(*at);
            }
        }
        block
    }

    /// Merges the living documents of several blocks, in order.
    pub(crate) fn merge(layout: &Layout, parts: &[(&Self, &[bool])]) -> Self {
        let mut block = Self::empty(layout);
        for (part, live) in parts {
            let mut next = u32::try_from(block.rows.len()).unwrap_or(u32::MAX);
            let kept: Vec<Option<u32>> = live
                .iter()
                .map(|live| {
                    live.then(|| {
                        next += 1;
                        next - 1
                    })
                })
                .collect();
            let alive = |place: &usize| live.get(*place).copied().unwrap_or(false);
            block.rows.extend(part.rows.iter().enumerate().filter(|(place, _)| alive(place)).map(|(_, row)| *row));
            block.ids.extend(part.ids.iter().enumerate().filter(|(place, _)| alive(place)).map(|(_, id)| id.clone()));
            block.columns.append(&part.columns, &kept);
            block.texts.iter_mut().zip(&part.texts).for_each(|(to, from)| to.append(from, &kept));
            block.bits.iter_mut().zip(&part.bits).for_each(|(to, from)| to.append(from, &kept));
            for (to, from) in block.cells_at.iter_mut().zip(&part.cells_at) {
                to.extend(from.iter().enumerate().filter(|(place, _)| alive(place)).map(|(_, at)| *at));
            }
        }
        block
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn rows(&self) -> &[i64] {
        &self.rows
    }

    pub(crate) fn row(&self, place: usize) -> Option<i64> {
        self.rows.get(place).copied()
    }

    pub(crate) fn id(&self, place: usize) -> Option<&DocumentId> {
        self.ids.get(place)
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(crate) fn text(&self, field: usize) -> Option<&TermIndex> {
        self.texts.get(field)
    }

    pub(crate) fn texts(&self) -> &[TermIndex] {
        &self.texts
    }

    pub(crate) fn bits(&self, field: usize) -> Option<&BitArena> {
        self.bits.get(field)
    }

    /// Returns where a document's vectors of a float field lie; `None` where it has none.
    pub(crate) fn cells_at(&self, field: usize, place: usize) -> Option<CellsAt> {
        self.cells_at.get(field).and_then(|column| column.get(place)).copied().flatten()
    }
}
