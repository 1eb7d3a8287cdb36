//! Products of float query rows with bits, by look-ups.

use super::lanes::{load, look_up, nibbles};
use crate::kernel::{
    bit_float_query::{BitFloatQuery, NibbleTable, TripleTable},
    layout::GROUP,
};
use std::arch::x86_64::*;

/// The number of query rows processed together.
const TILE: usize = 4;
/// The number of document rows whose products are in a register.
const LANES: usize = 8;

#[target_feature(enable = "avx2")]
pub(crate) fn maxsim_bits(query: &BitFloatQuery, document: &[u8]) -> f32 {
    let bytes = query.bytes();
    let mut total = 0.0;
    for tile in query.triples().chunks(bytes * TILE) {
        total += match tile.len() / bytes {
            4 => best::<4>(tile, bytes, document),
            3 => best::<3>(tile, bytes, document),
            2 => best::<2>(tile, bytes, document),
            _ => best::<1>(tile, bytes, document),
        };
    }
    total
}

/// Sums the greatest products of `R` query rows.
#[target_feature(enable = "avx2")]
#[inline]
fn best<const R: usize>(tables: &[TripleTable], bytes: usize, document: &[u8]) -> f32 {
    let mut best = [_mm256_set1_ps(f32::NEG_INFINITY); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        for half in 0..2 {
            let products = products::<R>(tables, bytes, group, half * 2 * LANES);
            for (best, [first, second]) in best.iter_mut().zip(products) {
                *best = _mm256_max_ps(second, _mm256_max_ps(first, *best));
            }
        }
    }
    best.map(|lanes| stored(lanes).into_iter().fold(f32::NEG_INFINITY, f32::max)).into_iter().sum()
}

#[target_feature(enable = "avx2")]
#[inline]
fn stored(value: __m256) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: eight floats are written to an array of eight.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), value) };
    lanes
}

/// Computes the products of `R` query rows with sixteen rows of a group from `first` on, which is 0 or 16. The tables
/// of the query rows start `bytes` apart.
#[target_feature(enable = "avx2")]
#[inline]
fn products<const R: usize>(
    tables: &[TripleTable],
    bytes: usize,
    group: &[[u8; GROUP]],
    first: usize,
) -> [[__m256; 2]; R] {
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    if tables.len() < (R - 1) * bytes + group.len() || first > GROUP - 2 * LANES {
        return sums;
    }
    for (at, column) in group.iter().enumerate() {
        // SAFETY: twice eight bytes from `first` on, which was just found to leave sixteen.
        let (low, high) = unsafe {
            let column = column.as_ptr().add(first);
            (
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(column.cast())),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(column.add(LANES).cast())),
            )
        };
        // The look-up uses the lowest three bits of its index only.
        let (low_1, low_2) = (_mm256_srli_epi32::<3>(low), _mm256_srli_epi32::<6>(low));
        let (high_1, high_2) = (_mm256_srli_epi32::<3>(high), _mm256_srli_epi32::<6>(high));
        for (row, [low_sum, high_sum]) in sums.iter_mut().enumerate() {
            // SAFETY: `at < group.len()` and `row < R`, and the tables were just found to be that many; three times
            // eight floats are read from one of 24.
            let (t0, t1, t2) = unsafe {
                let table = tables.get_unchecked(row * bytes + at).as_ptr();
                (_mm256_loadu_ps(table), _mm256_loadu_ps(table.add(8)), _mm256_loadu_ps(table.add(16)))
            };
            *low_sum = _mm256_add_ps(*low_sum, _mm256_permutevar8x32_ps(t0, low));
            *high_sum = _mm256_add_ps(*high_sum, _mm256_permutevar8x32_ps(t0, high));
            *low_sum = _mm256_add_ps(*low_sum, _mm256_permutevar8x32_ps(t1, low_1));
            *high_sum = _mm256_add_ps(*high_sum, _mm256_permutevar8x32_ps(t1, high_1));
            *low_sum = _mm256_add_ps(*low_sum, _mm256_permutevar8x32_ps(t2, low_2));
            *high_sum = _mm256_add_ps(*high_sum, _mm256_permutevar8x32_ps(t2, high_2));
        }
    }
    sums
}

#[target_feature(enable = "avx2")]
pub(crate) fn bits_group(query: &BitFloatQuery, row: usize, group: &[u8], out: &mut [f32; GROUP]) {
    let tables = query.triples().get(row * query.bytes()..).unwrap_or_default();
    for (half, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let [products] = products::<1>(tables, query.bytes(), group.as_chunks::<GROUP>().0, half * 16);
        for (out, product) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(products) {
            *out = stored(product);
        }
    }
}

/// Returns the sum over query rows of the greatest sum of codes, scaled.
#[target_feature(enable = "avx2")]
pub(crate) fn bit_codes(query: &BitFloatQuery, document: &[u8]) -> f64 {
    let bytes = query.bytes();
    let mut total = 0.0;
    for (tile, scales) in query.codes().chunks(bytes * TILE).zip(query.scales().chunks(TILE)) {
        total += match scales {
            [_, _, _, _] => greatest::<4>(tile, bytes, document, scales),
            [_, _, _] => greatest::<3>(tile, bytes, document, scales),
            [_, _] => greatest::<2>(tile, bytes, document, scales),
            _ => greatest::<1>(tile, bytes, document, scales),
        };
    }
    total
}

/// Sums the greatest sums of codes of `R` query rows, scaled.
#[target_feature(enable = "avx2")]
#[inline]
fn greatest<const R: usize>(tables: &[NibbleTable<u8>], bytes: usize, document: &[u8], scales: &[f64]) -> f64 {
    let mut best = [_mm256_setzero_si256(); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        let sums = code_sums::<R>(tables, bytes, group);
        for (best, (both, odd)) in best.iter_mut().zip(sums) {
            let even = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd));
            *best = _mm256_max_epu16(*best, _mm256_max_epu16(even, odd));
        }
    }
    let mut total = 0.0;
    for (best, scale) in best.into_iter().zip(scales) {
        // The greatest is the complement of the least complement.
        let halves = _mm_max_epu16(_mm256_castsi256_si128(best), _mm256_extracti128_si256::<1>(best));
        let least = _mm_minpos_epu16(_mm_xor_si128(halves, _mm_set1_epi16(-1)));
        total += f64::from(0xffff - _mm_extract_epi16::<0>(least)) * scale;
    }
    total
}

/// Returns, in 16-bit lanes: the wrapped sums of even rows plus 256 times odd rows; the sums of odd rows.
#[target_feature(enable = "avx2")]
#[inline]
fn code_sums<const R: usize>(
    tables: &[NibbleTable<u8>],
    bytes: usize,
    group: &[[u8; GROUP]],
) -> [(__m256i, __m256i); R] {
    let mut sums = [(_mm256_setzero_si256(), _mm256_setzero_si256()); R];
    if tables.len() < (R - 1) * bytes + group.len() {
        return sums;
    }
    for (at, column) in group.iter().enumerate() {
        let (low, high) = nibbles(load(column));
        for (row, (both, odd)) in sums.iter_mut().enumerate() {
            // SAFETY: `at < group.len()` and `row < R`, and the tables were just found to be that many.
            let table = unsafe { tables.get_unchecked(row * bytes + at) };
            let (low, high) = look_up(table, low, high);
            *both = _mm256_add_epi16(*both, _mm256_add_epi16(low, high));
            *odd = _mm256_add_epi16(*odd, _mm256_add_epi16(_mm256_srli_epi16::<8>(low), _mm256_srli_epi16::<8>(high)));
        }
    }
    sums
}
