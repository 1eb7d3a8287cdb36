//! Prefetching of document rows: the tiles of the float kernels read several rows in turn, each too short for the
//! processor to foresee the next.
#![allow(unsafe_code, reason = "a prefetch, which reads nothing")]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// The number of rows by which float32 rows are fetched ahead.
const ROWS: usize = 8;
/// The number of dimensions between prefetches of a row: a line of the cache holds as many float32 cells.
pub(super) const STEP: usize = 16;

/// The rows to fetch while others are multiplied. Addresses may lie beyond the document: where another follows in
/// memory it is the next to be read, and otherwise a prefetch does no harm.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    at: *const u8,
    cell: usize,
    dims: usize,
}

impl Ahead {
    /// Fetches the rows that follow in a document.
    pub(super) fn of_floats(document: &[f32], dims: usize) -> Self {
        Self { at: document.as_ptr().wrapping_add(ROWS * dims).cast(), cell: 4, dims }
    }

    /// Fetches the rows that are widened after these.
    pub(super) fn of_halves(rows: &[u16], dims: usize) -> Self {
        Self { at: rows.as_ptr().wrapping_add(rows.len()).cast(), cell: 2, dims }
    }

    /// Fetches the cells from `dim` on of the row as far ahead of `row`.
    #[inline]
    pub(super) fn fetch(self, row: usize, dim: usize) {
        let at = self.at.wrapping_add((row * self.dims + dim) * self.cell);
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
}
