//! Packed sign bits of a block, in the layout that the kernels scan.

use super::{bytes::U64s, format::BlockWriter, merge::Part};
use crate::{
    kernel::{GROUP, group_rows, grouped_len, push_row},
    layout::TensorField,
};

/// One binary tensor field of a block, in groups of rows (see [`crate::kernel`]). Where the field is multi-vector, each
/// document has groups of its own; otherwise the vectors of 32 documents are a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BitArena<'a> {
    bytes: usize,
    data: &'a [u8],
    documents: Documents<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Documents<'a> {
    /// The start of each document, and the end of the last.
    Multi(U64s<'a>),
    /// A bit for each document that has a vector; the row of one without is zero.
    Single(U64s<'a>),
}

impl<'a> BitArena<'a> {
    pub(super) fn new(field: &TensorField, documents: &'a [u8], data: &'a [u8]) -> Self {
        let numbers = U64s::new(documents);
        let documents = if field.is_single() { Documents::Single(numbers) } else { Documents::Multi(numbers) };
        Self { bytes: field.tensor.size(), data, documents }
    }

    /// Writes a field, given the packed rows of each document; `None` where it has no vector.
    pub(super) fn build<'d>(
        writer: &mut BlockWriter,
        field: &TensorField,
        documents: impl ExactSizeIterator<Item = Option<&'d [u8]>> + Clone,
    ) {
        let bytes = field.tensor.size();
        if field.is_single() {
            let count = documents.len();
            writer.list(bitmap(documents.clone().map(|rows| rows.is_some())));
            writer.section(|out| {
                let mut groups = Vec::with_capacity(grouped_len(count, bytes));
                for (place, rows) in documents.enumerate() {
                    push_row(rows.unwrap_or_default(), place, bytes, &mut groups);
                }
                out.append(&mut groups);
            });
            return;
        }
        let rows = |rows: Option<&[u8]>| rows.map_or(0, |rows| rows.len().checked_div(bytes).unwrap_or(0));
        writer.list(starts(documents.clone().map(|of| grouped_len(rows(of), bytes))));
        writer.section(|out| {
            // Rows were checked against the tensor type when they were stored.
            for rows in documents {
                let _ = group_rows(rows.unwrap_or_default(), bytes, out);
            }
        });
    }

    /// Writes a field over the living documents of several blocks.
    pub(super) fn merge(writer: &mut BlockWriter, field: &TensorField, parts: &[(&Part<'_>, BitArena<'_>)]) {
        let living = || parts.iter().flat_map(|(part, arena)| part.living().map(move |place| (*arena, place)));
        if !field.is_single() {
            writer.list(starts(living().map(|(arena, place)| arena.get(place).len())));
            writer.section(|out| living().for_each(|(arena, place)| out.extend_from_slice(arena.get(place))));
            return;
        }
        writer.list(bitmap(living().map(|(arena, place)| arena.has(place))));
        let (bytes, count) = (field.tensor.size(), living().count());
        writer.section(|out| {
            let start = out.len();
            out.resize(start + grouped_len(count, bytes), 0);
            for (to, (arena, from)) in living().enumerate().filter(|(_, (arena, from))| arena.has(*from)) {
                let to = start + to / GROUP * GROUP * bytes + to % GROUP;
                let slots = out.get_mut(to..).unwrap_or_default().iter_mut().step_by(GROUP).take(bytes);
                let row = arena.group(from).iter().skip(from % GROUP).step_by(GROUP);
                slots.zip(row).for_each(|(slot, byte)| *slot = *byte);
            }
        });
    }

    /// Returns whether the sections are as written for a block of `len` documents.
    pub(super) fn is_whole(&self, len: usize) -> bool {
        match self.documents {
            Documents::Multi(starts) => {
                let group = (GROUP * self.bytes) as u64;
                starts.len() == len + 1
                    && starts.first() == Some(0)
                    && starts.is_ascending()
                    && starts.iter().all(|start| start.is_multiple_of(group))
                    && starts.last() == Some(self.data.len() as u64)
            }
            Documents::Single(present) => {
                present.len() == len.div_ceil(64) && self.data.len() == grouped_len(len, self.bytes)
            }
        }
    }

    /// Returns whether each document is a single row of a group that it shares.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.documents, Documents::Single(_))
    }

    /// Returns whether a document has vectors.
    #[inline]
    pub(crate) fn has(&self, place: usize) -> bool {
        match self.documents {
            Documents::Multi(_) => !self.get(place).is_empty(),
            Documents::Single(present) => has_bit(present, place),
        }
    }

    /// Returns the groups of a document of a multi-vector field; empty where it has no vector.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> &'a [u8] {
        let Documents::Multi(starts) = self.documents else { return &[] };
        let range = starts.get(place).zip(starts.get(place + 1));
        let range = range.and_then(|(start, end)| Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?));
        range.and_then(|range| self.data.get(range)).unwrap_or_default()
    }

    /// Returns the group of a document of a single-vector field, in which it is row `place % GROUP`.
    #[inline]
    pub(crate) fn group(&self, place: usize) -> &'a [u8] {
        let start = place / GROUP * GROUP * self.bytes;
        self.data.get(start..start + GROUP * self.bytes).unwrap_or_default()
    }

    /// Returns the number of bytes in one vector.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Returns whether the bit of a place is set in a bitmap.
#[inline]
pub(super) fn has_bit(bitmap: U64s<'_>, place: usize) -> bool {
    bitmap.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
}

/// Returns the words of a bitmap.
pub(super) fn bitmap(mut flags: impl Iterator<Item = bool>) -> impl Iterator<Item = [u8; 8]> {
    std::iter::from_fn(move || {
        let first = u64::from(flags.next()?);
        let rest = flags.by_ref().take(63).zip(1..);
        Some(rest.fold(first, |word, (flag, bit)| word | u64::from(flag) << bit).to_le_bytes())
    })
}

/// Returns the start of each of several lengths, and the end of the last.
fn starts(lengths: impl Iterator<Item = usize>) -> impl Iterator<Item = [u8; 8]> {
    let ends = lengths.scan(0_u64, |end, length| {
        *end += length as u64;
        Some(*end)
    });
    std::iter::once(0).chain(ends).map(u64::to_le_bytes)
}
