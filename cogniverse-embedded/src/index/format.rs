//! The layout of a block's bytes: a header, a table of sections, and the sections.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `cogblock` |
//! | 8 | 4 | version of the format |
//! | 12 | 4 | CRC-32 of all other bytes |
//! | 16 | 4 | fingerprint of what the block was derived with |
//! | 20 | 4 | number of sections |
//! | 24 | 8 | number of documents |
//! | 32 | 8 | total length |
//! | 40 | 16 each | offset and length of each section |
//!
//! Sections start at multiples of 64, with zeros in between, in the order of [`Plan`].

use super::bytes::U64s;
use crate::layout::Layout;
use cogniverse_core::text::ANALYZER_VERSION;
use std::{fmt::Write, ops::Range};

const MAGIC: &[u8; 8] = b"cogblock";
const VERSION: u32 = 1;
const SUM_AT: usize = 12;
const TABLE_AT: usize = 40;
const ALIGN: usize = 64;

pub(super) const ROWS: usize = 0;
pub(super) const ID_STARTS: usize = 1;
pub(super) const ID_BYTES: usize = 2;
const COLUMNS: usize = 3;
/// The number of sections of each attribute, text field and binary tensor. A section that a kind does not use is empty.
const OF_COLUMN: usize = 4;
const OF_TEXT: usize = 6;
const OF_BITS: usize = 2;

/// The numbers of the sections of a layout's blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    texts: usize,
    bits: usize,
    floats: usize,
    count: usize,
}

impl Plan {
    pub(super) fn of(layout: &Layout) -> Self {
        let texts = COLUMNS + layout.attributes.len() * OF_COLUMN;
        let bits = texts + layout.texts.len() * OF_TEXT;
        let floats = bits + layout.bits.len() * OF_BITS;
        Self { texts, bits, floats, count: floats + layout.floats.len() }
    }

    pub(super) fn column(self, attribute: usize) -> usize {
        COLUMNS + attribute * OF_COLUMN
    }

    pub(super) fn text(self, field: usize) -> usize {
        self.texts + field * OF_TEXT
    }

    pub(super) fn bits(self, field: usize) -> usize {
        self.bits + field * OF_BITS
    }

    pub(super) fn cells_at(self, field: usize) -> usize {
        self.floats + field
    }
}

/// The sections of a block, read by their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections<'a> {
    pub(super) layout: &'a Layout,
    pub(super) plan: Plan,
    pub(super) bytes: &'a [u8],
    pub(super) table: &'a [Range<usize>],
    /// The number of documents.
    pub(super) len: usize,
}

impl<'a> Sections<'a> {
    /// Returns the bytes of a section; empty where there is none.
    pub(super) fn get(&self, number: usize) -> &'a [u8] {
        self.table.get(number).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }
}

/// A block's bytes being written, section by section in the order of [`Plan`].
#[derive(Debug)]
pub(super) struct BlockWriter {
    out: Vec<u8>,
    table: Vec<Range<usize>>,
}

impl BlockWriter {
    pub(super) fn new(layout: &Layout, capacity: usize) -> Self {
        let count = Plan::of(layout).count;
        let mut out = Vec::with_capacity(capacity);
        out.resize(TABLE_AT + count * 16, 0);
        Self { out, table: Vec::with_capacity(count) }
    }

    /// Writes the next section.
    pub(super) fn section(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.resize(self.out.len().next_multiple_of(ALIGN), 0);
        let start = self.out.len();
        write(&mut self.out);
        self.table.push(start..self.out.len());
    }

    /// Writes the next section: numbers, or other fields of fixed size.
    pub(super) fn list<const N: usize>(&mut self, fields: impl Iterator<Item = [u8; N]>) {
        self.section(|out| fields.for_each(|field| out.extend_from_slice(&field)));
    }

    /// Writes empty sections.
    pub(super) fn skip(&mut self, count: usize) {
        (0..count).for_each(|_| self.section(|_| {}));
    }

