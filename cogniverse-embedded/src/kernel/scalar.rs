//! The portable kernels, which are the reference for the others.

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

/// Returns `1 / (1 + distance)`; distances are below 2^24, so the conversion is exact.
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
    maxsim_f32(query, dims, &spread_bits(dims, words, document, signed))
}

/// The cells of each byte value, bit 0 first.
static CELLS: [[f32; 8]; 256] = {
    let mut table = [[0.0; 8]; 256];
    let mut cell = 0;
    while cell < 256 * 8 {
        #[expect(clippy::indexing_slicing, reason = "computed while compiling")]
        if (cell / 8) >> (cell % 8) & 1 == 1 {
            table[cell / 8][cell % 8] = 1.0;
        }
        cell += 1;
    }
    table
};

/// Expands interleaved bits to rows of `dims` floats.
pub(super) fn spread_bits(dims: usize, words: usize, document: &[u64], signed: bool) -> Vec<f32> {
    let mut rows = vec![0.0; document.len() / words * dims];
    let groups = document.chunks_exact(words * ROW_GROUP);
    for (group, out) in groups.zip(rows.chunks_exact_mut(ROW_GROUP * dims)) {
        for (lane, out) in out.chunks_exact_mut(dims).enumerate() {
            let bytes = group.iter().skip(lane).step_by(ROW_GROUP).flat_map(|word| word.to_le_bytes());
            for (out, byte) in out.chunks_mut(8).zip(bytes) {
                let cells = CELLS.get(usize::from(byte)).unwrap_or(&[0.0; 8]);
                out.iter_mut().zip(cells).for_each(|(out, cell)| *out = *cell);
            }
        }
    }
    if signed {
        rows.iter_mut().for_each(|cell| *cell = 2.0 * *cell - 1.0);
    }
    rows
}

/// Accumulates in sixteen sums, so that the compiler may use wide registers.
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
