//! AVX-512 with VPOPCNTDQ.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

use super::{Kernels, layout::ROW_GROUP, scalar::similarity};
use std::arch::x86_64::*;

/// The kernels, where this machine runs them.
pub(super) fn kernels() -> Option<Kernels> {
    let runs = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vpopcntdq");
    runs.then_some(Kernels {
        name: "avx512",
        // SAFETY: the features were just detected; the same holds for each line below.
        hamming_maxsim: |query, words, document| unsafe { hamming_maxsim(query, words, document) },
        maxsim_bf16: |query, dims, document| unsafe { maxsim::<u16>(query, dims, document) },
        maxsim_f32: |query, dims, document| unsafe { maxsim::<f32>(query, dims, document) },
        maxsim_bits: |query, dims, words, document, signed| unsafe {
            maxsim_bits(query, dims, words, document, signed)
        },
        dot_f32: |a, b| unsafe { dot_f32(a, b) },
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn hamming_maxsim(query: &[u64], words: usize, document: &[u64]) -> f32 {
    match words {
        2 => hamming_words::<2>(query, document),
        5 => hamming_words::<5>(query, document),
        6 => hamming_words::<6>(query, document),
        12 => hamming_words::<12>(query, document),
        16 => hamming_words::<16>(query, document),
        _ => hamming_any(query, words, document),
    }
}

/// Four query rows at a time against eight document rows: each document word is loaded once for the four.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn hamming_words<const WORDS: usize>(query: &[u64], document: &[u64]) -> f32 {
    let groups = document.len() / (WORDS * ROW_GROUP);
    let (rows, _) = query.as_chunks::<WORDS>();
    let (fours, rest) = rows.as_chunks::<4>();
    let mut total = 0.0;
    for four in fours {
        total += hamming_rows::<WORDS, 4>(four, document, groups);
    }
    for row in rest {
        total += hamming_rows::<WORDS, 1>(&[*row], document, groups);
    }
    total
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[inline]
fn hamming_rows<const WORDS: usize, const ROWS: usize>(
    rows: &[[u64; WORDS]; ROWS],
    document: &[u64],
    groups: usize,
) -> f32 {
    let mut least = [_mm512_set1_epi64(i64::MAX); ROWS];
    let mut at = document.as_ptr();
    for _ in 0..groups {
        let mut distances = [_mm512_setzero_si512(); ROWS];
        for word in 0..WORDS {
            // SAFETY: `groups` groups of WORDS * ROW_GROUP words lie in `document`, so eight words from here do too.
            let column = unsafe { _mm512_loadu_si512(at.add(word * ROW_GROUP).cast()) };
            for (distance, row) in distances.iter_mut().zip(rows) {
                let own = _mm512_set1_epi64(row.get(word).copied().unwrap_or(0).cast_signed());
                *distance = _mm512_add_epi64(*distance, _mm512_popcnt_epi64(_mm512_xor_si512(own, column)));
            }
        }
        for (least, distance) in least.iter_mut().zip(distances) {
            *least = _mm512_min_epu64(*least, distance);
        }
        // SAFETY: at most one past the last group.
        at = unsafe { at.add(WORDS * ROW_GROUP) };
    }
    least.iter().map(|least| similarity(_mm512_reduce_min_epu64(*least))).sum()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn hamming_any(query: &[u64], words: usize, document: &[u64]) -> f32 {
    let mut total = 0.0;
    for row in query.chunks_exact(words) {
        let mut least = _mm512_set1_epi64(i64::MAX);
        for group in document.chunks_exact(words * ROW_GROUP) {
            let mut distance = _mm512_setzero_si512();
            for (own, column) in row.iter().zip(group.as_chunks::<ROW_GROUP>().0) {
                // SAFETY: `column` is an array of eight words.
                let column = unsafe { _mm512_loadu_si512(column.as_ptr().cast()) };
                let own = _mm512_set1_epi64(own.cast_signed());
                distance = _mm512_add_epi64(distance, _mm512_popcnt_epi64(_mm512_xor_si512(own, column)));
            }
            least = _mm512_min_epu64(least, distance);
        }
        total += similarity(_mm512_reduce_min_epu64(least));
    }
    total
}

/// Cells that widen to sixteen floats.
trait Cells: Copy {
    /// # Safety
    /// The lanes set in `mask` must be readable from `at`.
    unsafe fn load(at: *const Self, mask: __mmask16) -> __m512;
}

impl Cells for f32 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn load(at: *const Self, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_maskz_loadu_ps(mask, at) }
    }
}

impl Cells for u16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn load(at: *const Self, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise. bfloat16 is the upper half of the float.
        let halves = unsafe { _mm256_maskz_loadu_epi16(mask, at.cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
    }
}

/// Query rows taken together.
const TILE_QUERY: usize = 4;
/// Document rows taken together: with the query's, sixteen running sums stay in registers.
const TILE_DOCUMENT: usize = 4;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn maxsim<T: Cells>(query: &[f32], dims: usize, document: &[T]) -> f32 {
    let (query_rows, document_rows) = (query.len() / dims, document.len() / dims);
    let mut total = 0.0;
    let mut first = 0;
    while first < query_rows {
        let rows = TILE_QUERY.min(query_rows - first);
        // SAFETY: rows `first..first + rows` of `dims` cells lie in `query`, `document_rows` rows of `dims` in `document`.
        total += unsafe {
            let at = query.as_ptr().add(first * dims);
            match rows {
                4 => best_of::<T, 4>(at, document.as_ptr(), document_rows, dims),
                3 => best_of::<T, 3>(at, document.as_ptr(), document_rows, dims),
                2 => best_of::<T, 2>(at, document.as_ptr(), document_rows, dims),
                _ => best_of::<T, 1>(at, document.as_ptr(), document_rows, dims),
            }
        };
        first += rows;
    }
    total
}

/// The sum of the best products of `ROWS` query rows.
///
/// # Safety
/// `ROWS * dims` floats from `query` and `rows * dims` cells from `document` must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
unsafe fn best_of<T: Cells, const ROWS: usize>(query: *const f32, document: *const T, rows: usize, dims: usize) -> f32 {
    let mut best = [f32::NEG_INFINITY; ROWS];
    let mut row = 0;
    // SAFETY: the caller's promise; every tile below begins at a row smaller than `rows` and ends within them.
    unsafe {
        while row + TILE_DOCUMENT <= rows {
            tile::<T, ROWS, TILE_DOCUMENT>(query, document.add(row * dims), dims, &mut best);
            row += TILE_DOCUMENT;
        }
        while row < rows {
            tile::<T, ROWS, 1>(query, document.add(row * dims), dims, &mut best);
            row += 1;
        }
    }
    best.iter().sum()
}

/// # Safety
/// `ROWS * dims` floats from `query` and `COLUMNS * dims` cells from `document` must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
unsafe fn tile<T: Cells, const ROWS: usize, const COLUMNS: usize>(
    query: *const f32,
    document: *const T,
    dims: usize,
    best: &mut [f32; ROWS],
) {
    let mut sums = [[_mm512_setzero_ps(); COLUMNS]; ROWS];
    let mut at = 0;
    while at < dims {
        let mask = if dims - at >= 16 { !0 } else { (1 << (dims - at)) - 1 };
        // SAFETY: the lanes in the mask end at `dims` of their row.
        let cells: [__m512; COLUMNS] =
            std::array::from_fn(|column| unsafe { T::load(document.add(column * dims + at), mask) });
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let own = unsafe { _mm512_maskz_loadu_ps(mask, query.add(row * dims + at)) };
            for (sum, cells) in sums.iter_mut().zip(cells) {
                *sum = _mm512_fmadd_ps(own, cells, *sum);
            }
        }
        at += 16;
    }
    for (best, sums) in best.iter_mut().zip(sums) {
        for sum in sums {
            *best = best.max(_mm512_reduce_add_ps(sum));
        }
    }
}

/// Adds the query's cells under the masks that a row's bits are.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn maxsim_bits(query: &[f32], dims: usize, words: usize, document: &[u64], signed: bool) -> f32 {
    let mut padded = vec![0.0f32; words * 64];
    let mut total = 0.0;
    for row in query.chunks_exact(dims) {
        padded.iter_mut().zip(row).for_each(|(slot, cell)| *slot = *cell);
        let mut best = f32::NEG_INFINITY;
        for group in document.chunks_exact(words * ROW_GROUP) {
            let mut sums = [_mm512_setzero_ps(); ROW_GROUP];
            for (cells, column) in padded.as_chunks::<64>().0.iter().zip(group.as_chunks::<ROW_GROUP>().0) {
                for (quarter, cells) in cells.as_chunks::<16>().0.iter().enumerate() {
                    // SAFETY: `cells` is an array of sixteen floats.
                    let cells = unsafe { _mm512_loadu_ps(cells.as_ptr()) };
                    for (sum, word) in sums.iter_mut().zip(column) {
                        #[expect(clippy::cast_possible_truncation, reason = "the sixteen bits of this quarter")]
                        let mask = (word >> (quarter * 16)) as __mmask16;
                        *sum = _mm512_mask_add_ps(*sum, mask, *sum, cells);
                    }
                }
            }
            for sum in sums {
                best = best.max(_mm512_reduce_add_ps(sum));
            }
        }
        total += if signed { 2.0 * best - row.iter().sum::<f32>() } else { best };
    }
    total
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let dims = a.len().min(b.len());
    if dims == 0 {
        return 0.0;
    }
    let mut best = [f32::NEG_INFINITY];
    // SAFETY: both slices hold at least `dims` floats.
    unsafe { tile::<f32, 1, 1>(a.as_ptr(), b.as_ptr(), dims, &mut best) };
    best.iter().sum()
}