    /// Writes the header and returns the bytes with the table of sections.
    pub(super) fn finish(mut self, layout: &Layout, documents: usize) -> (Vec<u8>, Vec<Range<usize>>) {
        self.out.resize(self.out.len().next_multiple_of(ALIGN), 0);
        if self.out.capacity() - self.out.len() > self.out.len() / 8 {
            self.out.shrink_to_fit();
        }
        let mut header = Vec::with_capacity(TABLE_AT + self.table.len() * 16);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&fingerprint(layout).to_le_bytes());
        header.extend_from_slice(&u32::try_from(self.table.len()).unwrap_or(u32::MAX).to_le_bytes());
        for number in [documents, self.out.len()].into_iter().chain(self.table.iter().flat_map(|s| [s.start, s.len()]))
        {
            header.extend_from_slice(&(number as u64).to_le_bytes());
        }
        self.out.iter_mut().zip(header).for_each(|(to, from)| *to = from);
        resum(&mut self.out);
        (self.out, self.table)
    }
}

/// The parts of a header that a block is read by.
pub(super) struct Header {
    pub(super) documents: usize,
    pub(super) table: Vec<Range<usize>>,
}

/// Reads and verifies header, checksum and table; `None` for bytes that are damaged or of another layout.
pub(super) fn open(bytes: &[u8], layout: &Layout) -> Option<Header> {
    let count = Plan::of(layout).count;
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let ([version, stored, derived, sections], rest) = numbers::<4>(rest)?;
    let is_known = magic == MAGIC && version == VERSION && derived == fingerprint(layout);
    if !is_known || usize::try_from(sections) != Ok(count) {
        return None;
    }
    let words = U64s::new(rest.get(..16 + count * 16)?);
    if words.get(1)? != bytes.len() as u64 || stored != sum(bytes) {
        return None;
    }
    let (mut table, mut end) = (Vec::with_capacity(count), TABLE_AT + count * 16);
    for section in 0..count {
        let start = usize::try_from(words.get(2 + section * 2)?).ok()?;
        let length = usize::try_from(words.get(3 + section * 2)?).ok()?;
        if start != end.next_multiple_of(ALIGN) {
            return None;
        }
        end = start.checked_add(length).filter(|end| *end <= bytes.len())?;
        table.push(start..end);
    }
    let documents = usize::try_from(words.first()?).ok().filter(|count| u32::try_from(*count).is_ok())?;
    (end.next_multiple_of(ALIGN) == bytes.len()).then_some(Header { documents, table })
}

fn numbers<const N: usize>(mut bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        let (cell, rest) = bytes.split_first_chunk::<4>()?;
        (*number, bytes) = (u32::from_le_bytes(*cell), rest);
    }
    Some((numbers, bytes))
}

fn sum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..SUM_AT).unwrap_or_default());
    hasher.update(bytes.get(SUM_AT + 4..).unwrap_or_default());
    hasher.finalize()
}

/// Writes the checksum of all other bytes.
pub(super) fn resum(bytes: &mut [u8]) {
    let sum = sum(bytes).to_le_bytes();
    bytes.iter_mut().skip(SUM_AT).zip(sum).for_each(|(to, from)| *to = from);
}

/// Returns a checksum of what decides a block's content besides its documents: the indexed fields and the analyzer. Packed
/// numbers have the byte order of the machine.
fn fingerprint(layout: &Layout) -> u32 {
    let mut text = format!("{ANALYZER_VERSION};{}", cfg!(target_endian = "little"));
    let mut field = |kind: &str, name: &str, of_type: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = write!(text, ";{kind} {name} {of_type}");
    };
    layout.attributes.iter().for_each(|(name, of_type)| field("attribute", name.as_str(), of_type));
    layout.texts.iter().for_each(|name| field("text", name.as_str(), &""));
    layout.bits.iter().for_each(|tensor| field("bits", tensor.name.as_str(), &tensor.tensor));
    layout.floats.iter().for_each(|tensor| field("floats", tensor.name.as_str(), &tensor.tensor));
    crc32fast::hash(text.as_bytes())
}
