//! The plain kernels: the reference of the others, and what runs where there is no other.

use super::layout::ROW_GROUP;
use cogniverse_sdk::quantize::from_bf16;

pub(super) fn hamming_maxsim(query: &[u64], words: usize, document: &[u64]) -> f32 {
    let rows = query.chunks_exact(words);
    rows.map(|row| {
        let mut least = u64::MAX;
        for group in document.chunks_exact(words * ROW_GROUP) {
            let mut distances = [0u64; ROW_GROUP];
            for (word, column) in row.iter().zip(group.as_chunks::<ROW_GROUP>().0) {
                for (distance, other) in distances.iter_mut().zip(column) {
                    *distance += u64::from((word ^ other).count_ones());
                }
            }
            least = distances.iter().fold(least, |least, distance| least.min(*distance));
        }
        similarity(least)
    })
    .sum()
}

/// `1 / (1 + distance)`; distances are below 2^24, so the float is exact.
#[expect(clippy::cast_precision_loss, reason = "a number of bits, far below 2^24")]
pub(super) fn similarity(distance: u64) -> f32 {
    1.0 / (1.0 + distance as f32)
}

pub(super) fn maxsim_f32(query: &[f32], dims: usize, document: &[f32]) -> f32 {
    let best =
        |row: &[f32]| document.chunks_exact(dims).map(|other| dot_f32(row, other)).fold(f32::NEG_INFINITY, f32::max);
    query.chunks_exact(dims).map(best).sum()
}

pub(super) fn maxsim_bf16(query: &[f32], dims: usize, document: &[u16]) -> f32 {
    let mut best = vec![f32::NEG_INFINITY; query.len() / dims];
    let mut widened = vec![0.0; dims];
    for row in document.chunks_exact(dims) {
        widened.iter_mut().zip(row).for_each(|(wide, half)| *wide = from_bf16(*half));
        for (best, query) in best.iter_mut().zip(query.chunks_exact(dims)) {
            *best = best.max(dot_f32(query, &widened));
        }
    }
    best.iter().sum()
}

pub(super) fn maxsim_bits(query: &[f32], dims: usize, words: usize, document: &[u64], signed: bool) -> f32 {
    let score = |row: &[f32], group: &[u64], lane: usize| {
        let mut sum = 0.0;
        for (cells, column) in row.chunks(64).zip(group.as_chunks::<ROW_GROUP>().0) {
            let word = column.get(lane).copied().unwrap_or(0);
            for (bit, cell) in cells.iter().enumerate() {
                sum += if (word >> bit) & 1 == 1 { *cell } else { 0.0 };
            }
        }
        sum
    };
    let best = |row: &[f32]| {
        let ones = document
            .chunks_exact(words * ROW_GROUP)
            .flat_map(|group| (0..ROW_GROUP).map(move |lane| (group, lane)))
            .map(|(group, lane)| score(row, group, lane))
            .fold(f32::NEG_INFINITY, f32::max);
        if signed { 2.0 * ones - row.iter().sum::<f32>() } else { ones }
    };
    query.chunks_exact(dims).map(best).sum()
}

/// Sixteen running sums, so that the compiler may use wide registers.
pub(super) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<16>();
    let (b_lanes, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
