//! Hamming distances, and sums of the quantized look-ups of float query rows.

use crate::kernel::{
    bit_float_query::{BitFloatQuery, NibbleTable},
    bit_query::BitQuery,
    layout::GROUP,
    scalar::{COUNTED, similarity},
};
use std::arch::aarch64::*;

/// The number of query rows compared together, for which a document is read once.
const TILE: usize = 4;
/// 16-bit sums of the 32 rows of a group, in order.
type Sums = [uint16x8_t; 4];

#[inline]
#[target_feature(enable = "neon")]
fn load(column: &[u8; GROUP]) -> [uint8x16_t; 2] {
    // SAFETY: twice 16 bytes are read from an array of 32.
    unsafe { [vld1q_u8(column.as_ptr()), vld1q_u8(column.as_ptr().add(16))] }
}

#[inline]
#[target_feature(enable = "neon")]
fn add(sums: &mut Sums, counts: [uint8x16_t; 2]) {
    let [a, b, c, d] = sums;
    let [first, second] = counts;
    *a = vaddw_u8(*a, vget_low_u8(first));
    *b = vaddw_high_u8(*b, first);
    *c = vaddw_u8(*c, vget_low_u8(second));
    *d = vaddw_high_u8(*d, second);
}

#[target_feature(enable = "neon")]
pub(crate) fn hamming_maxsim(query: &BitQuery, document: &[u8]) -> f32 {
    let bytes = query.bytes();
    let mut total = 0.0;
    for tile in query.packed().chunks(bytes * TILE) {
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
#[inline]
#[target_feature(enable = "neon")]
fn least<const R: usize>(rows: &[u8], bytes: usize, document: &[u8]) -> f32 {
    let mut least = [vdupq_n_u16(u16::MAX); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        for (least, [a, b, c, d]) in least.iter_mut().zip(distances::<R>(rows, bytes, group)) {
            *least = vminq_u16(*least, vminq_u16(vminq_u16(a, b), vminq_u16(c, d)));
        }
    }
    let mut total = 0.0;
    for least in least {
        total += similarity(u32::from(vminvq_u16(least)));
    }
    total
}

/// Computes the distances of `R` query rows, `bytes` apart, from the rows of a group.
#[inline]
#[target_feature(enable = "neon")]
fn distances<const R: usize>(rows: &[u8], bytes: usize, group: &[[u8; GROUP]]) -> [Sums; R] {
    let mut sums = [[vdupq_n_u16(0); 4]; R];
    if rows.len() < (R - 1) * bytes + group.len() {
        return sums;
    }
    for (run, columns) in group.chunks(COUNTED).enumerate() {
        let mut counts = [[vdupq_n_u8(0); 2]; R];
        for (at, column) in columns.iter().enumerate() {
            let [first, second] = load(column);
            for (row, [low, high]) in counts.iter_mut().enumerate() {
                // SAFETY: the place is below `group.len()` and `row < R`, and the rows were just found to be that long.
                let own = vdupq_n_u8(unsafe { *rows.get_unchecked(row * bytes + run * COUNTED + at) });
                *low = vaddq_u8(*low, vcntq_u8(veorq_u8(first, own)));
                *high = vaddq_u8(*high, vcntq_u8(veorq_u8(second, own)));
            }
        }
        for (sums, counts) in sums.iter_mut().zip(counts) {
            add(sums, counts);
        }
    }
    sums
}

#[target_feature(enable = "neon")]
pub(crate) fn hamming_group(query: &BitQuery, row: usize, group: &[u8], out: &mut [u32; GROUP]) {
    let rows = query.packed().get(row * query.bytes()..).unwrap_or_default();
    let [sums] = distances::<1>(rows, query.bytes(), group.as_chunks::<GROUP>().0);
    for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
        let mut lanes = [0u16; 8];
        // SAFETY: eight lanes are written to an array of eight.
        unsafe { vst1q_u16(lanes.as_mut_ptr(), sum) };
        *out = lanes.map(u32::from);
    }
}

/// Returns the sum over query rows of the greatest sum of codes, scaled.
#[target_feature(enable = "neon")]
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
#[inline]
#[target_feature(enable = "neon")]
fn greatest<const R: usize>(tables: &[NibbleTable<u8>], bytes: usize, document: &[u8], scales: &[f64]) -> f64 {
    if tables.len() < R * bytes {
        return 0.0;
    }
    let mut best = [vdupq_n_u16(0); R];
    for group in document.as_chunks::<GROUP>().0.chunks_exact(bytes) {
        let mut sums = [[vdupq_n_u16(0); 4]; R];
        for (at, column) in group.iter().enumerate() {
            let [first, second] = load(column);
            let nibble = vdupq_n_u8(15);
            let low = [vandq_u8(first, nibble), vandq_u8(second, nibble)];
            let high = [vshrq_n_u8::<4>(first), vshrq_n_u8::<4>(second)];
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `at < bytes` and `row < R`, and the tables were found to be that many.
                let [for_low, for_high] = load(unsafe { tables.get_unchecked(row * bytes + at) });
                add(sums, low.map(|nibbles| vqtbl1q_u8(for_low, nibbles)));
                add(sums, high.map(|nibbles| vqtbl1q_u8(for_high, nibbles)));
            }
        }
        for (best, [a, b, c, d]) in best.iter_mut().zip(sums) {
            *best = vmaxq_u16(*best, vmaxq_u16(vmaxq_u16(a, b), vmaxq_u16(c, d)));
        }
    }
    let mut total = 0.0;
    for (best, scale) in best.into_iter().zip(scales) {
        total += f64::from(vmaxvq_u16(best)) * scale;
    }
    total
}
