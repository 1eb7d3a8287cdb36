//! Products of float query rows with float rows: sixteen query rows in a register, and a last eight in half a one.

use crate::kernel::{
    ahead::{Ahead, STEP},
    float_query::{FloatQuery, PANEL, Panel},
};
use cogniverse_sdk::quantize::from_bf16;
use std::arch::x86_64::*;

/// The number of lanes of a register.
const LANES: usize = 16;
/// The number of document rows processed together.
const TILE: usize = 8;
/// The number of document rows widened together.
const WIDENED: usize = 24;

#[target_feature(enable = "avx512f,avx512vl,fma")]
pub(crate) fn maxsim_f32(query: &FloatQuery, document: &[f32]) -> f32 {
    let mut total = 0.0;
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        raise_all(&panel, query.dims(), document, Ahead::of_floats(document, query.dims()), &mut best);
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Widens a few document rows at a time, once for all query rows of a panel.
#[target_feature(enable = "avx512f,avx512vl,fma")]
pub(crate) fn maxsim_bf16(query: &FloatQuery, document: &[u16]) -> f32 {
    let mut total = 0.0;
    let mut wide = vec![0.0f32; WIDENED * query.dims()];
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        for rows in document.chunks(WIDENED * query.dims()) {
            wide.iter_mut().zip(rows).for_each(|(wide, half)| *wide = from_bf16(*half));
            let ahead = Ahead::of_halves(rows, query.dims());
            raise_all(&panel, query.dims(), wide.get(..rows.len()).unwrap_or_default(), ahead, &mut best);
        }
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Raises `best` to the products of the panel's query rows with all document rows.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,fma")]
fn raise_all(panel: &Panel<'_>, dims: usize, document: &[f32], ahead: Ahead, best: &mut [f32; PANEL]) {
    let rows = document.len() / dims;
    if rows == 0 {
        return;
    }
    let from = Rows { cells: panel.cells.as_ptr(), stride: panel.width, dims, ahead };
    let (at, to) = (document.as_ptr(), best.as_mut_ptr());
    // SAFETY: `cells` holds `dims` rows of `width` floats, which is what each arm's registers hold and at most PANEL;
    // `document` holds `rows` rows, at least one.
    unsafe {
        match panel.width {
            8 => raise::<0, 1>(from, at, rows, to),
            16 => raise::<1, 0>(from, at, rows, to),
            // On Zen 4, whose registers of 512 bits take two cycles, 25 % faster than <1, 1>.
            24 => raise::<0, 3>(from, at, rows, to),
            32 => raise::<2, 0>(from, at, rows, to),
            40 => raise::<2, 1>(from, at, rows, to),
            _ => raise::<3, 0>(from, at, rows, to),
        }
    }
}

/// Interleaved query rows.
#[derive(Clone, Copy)]
struct Rows {
    cells: *const f32,
    /// The number of floats from one dimension to the next.
    stride: usize,
    dims: usize,
    ahead: Ahead,
}

/// The products of one document row with all query rows: `V` registers and `H` halves.
#[derive(Clone, Copy)]
struct Sums<const V: usize, const H: usize> {
    whole: [__m512; V],
    half: [__m256; H],
}

/// Raises `best` to the products of all query rows with all document rows, [`TILE`] at a time.
///
/// # Safety
/// `dims` times `V * 16 + H * 8` floats must be readable from the query, `rows >= 1` rows of `dims` cells from
/// `document`, and `V * 16 + H * 8` floats must be writable at `best`.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,fma")]
unsafe fn raise<const V: usize, const H: usize>(query: Rows, document: *const f32, rows: usize, best: *mut f32) {
    for first in (0..rows).step_by(TILE) {
        let mut sums = [Sums { whole: [_mm512_setzero_ps(); V], half: [_mm256_setzero_ps(); H] }; TILE];
        // The last tile is filled up with the last row, which changes no maximum.
        let mut at = [document; TILE];
        for (row, at) in at.iter_mut().enumerate() {
            *at = document.wrapping_add((first + row).min(rows - 1) * query.dims);
        }
        let mut own = query.cells;
        for start in (0..query.dims).step_by(STEP) {
            for row in 0..TILE {
                query.ahead.fetch(first + row, start);
            }
            for dim in start..query.dims.min(start + STEP) {
                // SAFETY: `dim` is within each row, and within the query.
                unsafe {
                    let cells = Sums::<V, H>::load(own);
                    for (at, sums) in at.iter().zip(&mut sums) {
                        sums.add(&cells, _mm512_set1_ps(*at.add(dim)));
                    }
                }
                own = own.wrapping_add(query.stride);
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            let mut top = Sums::<V, H>::load(best);
            for sums in &sums {
                top.raise(sums);
            }
            top.store(best);
        }
    }
}

impl<const V: usize, const H: usize> Sums<V, H> {
    /// # Safety
    /// `V * 16 + H * 8` floats must be readable from `at`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,fma")]
    unsafe fn load(at: *const f32) -> Self {
        let mut cells = Self { whole: [_mm512_setzero_ps(); V], half: [_mm256_setzero_ps(); H] };
        // SAFETY: the caller's promise.
        unsafe {
            for (register, cells) in cells.whole.iter_mut().enumerate() {
                *cells = _mm512_loadu_ps(at.add(register * LANES));
            }
            for (half, cells) in cells.half.iter_mut().enumerate() {
                *cells = _mm256_loadu_ps(at.add(V * LANES + half * LANES / 2));
            }
        }
        cells
    }

    /// # Safety
    /// `V * 16 + H * 8` floats must be writable at `to`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,fma")]
    unsafe fn store(&self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            for (register, cells) in self.whole.iter().enumerate() {
                _mm512_storeu_ps(to.add(register * LANES), *cells);
            }
            for (half, cells) in self.half.iter().enumerate() {
                _mm256_storeu_ps(to.add(V * LANES + half * LANES / 2), *cells);
            }
        }
    }

    /// Raises each lane to the other's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,fma")]
    fn raise(&mut self, other: &Self) {
        for (top, sum) in self.whole.iter_mut().zip(other.whole) {
            *top = _mm512_max_ps(sum, *top);
        }
        for (top, sum) in self.half.iter_mut().zip(other.half) {
            *top = _mm256_max_ps(sum, *top);
        }
    }

    /// Adds the products of the query's cells with a document's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,fma")]
    fn add(&mut self, cells: &Self, cell: __m512) {
        for (sum, own) in self.whole.iter_mut().zip(cells.whole) {
            *sum = _mm512_fmadd_ps(own, cell, *sum);
        }
        for (sum, own) in self.half.iter_mut().zip(cells.half) {
            *sum = _mm256_fmadd_ps(own, _mm512_castps512_ps256(cell), *sum);
        }
    }
}
