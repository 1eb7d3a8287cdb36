//! Products of float query rows with float rows: sixteen query rows in a register, and a last eight in half a one.

use crate::kernel::float_query::{FloatQuery, PANEL};
use std::arch::x86_64::*;

/// Cells that widen to floats.
pub(in crate::kernel) trait Cells: Copy {
    /// Widens the cell at `at` to all lanes. `ODD` is whether its number in the row is odd.
    ///
    /// # Safety
    /// The cell of even number and its successor must be readable.
    unsafe fn spread<const ODD: bool>(at: *const Self) -> __m512;
    /// Widens a single cell.
    fn widen(self) -> f32;
}

impl Cells for f32 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn spread<const ODD: bool>(at: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_set1_ps(*at) }
    }

    #[inline]
    fn widen(self) -> f32 {
        self
    }
}

/// bfloat16, the upper half of a float.
impl Cells for u16 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn spread<const ODD: bool>(at: *const Self) -> __m512 {
        // SAFETY: the caller's promise: two cells are read, of which the first has the even number.
        let pair = unsafe { _mm512_set1_epi32(at.sub(usize::from(ODD)).cast::<i32>().read_unaligned()) };
        _mm512_castsi512_ps(if ODD {
            _mm512_and_si512(pair, _mm512_set1_epi32(0xffff_0000_u32.cast_signed()))
        } else {
            _mm512_slli_epi32::<16>(pair)
        })
    }

    #[inline]
    fn widen(self) -> f32 {
        cogniverse_sdk::quantize::from_bf16(self)
    }
}

/// The number of lanes of a register.
const LANES: usize = 16;
/// The number of document rows processed together.
const TILE: usize = 8;

#[target_feature(enable = "avx512f,avx512vl,fma")]
pub(in crate::kernel) fn maxsim<T: Cells>(query: &FloatQuery, document: &[T]) -> f32 {
    let rows = document.len() / query.dims();
    let mut total = 0.0;
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        let from = Rows { cells: panel.cells.as_ptr(), stride: panel.width, dims: query.dims() };
        let (at, to) = (document.as_ptr(), best.as_mut_ptr());
        // SAFETY: `cells` holds `dims` rows of `width` floats, which is what each arm's registers hold and at most
        // PANEL; `document` holds `rows` rows, at least one.
        unsafe {
            match panel.width {
                8 => raise::<T, 0, 1>(from, at, rows, to),
                16 => raise::<T, 1, 0>(from, at, rows, to),
                24 => raise::<T, 1, 1>(from, at, rows, to),
                32 => raise::<T, 2, 0>(from, at, rows, to),
                40 => raise::<T, 2, 1>(from, at, rows, to),
                _ => raise::<T, 3, 0>(from, at, rows, to),
            }
        }
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Interleaved query rows.
#[derive(Clone, Copy)]
struct Rows {
    cells: *const f32,
    /// The number of floats from one dimension to the next.
    stride: usize,
    dims: usize,
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
unsafe fn raise<T: Cells, const V: usize, const H: usize>(
    query: Rows,
    document: *const T,
    rows: usize,
    best: *mut f32,
) {
    let mut top = Sums { whole: [_mm512_set1_ps(f32::NEG_INFINITY); V], half: [_mm256_set1_ps(f32::NEG_INFINITY); H] };
    for first in (0..rows).step_by(TILE) {
        let mut sums = [Sums { whole: [_mm512_setzero_ps(); V], half: [_mm256_setzero_ps(); H] }; TILE];
        // The last tile is filled up with the last row, which changes no maximum.
        let mut at = [document; TILE];
        for (row, at) in at.iter_mut().enumerate() {
            *at = document.wrapping_add((first + row).min(rows - 1) * query.dims);
        }
        let mut own = query.cells;
        // SAFETY: `dim` and `dim + 1` are below `dims`: within each row, and within the query.
        unsafe {
            for dim in (0..query.dims / 2 * 2).step_by(2) {
                let cells = Sums::<V, H>::load(own);
                for (at, sums) in at.iter().zip(&mut sums) {
                    sums.add(&cells, T::spread::<false>(at.add(dim)));
                }
                let cells = Sums::<V, H>::load(own.add(query.stride));
                for (at, sums) in at.iter().zip(&mut sums) {
                    sums.add(&cells, T::spread::<true>(at.add(dim + 1)));
                }
                own = own.wrapping_add(2 * query.stride);
            }
            if query.dims % 2 == 1 {
                let cells = Sums::<V, H>::load(own);
                for (at, sums) in at.iter().zip(&mut sums) {
                    sums.add(&cells, _mm512_set1_ps((*at.add(query.dims - 1)).widen()));
                }
            }
        }
        for sums in &sums {
            for (top, sum) in top.whole.iter_mut().zip(sums.whole) {
                *top = _mm512_max_ps(sum, *top);
            }
            for (top, sum) in top.half.iter_mut().zip(sums.half) {
                *top = _mm256_max_ps(sum, *top);
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        for (register, top) in top.whole.into_iter().enumerate() {
            _mm512_storeu_ps(best.add(register * LANES), top);
        }
        for top in top.half {
            _mm256_storeu_ps(best.add(V * LANES), top);
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
            for cells in &mut cells.half {
                *cells = _mm256_loadu_ps(at.add(V * LANES));
            }
        }
        cells
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
