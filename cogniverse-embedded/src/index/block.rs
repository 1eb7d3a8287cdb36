//! Blocks: immutable runs of documents in one flat sequence of bytes.

#[cfg(test)]
mod tests;

use super::{
    BitArena, CODE_RUN, CellsAt, CodeSlot, Columns, DocumentTerms, Places, TermIndex,
    bytes::{BlockBytes, I64s},
    cells_at::CELLS_AT,
    columns,
    format::{self, BlockWriter, ID_BYTES, ID_STARTS, Plan, ROWS},
    merge::Part,
    strings::{Strings, StringsBuilder},
};
use crate::layout::Layout;
use cogniverse_sdk::{DocumentId, document::Fields};
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

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
    /// Where the document's vectors are, for each float tensor of the layout.
    pub(crate) floats: Vec<Option<CellsAt>>,
}

/// An immutable run of documents in ascending order of row. All of it but codes is one sequence of bytes (see
/// [`super::format`]), read in place.
#[derive(Debug)]
pub(crate) struct Block {
    layout: Arc<Layout>,
    bytes: BlockBytes,
    sections: Vec<Range<usize>>,
    plan: Plan,
    len: usize,
    /// The codes of each float field, in runs of places, made by searches as the budget allows.
    codes: OnceLock<Vec<Vec<Arc<CodeSlot>>>>,
}

impl Block {
    fn new(layout: &Arc<Layout>, bytes: BlockBytes, sections: Vec<Range<usize>>, len: usize) -> Self {
        let plan = Plan::of(layout);
        Self { layout: Arc::clone(layout), bytes, sections, plan, len, codes: OnceLock::new() }
    }

    /// Opens a block's bytes; `None` where they are damaged, or were derived by another layout or version.
    pub(crate) fn open(bytes: BlockBytes, layout: &Arc<Layout>) -> Option<Self> {
        let header = format::open(bytes.get(), layout)?;
        let block = Self::new(layout, bytes, header.table, header.documents);
        block.fits().then_some(block)
    }

    /// Encodes documents in ascending order of row.
    pub(crate) fn build(layout: &Arc<Layout>, documents: &[IndexedDocument]) -> Self {
        let mut writer = BlockWriter::new(layout, 0);
        writer.list(documents.iter().map(|document| document.row.to_le_bytes()));
        let mut ids = StringsBuilder::new();
        documents.iter().for_each(|document| ids.push(document.id.as_str().as_bytes()));
        ids.write(&mut writer);
        layout.attributes.iter().for_each(|attribute| columns::build(&mut writer, documents, attribute));
        for field in 0..layout.texts.len() {
            TermIndex::build(&mut writer, documents.iter().map(|document| document.terms.fields.get(field)));
        }
        for (index, field) in layout.bits.iter().enumerate() {
            let rows = documents.iter().map(|document| document.bits.get(index).and_then(Option::as_deref));
            BitArena::build(&mut writer, field, rows);
        }
        for field in 0..layout.floats.len() {
            let at = |document: &IndexedDocument| CellsAt::encode(document.floats.get(field).copied().flatten());
            writer.list(documents.iter().map(at));
        }
        let (bytes, sections) = writer.finish(layout, documents.len());
        Self::new(layout, BlockBytes::new(bytes), sections, documents.len())
    }

