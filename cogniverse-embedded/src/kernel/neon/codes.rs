//! Products of quantized float query rows with codes: two registers hold four dimensions of eight document rows.

use crate::kernel::{
    code_layout::{CODE_GROUP, LINE},
    code_query::{CodeQuery, CodeStage, Codes, Extremes},
};
use std::arch::aarch64::*;

/// The number of query rows processed together.
const TILE: usize = 4;
/// Lanes of eight rows.
type Lanes = [float32x4_t; 2];

#[target_feature(enable = "neon")]
pub(crate) fn code_best(
    query: &CodeQuery,
    stage: CodeStage,
    first: usize,
    document: &[u8],
    best: &mut [f32],
) -> Extremes {
    let mut most = Extremes::default();
    let mut row = first;
    for tile in best.chunks_mut(TILE) {
        let from = Tile { query, stage, row };
        row += tile.len();
        most = match tile.len() {
            4 => from.best::<4>(document, tile),
            3 => from.best::<3>(document, tile),
            2 => from.best::<2>(document, tile),
            _ => from.best::<1>(document, tile),
        };
    }
    most
}

#[target_feature(enable = "neon")]
pub(crate) fn code_lanes(query: &CodeQuery, stage: CodeStage, row: usize, group: &[u8], out: &mut [f32; CODE_GROUP]) {
    for (half, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let ([[first, second]], _) = Tile { query, stage, row }.bounds::<1>(group, half);
        // SAFETY: twice four floats are written to an array of eight.
        unsafe {
            vst1q_f32(out.as_mut_ptr(), first);
            vst1q_f32(out.as_mut_ptr().add(4), second);
        }
    }
}

/// Query rows from `row` on.
#[derive(Clone, Copy)]
struct Tile<'a> {
    query: &'a CodeQuery,
    stage: CodeStage,
    row: usize,
}

impl Tile<'_> {
    /// Writes the greatest bounds of `R` query rows.
    #[inline]
    #[target_feature(enable = "neon")]
    fn best<const R: usize>(self, document: &[u8], out: &mut [f32]) -> Extremes {
        let mut best = [vdupq_n_f32(f32::NEG_INFINITY); R];
        let mut most = [vdupq_n_f32(0.0); 2];
        for group in document.chunks_exact(self.query.group_len()) {
            for half in 0..2 {
                let (bounds, errors) = self.bounds::<R>(group, half);
                for (best, [first, second]) in best.iter_mut().zip(bounds) {
                    *best = vmaxq_f32(*best, vmaxq_f32(first, second));
                }
                for (most, error) in most.iter_mut().zip(errors) {
                    *most = vmaxq_f32(*most, error);
                }
            }
        }
        for (out, best) in out.iter_mut().zip(best) {
            *out = vmaxvq_f32(best);
        }
        let [residual, norm] = most;
        Extremes { residual: vmaxvq_f32(residual), norm: vmaxvq_f32(norm) }
    }

    /// Computes the upper bounds of `R` query rows for half the rows of a group, and the greatest residuals and norms.
    #[inline]
    #[target_feature(enable = "neon")]
    fn bounds<const R: usize>(self, group: &[u8], half: usize) -> ([Lanes; R], Lanes) {
        let mut most = [vdupq_n_f32(0.0); 2];
        let halves = group.as_chunks::<{ LINE / 2 }>().0;
        let (Some(scales), Some(errors), Some(lines)) =
            (halves.get(half), halves.get(2 + half), halves.get(4 + half..))
        else {
            return ([[vdupq_n_f32(0.0); 2]; R], most);
        };
        let mut sums = self.scaled::<R>(self.query.high(), lines);
        if self.stage == CodeStage::Fine {
            for (sums, low) in sums.iter_mut().zip(self.scaled::<R>(self.query.low(), lines)) {
                for (sum, low) in sums.iter_mut().zip(low) {
                    *sum = vaddq_f32(*sum, low);
                }
            }
        }
        for (part, (scale, errors)) in load(scales).into_iter().zip(load(errors)).enumerate() {
            let (scale, errors) = (vreinterpretq_f32_u8(scale), vreinterpretq_u32_u8(errors));
            let high = vreinterpretq_f32_u32(vshlq_n_u32::<16>(vshrq_n_u32::<16>(errors)));
            let norm = vreinterpretq_f32_u32(vshlq_n_u32::<16>(errors));
            let residual = vmulq_n_f32(high, self.query.stretch());
            for sum in sums.iter_mut().filter_map(|sums| sums.get_mut(part)) {
                *sum = vfmaq_f32(residual, *sum, scale);
            }
            for (most, error) in most.iter_mut().zip([residual, norm]) {
                *most = vmaxq_f32(*most, error);
            }
        }
        (sums, most)
    }

    /// Computes the sums of products of codes, exactly, and returns them scaled by the query's steps. Every other of the
    /// half lines belongs to the other half of the group.
    #[inline]
    #[target_feature(enable = "neon")]
    fn scaled<const R: usize>(self, codes: &Codes, lines: &[[u8; LINE / 2]]) -> [Lanes; R] {
        let (rows, blocks) = (self.query.rows(), self.query.blocks());
        let mut scaled = [[vdupq_n_f32(0.0); 2]; R];
        let steps = codes.steps.get(self.row..).unwrap_or_default();
        if steps.len() < R || self.row + R > rows || codes.words.len() < rows * blocks {
            return scaled;
        }
        // Two sums for each row, of two dimensions.
        let mut sums = [[vdupq_n_s32(0); 4]; R];
        let mut own = codes.words.as_ptr().wrapping_add(self.row);
        for line in lines.iter().step_by(2).take(blocks) {
            let [first, second] = load(line).map(|bytes| vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128))));
            for (row, [a, b, c, d]) in sums.iter_mut().enumerate() {
                // SAFETY: there are `rows` words for each block, of which `R` follow from `self.row` on.
                let word = vreinterpretq_s8_s32(vdupq_n_s32(unsafe { *own.add(row) }));
                *a = vpadalq_s16(*a, vmull_s8(vget_low_s8(first), vget_low_s8(word)));
                *b = vpadalq_s16(*b, vmull_high_s8(first, word));
                *c = vpadalq_s16(*c, vmull_s8(vget_low_s8(second), vget_low_s8(word)));
                *d = vpadalq_s16(*d, vmull_high_s8(second, word));
            }
            own = own.wrapping_add(rows);
        }
        for ((scaled, [a, b, c, d]), step) in scaled.iter_mut().zip(sums).zip(steps) {
            let sums = [vpaddq_s32(a, b), vpaddq_s32(c, d)];
            *scaled = sums.map(|sum| vmulq_n_f32(vcvtq_f32_s32(sum), *step));
        }
        scaled
    }
}

/// Reads half a line.
#[inline]
#[target_feature(enable = "neon")]
fn load(half: &[u8; LINE / 2]) -> [uint8x16_t; 2] {
    // SAFETY: twice 16 bytes are read from an array of 32.
    unsafe { [vld1q_u8(half.as_ptr()), vld1q_u8(half.as_ptr().add(16))] }
}
