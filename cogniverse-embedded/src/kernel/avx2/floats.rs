//! Products of float query rows with float rows.

use crate::kernel::{
    ahead::{Ahead, STEP},
    float_query::{FloatQuery, PANEL, Panel},
};
use std::arch::x86_64::*;

/// Cells that widen to floats.
pub(crate) trait Cells: Copy {
    /// # Safety
    /// Eight cells must be readable from `at`.
    unsafe fn load(at: *const Self) -> __m256;
    /// Widens a single cell.
    fn widen(self) -> f32;
}

impl Cells for f32 {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(at) }
    }

    #[inline]
    fn widen(self) -> f32 {
        self
    }
}

/// bfloat16, the upper half of a float.
impl Cells for u16 {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        let halves = unsafe { _mm_loadu_si128(at.cast()) };
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
    }

    #[inline]
    fn widen(self) -> f32 {
        cogniverse_sdk::quantize::from_bf16(self)
    }
}

/// The number of lanes of a register.
const LANES: usize = 8;
/// The number of document rows widened together.
const WIDENED: usize = 24;

#[target_feature(enable = "avx2,fma")]
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
#[target_feature(enable = "avx2,fma")]
pub(crate) fn maxsim_bf16(query: &FloatQuery, document: &[u16]) -> f32 {
    let mut total = 0.0;
    let mut wide = vec![0.0f32; WIDENED * query.dims()];
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        for rows in document.chunks(WIDENED * query.dims()) {
            wide.iter_mut().zip(rows).for_each(|(wide, half)| *wide = half.widen());
            let ahead = Ahead::of_halves(rows, query.dims());
            raise_all(&panel, query.dims(), wide.get(..rows.len()).unwrap_or_default(), ahead, &mut best);
        }
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Raises `best` to the products of the panel's query rows with all document rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn raise_all(panel: &Panel<'_>, dims: usize, document: &[f32], ahead: Ahead, best: &mut [f32; PANEL]) {
    let rows = document.len() / dims;
    let mut lane = 0;
    while rows > 0 && lane < panel.width {
        let from = Rows { cells: panel.cells.as_ptr().wrapping_add(lane), stride: panel.width, dims, ahead };
        let best = best.as_mut_ptr().wrapping_add(lane);
        // SAFETY: `cells` holds `dims` rows of `width` floats, of which `width - lane` are left, a multiple of
        // eight; `width` is at most PANEL; `document` holds `rows` rows, at least one.
        unsafe {
            lane += LANES
                * match (panel.width - lane) / LANES {
                    1 => raise::<1, 8>(from, document.as_ptr(), rows, best),
                    2 => raise::<2, 4>(from, document.as_ptr(), rows, best),
                    _ => raise::<3, 3>(from, document.as_ptr(), rows, best),
                };
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

/// Raises `best` to the products of `V` registers of query rows with all document rows, `R` at a time, and returns
/// `V`.
///
/// # Safety
/// `dims` times `V * LANES` floats must be readable from the query, `rows >= 1` rows of `dims` cells from `document`,
/// and `V * LANES` floats must be writable at `best`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn raise<const V: usize, const R: usize>(
    query: Rows,
    document: *const f32,
    rows: usize,
    best: *mut f32,
) -> usize {
    for first in (0..rows).step_by(R) {
        let mut sums = [[_mm256_setzero_ps(); V]; R];
        // The last tile is filled up with the last row, which changes no maximum.
        let mut at = [document; R];
        for (row, at) in at.iter_mut().enumerate() {
            *at = document.wrapping_add((first + row).min(rows - 1) * query.dims);
        }
        let mut own = query.cells;
        for start in (0..query.dims).step_by(STEP) {
            for row in 0..R {
                query.ahead.fetch(first + row, start);
            }
            for dim in start..query.dims.min(start + STEP) {
                // SAFETY: `dim` is within each row, and within the query.
                unsafe {
                    let mut cells = [_mm256_setzero_ps(); V];
                    for (register, cells) in cells.iter_mut().enumerate() {
                        *cells = _mm256_loadu_ps(own.add(register * LANES));
                    }
                    for (at, sums) in at.iter().zip(&mut sums) {
                        let cell = _mm256_broadcast_ss(&*at.add(dim));
                        for (sum, own) in sums.iter_mut().zip(cells) {
                            *sum = _mm256_fmadd_ps(own, cell, *sum);
                        }
                    }
                }
                own = own.wrapping_add(query.stride);
            }
        }
        for register in 0..V {
            // SAFETY: the caller's promise.
            unsafe {
                let mut top = _mm256_loadu_ps(best.add(register * LANES));
                for sums in &sums {
                    if let Some(sum) = sums.get(register) {
                        top = _mm256_max_ps(*sum, top);
                    }
                }
                _mm256_storeu_ps(best.add(register * LANES), top);
            }
        }
    }
    V
}

/// Computes the products of a vector with each row of its length, two rows at a time.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn dots<T: Cells>(query: &[f32], rows: &[T], out: &mut [f32]) {
    let dims = query.len();
    let pairs = rows.chunks_exact(2 * dims);
    let rest = pairs.remainder();
    let (outs, out_rest) = out.as_chunks_mut::<2>();
    for (rows, out) in pairs.zip(outs) {
        *out = products::<T, 2>(query, rows);
    }
    if let [out] = out_rest {
        [*out] = products::<T, 1>(query, rest);
    }
}

/// The number of sums for each row, so that one addition need not wait for the last.
const SUMS: usize = 4;

/// Computes the dot products with `R` consecutive rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn products<T: Cells, const R: usize>(query: &[f32], rows: &[T]) -> [f32; R] {
    let dims = query.len();
    let mut sums = [[_mm256_setzero_ps(); SUMS]; R];
    if rows.len() < R * dims {
        return [0.0; R];
    }
    let (steps, whole) = (dims / (SUMS * LANES) * SUMS * LANES, dims / LANES * LANES);
    // SAFETY: `at + LANES` is at most `dims` everywhere, and `R` rows of `dims` were just found.
    unsafe {
        for at in (0..steps).step_by(SUMS * LANES) {
            for sum in 0..SUMS {
                add_product(query, rows, at + sum * LANES, &mut sums, sum);
            }
        }
        for at in (steps..whole).step_by(LANES) {
            add_product(query, rows, at, &mut sums, 0);
        }
    }
    let mut products = [0.0; R];
    for ((product, [a, b, c, d]), row) in products.iter_mut().zip(sums).zip(rows.chunks_exact(dims)) {
        let mut lanes = [0.0f32; LANES];
        let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
        // SAFETY: eight floats are written to an array of eight.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        let rest = query.iter().zip(row).skip(whole).map(|(a, b)| a * b.widen()).sum::<f32>();
        *product = lanes.iter().sum::<f32>() + rest;
    }
    products
}

/// # Safety
/// `LANES` cells must be readable from `at` on in the query and in each of the `R` rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_product<T: Cells, const R: usize>(
    query: &[f32],
    rows: &[T],
    at: usize,
    sums: &mut [[__m256; SUMS]; R],
    number: usize,
) {
    // SAFETY: the caller's promise.
    let own = unsafe { _mm256_loadu_ps(query.as_ptr().add(at)) };
    for (row, sums) in sums.iter_mut().enumerate() {
        if let Some(sum) = sums.get_mut(number) {
            // SAFETY: the same.
            *sum = _mm256_fmadd_ps(own, unsafe { T::load(rows.as_ptr().add(row * query.len() + at)) }, *sum);
        }
    }
}
