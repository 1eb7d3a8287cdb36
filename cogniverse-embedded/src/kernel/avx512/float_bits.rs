//! Products of float query rows with bits: a register is the table of a nibble's sixteen sums.

use crate::kernel::{
    bit_float_query::{BitFloatQuery, NibbleTable},
    layout::GROUP,
};
use std::arch::x86_64::*;

/// The number of query rows processed together.
const TILE: usize = 4;
/// The number of document rows whose products are in a register.
const LANES: usize = 16;

#[target_feature(enable = "avx512f")]
pub(crate) fn maxsim_bits(query: &BitFloatQuery, document: &[u8]) -> f32 {
    let bytes = query.bytes();
    let mut total = 0.0;
    for tile in query.nibbles().chunks(bytes * TILE) {
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
#[target_feature(enable = "avx512f")]
#[inline]
fn best<const R: usize>(tables: &[NibbleTable<f32>], bytes: usize, document: &[u8]) -> f32 {
    let mut best = [_mm512_set1_ps(f32::NEG_INFINITY); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        for (best, [first, second]) in best.iter_mut().zip(products::<R>(tables, bytes, group)) {
            *best = _mm512_max_ps(second, _mm512_max_ps(first, *best));
        }
    }
    best.map(|lanes| _mm512_reduce_max_ps(lanes)).into_iter().sum()
}

/// Computes the products of `R` query rows with the rows of a group. The tables of the query rows start `bytes` apart.
#[target_feature(enable = "avx512f")]
#[inline]
fn products<const R: usize>(tables: &[NibbleTable<f32>], bytes: usize, group: &[[u8; GROUP]]) -> [[__m512; 2]; R] {
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    if tables.len() < (R - 1) * bytes + group.len() {
        return sums;
    }
    for (at, column) in group.iter().enumerate() {
        // SAFETY: twice sixteen bytes of an array of 32.
        let (first, second) = unsafe {
            (
                _mm512_cvtepu8_epi32(_mm_loadu_si128(column.as_ptr().cast())),
                _mm512_cvtepu8_epi32(_mm_loadu_si128(column.as_ptr().add(LANES).cast())),
            )
        };
        // The look-up uses the lowest four bits of its index only.
        let (first_high, second_high) = (_mm512_srli_epi32::<4>(first), _mm512_srli_epi32::<4>(second));
        for (row, [first_sum, second_sum]) in sums.iter_mut().enumerate() {
            // SAFETY: `at < group.len()` and `row < R`, and the tables were just found to be that many; twice sixteen
            // floats are read from one of 32.
            let (low, high) = unsafe {
                let table = tables.get_unchecked(row * bytes + at).as_ptr();
                (_mm512_loadu_ps(table), _mm512_loadu_ps(table.add(LANES)))
            };
            *first_sum = _mm512_add_ps(*first_sum, _mm512_permutexvar_ps(first, low));
            *second_sum = _mm512_add_ps(*second_sum, _mm512_permutexvar_ps(second, low));
            *first_sum = _mm512_add_ps(*first_sum, _mm512_permutexvar_ps(first_high, high));
            *second_sum = _mm512_add_ps(*second_sum, _mm512_permutexvar_ps(second_high, high));
        }
    }
    sums
}

#[target_feature(enable = "avx512f")]
pub(crate) fn bits_group(query: &BitFloatQuery, row: usize, group: &[u8], out: &mut [f32; GROUP]) {
    let tables = query.nibbles().get(row * query.bytes()..).unwrap_or_default();
    let [products] = products::<1>(tables, query.bytes(), group.as_chunks::<GROUP>().0);
    for (out, product) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(products) {
        // SAFETY: sixteen floats are written to an array of sixteen.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), product) };
    }
}
