//! Float vectors of a block, quantized to bytes in the layout that the kernels scan.

use super::FloatRows;
use crate::kernel::{CODE_GROUP, code_group_len, group_codes, push_codes};
use cogniverse_sdk::quantize::from_bf16;

/// The size of a line of the cache.
const LINE: usize = 64;

/// One float tensor field of a block as codes, from which bounds of scores are computed (see [`crate::kernel`]). Where
/// the field is multi-vector, each document has groups of its own; otherwise the vectors of 16 documents are a group.
#[derive(Debug, Clone)]
pub(crate) struct CodeArena {
    dims: usize,
    data: Vec<u8>,
    /// The number of bytes before the first group.
    start: usize,
    documents: Documents,
}

#[derive(Debug, Clone)]
enum Documents {
    /// The start of each document, and the end of the last.
    Multi(Vec<usize>),
    /// Whether each document has a vector.
    Single(Vec<bool>),
}

impl CodeArena {
    pub(crate) fn new(dims: usize, single: bool) -> Self {
        let documents = if single { Documents::Single(Vec::new()) } else { Documents::Multi(vec![0]) };
        Self { dims, data: Vec::new(), start: 0, documents }
    }

    /// Appends the next document's rows; empty where it has no vector.
    pub(crate) fn push(&mut self, rows: FloatRows<'_>) {
        match &mut self.documents {
            Documents::Multi(offsets) => {
                // Rows were checked against the tensor type when they were stored.
                let _ = match rows {
                    FloatRows::Half(cells) => group_codes(cells, self.dims, from_bf16, &mut self.data),
                    FloatRows::Full(cells) => group_codes(cells, self.dims, |cell| cell, &mut self.data),
                };
                offsets.push(self.data.len() - self.start);
            }
            Documents::Single(present) => {
                let (count, has) = (present.len(), !rows.is_empty());
                match rows {
                    FloatRows::Half(cells) => {
                        let row = cells.iter().copied().map(from_bf16);
                        push_codes(has.then_some(row), count, self.dims, &mut self.data);
                    }
                    FloatRows::Full(cells) => {
                        push_codes(has.then_some(cells.iter().copied()), count, self.dims, &mut self.data);
                    }
                }
                present.push(has);
            }
        }
    }

    /// Returns whether each document is a single row of a group that it shares.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.documents, Documents::Single(_))
    }

    /// Returns whether a document has vectors.
    pub(crate) fn has(&self, place: usize) -> bool {
        match &self.documents {
            Documents::Multi(_) => !self.get(place).is_empty(),
            Documents::Single(present) => present.get(place).copied().unwrap_or(false),
        }
    }

    /// Returns the groups of a document of a multi-vector field; empty where it has no vector.
    pub(crate) fn get(&self, place: usize) -> &[u8] {
        let Documents::Multi(offsets) = &self.documents else { return &[] };
        match (offsets.get(place), offsets.get(place + 1)) {
            (Some(start), Some(end)) => self.data.get(self.start + start..self.start + end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Returns the group of a document of a single-vector field, in which it is row `place % CODE_GROUP`.
    pub(crate) fn group(&self, place: usize) -> &[u8] {
        if !self.is_single() {
            return &[];
        }
        let length = code_group_len(self.dims);
        let start = self.start + place / CODE_GROUP * length;
        self.data.get(start..start + length).unwrap_or_default()
    }

    /// Frees memory reserved for more documents, and moves the codes to the start of a line of the cache, where they are
    /// read faster. To be called after the last document is pushed.
    pub(crate) fn shrink(&mut self) {
        let mut data: Vec<u8> = Vec::with_capacity(self.data.len() - self.start + LINE);
        let start = data.as_ptr().align_offset(LINE).min(LINE);
        data.resize(start, 0);
        data.extend(self.data.iter().skip(self.start));
        (self.data, self.start) = (data, start);
        match &mut self.documents {
            Documents::Multi(offsets) => offsets.shrink_to_fit(),
            Documents::Single(present) => present.shrink_to_fit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{CodeQuery, CodeStage, Kernels};
    use cogniverse_sdk::quantize::to_bf16;

    fn bounds(arena: &CodeArena, query: &[f32], place: usize) -> (f32, f32) {
        let query = CodeQuery::new(query, 3);
        if !arena.is_single() {
            return Kernels::detect().maxsim_codes_bounds(&query, CodeStage::Fine, arena.get(place));
        }
        let mut out = [(0.0, 0.0); CODE_GROUP];
        assert!(Kernels::detect().codes_group_bounds(&query, CodeStage::Fine, arena.group(place), &mut out));
        out[place % CODE_GROUP]
    }

    #[test]
    fn documents_are_found_by_place() {
        for single in [true, false] {
            let mut arena = CodeArena::new(3, single);
            for place in 0u16..40 {
                let row = [f32::from(place), 1.0, -2.0];
                match place % 3 {
                    0 => arena.push(FloatRows::Full(&row)),
                    1 => arena.push(FloatRows::Half(&row.map(to_bf16))),
                    _ => arena.push(FloatRows::Half(&[])),
                }
            }
            arena.shrink();
            let first = if single { arena.group(0) } else { arena.get(0) };
            assert_eq!(first.as_ptr().align_offset(LINE), 0);
            for place in 0u16..40 {
                assert_eq!(arena.has(usize::from(place)), place % 3 != 2);
                let (lower, upper) = bounds(&arena, &[1.0, 1.0, 0.0], usize::from(place));
                let exact = if place % 3 == 2 { 0.0 } else { f32::from(place) + 1.0 };
                assert!(lower <= exact && exact <= upper && upper - lower < 1.0, "{place}: {lower} {upper}");
            }
            assert!(!arena.has(40) && arena.get(40).is_empty());
            assert!(arena.group(48).is_empty());
            // Three groups, or 27 documents of a group each; a group is three lines.
            assert_eq!(arena.data.len() - arena.start, if single { 3 * 192 } else { 27 * 192 });
        }
    }

    #[test]
    fn documents_of_many_rows_have_groups_of_their_own() {
        let mut arena = CodeArena::new(3, false);
        arena.push(FloatRows::Full(&[1.0; 51]));
        arena.push(FloatRows::Full(&[2.0; 3]));
        assert_eq!((arena.get(0).len(), arena.get(1).len(), arena.get(2).len()), (2 * 192, 192, 0));
        assert!(arena.group(0).is_empty());
    }
}
