//! Hamming distances by look-ups of nibbles: for each nibble of a query row, a table of how many bits differ.

use super::lanes::{load, look_up, nibbles};
use crate::kernel::{
    bit_query::BitQuery,
    layout::GROUP,
    scalar::{COUNTED, similarity},
};
use std::arch::x86_64::*;

/// The number of query rows compared together, for which the nibbles of the document are separated once.
const TILE: usize = 4;

#[target_feature(enable = "avx2")]
pub(crate) fn hamming_maxsim(query: &BitQuery, document: &[u8]) -> f32 {
    let bytes = query.bytes();
    let mut total = 0.0;
    for tile in query.nibbles().chunks(bytes * TILE) {
        total += match tile.len() / bytes {
            4 => least::<4>(tile, bytes, document),
            3 => least::<3>(tile, bytes, document),
            2 => least::<2>(tile, bytes, document),
            _ => least::<1>(tile, bytes, document),
        };
    }
    total
}

/// Sums the similarities of `R` query rows.
#[target_feature(enable = "avx2")]
#[inline]
fn least<const R: usize>(tables: &[[u8; 32]], bytes: usize, document: &[u8]) -> f32 {
    let least =
        if bytes <= COUNTED { narrow::<R>(tables, bytes, document) } else { wide::<R>(tables, bytes, document) };
    let mut total = 0.0;
    for least in least {
        let halves = _mm_min_epu16(_mm256_castsi256_si128(least), _mm256_extracti128_si256::<1>(least));
        let least = _mm_extract_epi16::<0>(_mm_minpos_epu16(halves));
        total += similarity(least.cast_unsigned());
    }
    total
}

/// Returns the least distances of rows that 8-bit counters suffice for, in 16-bit lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn narrow<const R: usize>(tables: &[[u8; 32]], bytes: usize, document: &[u8]) -> [__m256i; R] {
    let mut least = [_mm256_set1_epi8(-1); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        let counts = counts::<R>(tables, bytes, group);
        for (least, counts) in least.iter_mut().zip(counts) {
            *least = _mm256_min_epu8(*least, counts);
        }
    }
    // The lesser of each two neighbours; the upper byte becomes zero.
    least.map(|least| _mm256_min_epu8(least, _mm256_srli_epi16::<8>(least)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn wide<const R: usize>(tables: &[[u8; 32]], bytes: usize, document: &[u8]) -> [__m256i; R] {
    let mut least = [_mm256_set1_epi16(-1); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        let distances = distances::<R>(tables, bytes, group);
        for (least, (even, odd)) in least.iter_mut().zip(distances) {
            *least = _mm256_min_epu16(*least, _mm256_min_epu16(even, odd));
        }
    }
    least
}

/// Returns the distances of the rows with even numbers and of those with odd ones, in 16-bit lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn distances<const R: usize>(tables: &[[u8; 32]], bytes: usize, group: &[[u8; GROUP]]) -> [(__m256i, __m256i); R] {
    let mut sums = [(_mm256_setzero_si256(), _mm256_setzero_si256()); R];
    for (run, columns) in group.chunks(COUNTED).enumerate() {
        let counts = counts::<R>(tables.get(run * COUNTED..).unwrap_or_default(), bytes, columns);
        for ((even, odd), counts) in sums.iter_mut().zip(counts) {
            *even = _mm256_add_epi16(*even, _mm256_and_si256(counts, _mm256_set1_epi16(0xff)));
            *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16::<8>(counts));
        }
    }
    sums
}

/// Counts differing bits in at most [`COUNTED`] columns. The tables of the rows start `bytes` apart.
#[target_feature(enable = "avx2")]
#[inline]
fn counts<const R: usize>(tables: &[[u8; 32]], bytes: usize, columns: &[[u8; GROUP]]) -> [__m256i; R] {
    let mut sums = [_mm256_setzero_si256(); R];
    if tables.len() < (R - 1) * bytes + columns.len() {
        return sums;
    }
    for (at, column) in columns.iter().enumerate() {
        let (low, high) = nibbles(load(column));
        for (row, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `at < columns.len()` and `row < R`, and the tables were just found to be that many.
            let table = unsafe { tables.get_unchecked(row * bytes + at) };
            let (low, high) = look_up(table, low, high);
            *sum = _mm256_add_epi8(*sum, _mm256_add_epi8(low, high));
        }
    }
    sums
}

#[target_feature(enable = "avx2")]
pub(crate) fn hamming_group(query: &BitQuery, row: usize, group: &[u8], out: &mut [u32; GROUP]) {
    let tables = query.nibbles().get(row * query.bytes()..).unwrap_or_default();
    let [(even, odd)] = distances::<1>(tables, query.bytes(), group.as_chunks::<GROUP>().0);
    let mut lanes = [[0u16; 16]; 2];
    let [evens, odds] = &mut lanes;
    // SAFETY: twice 32 bytes are written to arrays of 32 bytes.
    unsafe {
        _mm256_storeu_si256(evens.as_mut_ptr().cast(), even);
        _mm256_storeu_si256(odds.as_mut_ptr().cast(), odd);
    }
    for ((out, even), odd) in out.as_chunks_mut::<2>().0.iter_mut().zip(evens).zip(odds) {
        *out = [u32::from(*even), u32::from(*odd)];
    }
}
