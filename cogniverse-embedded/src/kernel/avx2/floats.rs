//! Products of float query rows with float rows.

use crate::kernel::float_query::{FloatQuery, PANEL};
use std::arch::x86_64::*;

/// Cells that widen to floats.
pub(in crate::kernel) trait Cells: Copy {
    /// Widens the cell at `at` to all lanes. `ODD` is whether its number in the row is odd.
    ///
    /// # Safety
    /// The cell of even number and its successor must be readable.
    unsafe fn spread<const ODD: bool>(at: *const Self) -> __m256;
    /// # Safety
    /// Eight cells must be readable from `at`.
    unsafe fn load(at: *const Self) -> __m256;
    /// Widens a single cell.
    fn widen(self) -> f32;
}

impl Cells for f32 {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn spread<const ODD: bool>(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_set1_ps(*at) }
    }

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
    unsafe fn spread<const ODD: bool>(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise: two cells are read, of which the first has the even number.
        let pair = unsafe { _mm256_set1_epi32(at.sub(usize::from(ODD)).cast::<i32>().read_unaligned()) };
        _mm256_castsi256_ps(if ODD {
            _mm256_and_si256(pair, _mm256_set1_epi32(0xffff_0000_u32.cast_signed()))
        } else {
            _mm256_slli_epi32::<16>(pair)
        })
    }

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

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernel) fn maxsim<T: Cells>(query: &FloatQuery, document: &[T]) -> f32 {
    let dims = query.dims();
    let rows = document.len() / dims;
    let mut total = 0.0;
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        let mut lane = 0;
        while lane < panel.width {
            let from = Rows { cells: panel.cells.as_ptr().wrapping_add(lane), stride: panel.width, dims };
            let best = best.as_mut_ptr().wrapping_add(lane);
            // SAFETY: `cells` holds `dims` rows of `width` floats, of which `width - lane` are left, a multiple of
            // eight; `width` is at most PANEL; `document` holds `rows` rows, at least one.
            unsafe {
                lane += LANES
                    * match (panel.width - lane) / LANES {
                        1 => raise::<T, 1, 8>(from, document.as_ptr(), rows, best),
                        2 => raise::<T, 2, 4>(from, document.as_ptr(), rows, best),
                        _ => raise::<T, 3, 4>(from, document.as_ptr(), rows, best),
                    };
            }
        }
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Interleaved query rows.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Rows {
    pub(in crate::kernel) cells: *const f32,
    /// The number of floats from one dimension to the next.
    pub(in crate::kernel) stride: usize,
    pub(in crate::kernel) dims: usize,
}

/// Raises `best` to the products of `V` registers of query rows with all document rows, `R` at a time, and returns
/// `V`.
///
/// # Safety
/// `dims` times `V * LANES` floats must be readable from the query, `rows >= 1` rows of `dims` cells from `document`,
/// and `V * LANES` floats must be writable at `best`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn raise<T: Cells, const V: usize, const R: usize>(
    query: Rows,
    document: *const T,
    rows: usize,
    best: *mut f32,
) -> usize {
    let mut top = [_mm256_set1_ps(f32::NEG_INFINITY); V];
    for first in (0..rows).step_by(R) {
        let mut sums = [[_mm256_setzero_ps(); V]; R];
        // The last tile is filled up with the last row, which changes no maximum.
        let mut at = [document; R];
        for (row, at) in at.iter_mut().enumerate() {
            *at = document.wrapping_add((first + row).min(rows - 1) * query.dims);
        }
        let mut own = query.cells;
        // SAFETY: `dim` and `dim + 1` are below `dims`: within each row, and within the query.
        unsafe {
            for dim in (0..query.dims / 2 * 2).step_by(2) {
                step::<T, false, V, R>(own, &at, dim, &mut sums);
                step::<T, true, V, R>(own.add(query.stride), &at, dim + 1, &mut sums);
                own = own.wrapping_add(2 * query.stride);
            }
            if query.dims % 2 == 1 {
                let cells: [__m256; V] = registers(own);
                for (at, sums) in at.iter().zip(&mut sums) {
                    let cell = _mm256_set1_ps((*at.add(query.dims - 1)).widen());
                    for (sum, own) in sums.iter_mut().zip(cells) {
                        *sum = _mm256_fmadd_ps(own, cell, *sum);
                    }
                }
            }
        }
        for sums in sums {
            for (top, sum) in top.iter_mut().zip(sums) {
                *top = _mm256_max_ps(sum, *top);
            }
        }
    }
    for (register, top) in top.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(best.add(register * LANES), top) };
    }
    V
}

/// # Safety
/// `V * LANES` floats must be readable from `at`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn registers<const V: usize>(at: *const f32) -> [__m256; V] {
    let mut cells = [_mm256_setzero_ps(); V];
    for (register, cells) in cells.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *cells = unsafe { _mm256_loadu_ps(at.add(register * LANES)) };
    }
    cells
}

/// Adds the products of one dimension.
///
/// # Safety
/// `V * LANES` floats must be readable from `own`, and the pair of cells around `dim` from each row.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<T: Cells, const ODD: bool, const V: usize, const R: usize>(
    own: *const f32,
    rows: &[*const T; R],
    dim: usize,
    sums: &mut [[__m256; V]; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let cells: [__m256; V] = registers(own);
        for (row, sums) in rows.iter().zip(sums) {
            let cell = T::spread::<ODD>(row.add(dim));
            for (sum, own) in sums.iter_mut().zip(cells) {
                *sum = _mm256_fmadd_ps(own, cell, *sum);
            }
        }
    }
}

/// Computes the products of a vector with each row of its length, two rows at a time.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernel) fn dots<T: Cells>(query: &[f32], rows: &[T], out: &mut [f32]) {
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
