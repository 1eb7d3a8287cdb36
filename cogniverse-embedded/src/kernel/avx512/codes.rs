//! Products of quantized float query rows with codes: a register holds four dimensions of sixteen document rows.

use crate::kernel::{
    code_layout::{CODE_GROUP, LINE},
    code_query::{CodeQuery, CodeStage, Codes, Extremes},
};
use std::arch::x86_64::*;

/// The number of query rows processed together.
const TILE: usize = 10;

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(crate) fn code_best(
    query: &CodeQuery,
    stage: CodeStage,
    first: usize,
    document: &[u8],
    best: &mut [f32],
) -> Extremes {
    let mut most = Extremes::default();
    let mut row = first;
    let size = best.len().div_ceil(best.len().div_ceil(TILE).max(1)).max(1);
    for tile in best.chunks_mut(size) {
        let from = Tile { query, stage, row };
        row += tile.len();
        most = match tile.len() {
            10 => from.best::<10>(document, tile),
            9 => from.best::<9>(document, tile),
            8 => from.best::<8>(document, tile),
            7 => from.best::<7>(document, tile),
            6 => from.best::<6>(document, tile),
            5 => from.best::<5>(document, tile),
            4 => from.best::<4>(document, tile),
            3 => from.best::<3>(document, tile),
            2 => from.best::<2>(document, tile),
            _ => from.best::<1>(document, tile),
        };
    }
    most
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(crate) fn code_lanes(query: &CodeQuery, stage: CodeStage, row: usize, group: &[u8], out: &mut [f32; CODE_GROUP]) {
    let ([bounds], _) = Tile { query, stage, row }.bounds::<1>(group);
    // SAFETY: sixteen floats are written to an array of sixteen.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), bounds) };
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn best<const R: usize>(self, document: &[u8], out: &mut [f32]) -> Extremes {
        let mut best = [_mm512_set1_ps(f32::NEG_INFINITY); R];
        let mut most = [_mm512_setzero_ps(); 2];
        for group in document.chunks_exact(self.query.group_len()) {
            let (bounds, errors) = self.bounds::<R>(group);
            for (best, bounds) in best.iter_mut().zip(bounds) {
                *best = _mm512_max_ps(*best, bounds);
            }
            for (most, error) in most.iter_mut().zip(errors) {
                *most = _mm512_max_ps(*most, error);
            }
        }
        out.iter_mut().zip(best).for_each(|(out, best)| *out = _mm512_reduce_max_ps(best));
        let [residual, norm] = most.map(|most| _mm512_reduce_max_ps(most));
        Extremes { residual, norm }
    }

    /// Computes the upper bounds of `R` query rows for the rows of a group, and their residuals and norms.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn bounds<const R: usize>(self, group: &[u8]) -> ([__m512; R], [__m512; 2]) {
        let [scales, errors, lines @ ..] = group.as_chunks::<LINE>().0 else {
            return ([_mm512_setzero_ps(); R], [_mm512_setzero_ps(); 2]);
        };
        // SAFETY: twice 64 bytes are read from arrays of 64.
        let (scales, errors) =
            unsafe { (_mm512_loadu_ps(scales.as_ptr().cast()), _mm512_loadu_si512(errors.as_ptr().cast())) };
        let residual = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_srli_epi32::<16>(errors)));
        let residual = _mm512_mul_ps(residual, _mm512_set1_ps(self.query.stretch()));
        let norm = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(errors));
        let mut sums = self.scaled::<R>(self.query.high(), lines);
        if self.stage == CodeStage::Fine {
            for (sum, low) in sums.iter_mut().zip(self.scaled::<R>(self.query.low(), lines)) {
                *sum = _mm512_add_ps(*sum, low);
            }
        }
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, scales, residual);
        }
        (sums, [residual, norm])
    }

    /// Computes the sums of products of codes, exactly, and returns them scaled by the query's steps.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn scaled<const R: usize>(self, codes: &Codes, lines: &[[u8; LINE]]) -> [__m512; R] {
        let (rows, blocks) = (self.query.rows(), self.query.blocks());
        let mut scaled = [_mm512_setzero_ps(); R];
        let starts = codes.starts.get(self.row..).unwrap_or_default();
        let steps = codes.steps.get(self.row..).unwrap_or_default();
        if starts.len() < R || self.row + R > rows || codes.words.len() < rows * blocks {
            return scaled;
        }
        let mut sums = [_mm512_setzero_si512(); R];
        for (sum, start) in sums.iter_mut().zip(starts) {
            *sum = _mm512_set1_epi32(*start);
        }
        let mut own = codes.words.as_ptr().wrapping_add(self.row);
        for line in lines.iter().take(blocks) {
            // SAFETY: 64 bytes are read from an array of 64.
            let cells = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: there are `rows` words for each block, of which `R` follow from `self.row` on.
                let word = _mm512_set1_epi32(unsafe { *own.add(row) });
                *sum = _mm512_dpbusd_epi32(*sum, cells, word);
            }
            own = own.wrapping_add(rows);
        }
        for ((scaled, sum), step) in scaled.iter_mut().zip(sums).zip(steps) {
            *scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(*step));
        }
        scaled
    }
}
