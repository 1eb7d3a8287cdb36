//! Hamming distances by VPOPCNTB, two columns of 32 rows in a register.

use crate::kernel::{
    bit_query::BitQuery,
    layout::GROUP,
    scalar::{COUNTED, similarity},
};
use std::arch::x86_64::*;

/// The number of query rows compared together, for which a document is read once.
const TILE: usize = 4;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg")]
pub(crate) fn hamming_maxsim(query: &BitQuery, document: &[u8]) -> f32 {
    let bytes = query.bytes();
    let pairs = bytes.div_ceil(2);
    let mut total = 0.0;
    for tile in query.spread().chunks(pairs * TILE) {
        total += match tile.len() / pairs {
            4 => least::<4>(tile, bytes, document),
            3 => least::<3>(tile, bytes, document),
            2 => least::<2>(tile, bytes, document),
            _ => least::<1>(tile, bytes, document),
        };
    }
    total
}

/// Sums the similarities of `R` query rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg")]
#[inline]
fn least<const R: usize>(rows: &[[u8; 64]], bytes: usize, document: &[u8]) -> f32 {
    let groups = document.chunks_exact(GROUP * bytes);
    let least = if bytes <= COUNTED {
        let mut least = [_mm256_set1_epi8(-1); R];
        for group in groups {
            let counts = counts::<R>(rows, bytes.div_ceil(2), group);
            for (least, counts) in least.iter_mut().zip(counts) {
                let (low, high) = (_mm512_castsi512_si256(counts), _mm512_extracti64x4_epi64::<1>(counts));
                *least = _mm256_min_epu8(*least, _mm256_add_epi8(low, high));
            }
        }
        // The lesser of each two neighbours; the upper byte becomes zero.
        least.map(|least| _mm256_min_epu8(least, _mm256_srli_epi16::<8>(least)))
    } else {
        let mut least = [_mm256_set1_epi16(-1); R];
        for group in groups {
            for (least, (even, odd)) in least.iter_mut().zip(distances::<R>(rows, bytes, group)) {
                *least = _mm256_min_epu16(*least, _mm256_min_epu16(even, odd));
            }
        }
        least
    };
    let mut total = 0.0;
    for least in least {
        let halves = _mm_min_epu16(_mm256_castsi256_si128(least), _mm256_extracti128_si256::<1>(least));
        total += similarity(_mm_extract_epi16::<0>(_mm_minpos_epu16(halves)).cast_unsigned());
    }
    total
}

/// Returns the distances of the rows with even numbers and of those with odd ones, in 16-bit lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg")]
#[inline]
fn distances<const R: usize>(rows: &[[u8; 64]], bytes: usize, group: &[u8]) -> [(__m256i, __m256i); R] {
    let mut sums = [(_mm512_setzero_si512(), _mm512_setzero_si512()); R];
    for (run, columns) in group.chunks(COUNTED * 2 * GROUP).enumerate() {
        let counts = counts::<R>(rows.get(run * COUNTED..).unwrap_or_default(), bytes.div_ceil(2), columns);
        for ((even, odd), counts) in sums.iter_mut().zip(counts) {
            *even = _mm512_add_epi16(*even, _mm512_and_si512(counts, _mm512_set1_epi16(0xff)));
            *odd = _mm512_add_epi16(*odd, _mm512_srli_epi16::<8>(counts));
        }
    }
    sums.map(|(even, odd)| (fold(even), fold(odd)))
}

/// Adds the sums of even columns to those of odd ones.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn fold(sums: __m512i) -> __m256i {
    _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums))
}

/// Counts differing bits in at most twice [`COUNTED`] columns, apart for even and odd ones. The pairs of the rows start
/// `pairs` apart.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg")]
#[inline]
fn counts<const R: usize>(rows: &[[u8; 64]], pairs: usize, columns: &[u8]) -> [__m512i; R] {
    let mut sums = [_mm512_setzero_si512(); R];
    let (twos, last) = columns.as_chunks::<64>();
    let last = last.first_chunk::<GROUP>();
    if rows.len() < (R - 1) * pairs + twos.len() + usize::from(last.is_some()) {
        return sums;
    }
    for (at, two) in twos.iter().enumerate() {
        // SAFETY: 64 bytes are read from arrays of 64; `at < twos.len()` and `row < R`, and the rows were just found
        // to be that long.
        unsafe {
            let column = _mm512_loadu_si512(two.as_ptr().cast());
            for (row, sum) in sums.iter_mut().enumerate() {
                let own = _mm512_loadu_si512(rows.get_unchecked(row * pairs + at).as_ptr().cast());
                *sum = _mm512_add_epi8(*sum, _mm512_popcnt_epi8(_mm512_xor_si512(column, own)));
            }
        }
    }
    if let Some(last) = last {
        // SAFETY: as above; 32 bytes are read from an array of 32. The query has zeros in the second half too.
        unsafe {
            let column = _mm512_zextsi256_si512(_mm256_loadu_si256(last.as_ptr().cast()));
            for (row, sum) in sums.iter_mut().enumerate() {
                let own = _mm512_loadu_si512(rows.get_unchecked(row * pairs + twos.len()).as_ptr().cast());
                *sum = _mm512_add_epi8(*sum, _mm512_popcnt_epi8(_mm512_xor_si512(column, own)));
            }
        }
    }
    sums
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg")]
pub(crate) fn hamming_group(query: &BitQuery, row: usize, group: &[u8], out: &mut [u32; GROUP]) {
    let rows = query.spread().get(row * query.bytes().div_ceil(2)..).unwrap_or_default();
    let [(even, odd)] = distances::<1>(rows, query.bytes(), group);
    let (mut evens, mut odds) = ([0u16; 16], [0u16; 16]);
    // SAFETY: 32 bytes are written to arrays of 32 bytes.
    unsafe {
        _mm256_storeu_si256(evens.as_mut_ptr().cast(), even);
        _mm256_storeu_si256(odds.as_mut_ptr().cast(), odd);
    }
    for ((out, even), odd) in out.as_chunks_mut::<2>().0.iter_mut().zip(evens).zip(odds) {
        *out = [u32::from(even), u32::from(odd)];
    }
}