    /// Merges the living documents of several blocks, in order. The result is as if built anew.
    pub(crate) fn merge(layout: &Arc<Layout>, parts: &[(&Self, &Places)]) -> Self {
        let mut writer = BlockWriter::new(layout, parts.iter().map(|(block, _)| block.bytes.get().len()).sum());
        let parts = Part::all(parts);
        let len = parts.iter().map(|part| part.living().count()).sum();
        let rows = |part: &Part<'_>| {
            let rows = part.block.rows();
            part.living().map(move |place| rows.get(place).unwrap_or(0).to_le_bytes()).collect::<Vec<_>>()
        };
        writer.list(parts.iter().flat_map(rows));
        let mut ids = StringsBuilder::new();
        for part in &parts {
            let of_part = part.block.ids();
            part.living().for_each(|place| ids.push(of_part.get(place).unwrap_or_default()));
        }
        ids.write(&mut writer);
        (0..layout.attributes.len()).for_each(|attribute| columns::merge(&mut writer, &parts, attribute));
        (0..layout.texts.len()).for_each(|field| TermIndex::merge(&mut writer, &parts, field));
        for (index, field) in layout.bits.iter().enumerate() {
            BitArena::merge(&mut writer, field, &parts, index);
        }
        for field in 0..layout.floats.len() {
            let living = parts.iter().flat_map(|part| part.living().map(move |place| (part.block, place)));
            writer.list(living.map(|(block, place)| CellsAt::encode(block.cells_at(field, place))));
        }
        let (bytes, sections) = writer.finish(layout, len);
        Self::new(layout, BlockBytes::new(bytes), sections, len)
    }

    /// Returns the block over a copy of its bytes.
    pub(crate) fn over(&self, copy: BlockBytes) -> Self {
        Self::new(&self.layout, copy, self.sections.clone(), self.len)
    }

    /// Returns the bytes, as [`Block::open`] reads them.
    pub(crate) fn bytes(&self) -> &BlockBytes {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// Returns the bytes of a section; empty where there is none.
    pub(super) fn section(&self, number: usize) -> &[u8] {
        let range = self.sections.get(number).cloned();
        range.and_then(|range| self.bytes.get().get(range)).unwrap_or_default()
    }

    /// Returns the rows of the documents, in ascending order.
    pub(crate) fn rows(&self) -> I64s<'_> {
        I64s::new(self.section(ROWS))
    }

    pub(crate) fn row(&self, place: usize) -> Option<i64> {
        self.rows().get(place)
    }

    fn ids(&self) -> Strings<'_> {
        Strings::new(self.section(ID_STARTS), self.section(ID_BYTES))
    }

    /// Returns the id of a document as UTF-8, whose order is that of the ids.
    pub(crate) fn id(&self, place: usize) -> Option<&[u8]> {
        self.ids().get(place)
    }

    pub(crate) fn columns(&self) -> Columns<'_> {
        Columns { block: self }
    }

    pub(crate) fn text(&self, field: usize) -> Option<TermIndex<'_>> {
        let first = self.plan().text(field);
        (field < self.layout.texts.len()).then(|| TermIndex::new((first..).map(|number| self.section(number))))
    }

    pub(crate) fn bits(&self, field: usize) -> Option<BitArena<'_>> {
        let first = self.plan().bits(field);
        let tensor = self.layout.bits.get(field)?;
        Some(BitArena::new(tensor, self.section(first), self.section(first + 1)))
    }

    /// Returns where a document's vectors of a float field are; `None` where it has none.
    pub(crate) fn cells_at(&self, field: usize, place: usize) -> Option<CellsAt> {
        self.layout.floats.get(field)?;
        CellsAt::decode(self.section(self.plan().cells_at(field)).as_chunks::<CELLS_AT>().0.get(place)?)
    }

    /// Returns the slot of the codes of a float field of a run of [`CODE_RUN`] places.
    pub(crate) fn codes(&self, field: usize, run: usize) -> Option<&Arc<CodeSlot>> {
        let slots = |_| (0..self.len.div_ceil(CODE_RUN)).map(|_| Arc::default()).collect();
        self.codes.get_or_init(|| self.layout.floats.iter().map(slots).collect()).get(field)?.get(run)
    }

    /// Returns whether all sections fit together. Postings are not decoded: the checksum says that they are as written.
    fn fits(&self) -> bool {
        let (layout, len) = (self.layout(), self.len);
        let cells = |field| self.section(self.plan().cells_at(field)).len() == len * CELLS_AT;
        self.rows().len() == len
            && self.rows().cells().is_sorted_by(|a, b| i64::from_le_bytes(*a) < i64::from_le_bytes(*b))
            && self.ids().len() == len
            && self.ids().is_whole()
            && self.columns().is_whole()
            && (0..layout.texts.len()).all(|field| self.text(field).is_some_and(|text| text.fits(len)))
            && (0..layout.bits.len()).all(|field| self.bits(field).is_some_and(|bits| bits.is_whole(len)))
            && (0..layout.floats.len()).all(cells)
    }
}
