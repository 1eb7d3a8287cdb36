//! Kernels for AVX2 with FMA.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

use super::{layout::ROW_GROUP, scalar, set::Kernels};
use std::arch::x86_64::*;

/// Returns the kernels if this machine supports them.
pub(super) fn kernels() -> Option<Kernels> {
    let runs = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    runs.then_some(Kernels {
        name: "avx2",
        // SAFETY: the features were just detected; the same holds for each line below.
        hamming_maxsim: |query, words, document| unsafe { hamming_maxsim(query, words, document) },
        maxsim_bf16: |query, dims, document| unsafe { maxsim::<u16>(query, dims, document) },
        maxsim_f32: |query, dims, document| unsafe { maxsim::<f32>(query, dims, document) },
        maxsim_bits: |query, dims, words, document, signed| unsafe {
            maxsim::<f32>(query, dims, &scalar::spread_bits(dims, words, document, signed))
        },
        dot_f32: |a, b| unsafe { dot_f32(a, b) },
    })
}

/// Counts bits by two look-ups of nibbles, summed per 64 bits (Mula, Kurz and Lemire, 2018).
#[inline]
#[target_feature(enable = "avx2,fma")]
fn popcount(value: __m256i) -> __m256i {
    let table = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let nibble = _mm256_set1_epi8(0x0f);
    let low = _mm256_shuffle_epi8(table, _mm256_and_si256(value, nibble));
    let high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(value), nibble));
    _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())
}

#[target_feature(enable = "avx2,fma")]
fn hamming_maxsim(query: &[u64], words: usize, document: &[u64]) -> f32 {
    let mut total = 0.0;
    for row in query.chunks_exact(words) {
        // Distances fit 32 bits, so the minimum of 32-bit lanes is that of 64-bit lanes whose upper halves are zero.
        let mut least = _mm256_set1_epi64x(i64::from(u32::MAX >> 1));
        for group in document.chunks_exact(words * ROW_GROUP) {
            let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            for (own, column) in row.iter().zip(group.as_chunks::<ROW_GROUP>().0) {
                let own = _mm256_set1_epi64x(own.cast_signed());
                // SAFETY: `column` is an array of eight words, of which these are the first and the last four.
                let (first, last) = unsafe {
                    (_mm256_loadu_si256(column.as_ptr().cast()), _mm256_loadu_si256(column.as_ptr().add(4).cast()))
                };
                low = _mm256_add_epi64(low, popcount(_mm256_xor_si256(own, first)));
                high = _mm256_add_epi64(high, popcount(_mm256_xor_si256(own, last)));
            }
            least = _mm256_min_epu32(least, _mm256_min_epu32(low, high));
        }
        let mut lanes = [0u64; 4];
        // SAFETY: four words are written to an array of four.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), least) };
        total += scalar::similarity(lanes.into_iter().min().unwrap_or(0));
    }
    total
}

/// Cells that widen to eight floats at a time.
trait Cells: Copy {
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

impl Cells for u16 {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise. bfloat16 is the upper half of the float.
        let halves = unsafe { _mm_loadu_si128(at.cast()) };
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
    }
    #[inline]
    fn widen(self) -> f32 {
        cogniverse_sdk::quantize::from_bf16(self)
    }
}

/// The number of document rows processed together.
const TILE: usize = 4;

#[target_feature(enable = "avx2,fma")]
fn maxsim<T: Cells>(query: &[f32], dims: usize, document: &[T]) -> f32 {
    let mut total = 0.0;
    for own in query.chunks_exact(dims) {
        let mut best = f32::NEG_INFINITY;
        let tiles = document.chunks_exact(dims * TILE);
        let rest = tiles.remainder();
        for tile in tiles {
            best = products::<T, TILE>(own, tile, dims).into_iter().fold(best, f32::max);
        }
        for row in rest.chunks_exact(dims) {
            best = products::<T, 1>(own, row, dims).into_iter().fold(best, f32::max);
        }
        total += best;
    }
    total
}

/// Computes the dot products of a query row with `ROWS` consecutive document rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn products<T: Cells, const ROWS: usize>(own: &[f32], rows: &[T], dims: usize) -> [f32; ROWS] {
    let whole = dims / 8 * 8;
    let mut sums = [_mm256_setzero_ps(); ROWS];
    if own.len() >= dims && rows.len() >= ROWS * dims {
        for at in (0..whole).step_by(8) {
            // SAFETY: `at + 8 <= dims`, and both slices were just found long enough.
            unsafe {
                let cells = _mm256_loadu_ps(own.as_ptr().add(at));
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm256_fmadd_ps(cells, T::load(rows.as_ptr().add(row * dims + at)), *sum);
                }
            }
        }
    }
    let mut products = [0.0; ROWS];
    for ((product, sum), row) in products.iter_mut().zip(sums).zip(rows.chunks_exact(dims)) {
        let mut lanes = [0.0f32; 8];
        // SAFETY: eight floats are written to an array of eight.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        let rest = own.iter().zip(row).skip(whole).map(|(a, b)| a * b.widen()).sum::<f32>();
        *product = lanes.iter().sum::<f32>() + rest;
    }
    products
}

#[target_feature(enable = "avx2,fma")]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let dims = a.len().min(b.len());
    match (a.get(..dims), b.get(..dims)) {
        (Some(a), Some(b)) if dims > 0 => products::<f32, 1>(a, b, dims).into_iter().sum(),
        _ => 0.0,
    }
}
