//! Products of quantized float query rows with codes: two registers hold four dimensions of sixteen document rows.

use crate::kernel::{
    code_layout::{CODE_GROUP, LINE},
    code_query::{CodeQuery, CodeStage, Codes, Extremes},
};
use std::arch::x86_64::*;

/// The number of query rows processed together.
const TILE: usize = 4;
/// The halves of a group.
type Halves<T> = [T; 2];

#[target_feature(enable = "avx2,fma")]
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

#[target_feature(enable = "avx2,fma")]
pub(crate) fn code_lanes(query: &CodeQuery, stage: CodeStage, row: usize, group: &[u8], out: &mut [f32; CODE_GROUP]) {
    let ([bounds], _) = Tile { query, stage, row }.bounds::<1>(group);
    for (out, bounds) in out.as_chunks_mut::<8>().0.iter_mut().zip(bounds) {
        *out = stored(bounds);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn stored(value: __m256) -> [f32; 8] {
    let mut lanes = [0.0; 8];
    // SAFETY: eight floats are written to an array of eight.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), value) };
    lanes
}

#[inline]
#[target_feature(enable = "avx2")]
fn greatest(value: __m256) -> f32 {
    let lanes = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps::<1>(value));
    let lanes = _mm_max_ps(lanes, _mm_movehl_ps(lanes, lanes));
    _mm_cvtss_f32(_mm_max_ss(lanes, _mm_movehdup_ps(lanes)))
}

/// Reads a line.
#[inline]
#[target_feature(enable = "avx2")]
fn load(line: &[u8; LINE]) -> Halves<__m256i> {
    // SAFETY: twice 32 bytes are read from an array of 64.
    unsafe { [_mm256_loadu_si256(line.as_ptr().cast()), _mm256_loadu_si256(line.as_ptr().add(LINE / 2).cast())] }
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
    #[target_feature(enable = "avx2,fma")]
    fn best<const R: usize>(self, document: &[u8], out: &mut [f32]) -> Extremes {
        let mut best = [_mm256_set1_ps(f32::NEG_INFINITY); R];
        let mut most = [_mm256_setzero_ps(); 2];
        for group in document.chunks_exact(self.query.group_len()) {
            let (bounds, errors) = self.bounds::<R>(group);
            for (best, [first, second]) in best.iter_mut().zip(bounds) {
                *best = _mm256_max_ps(*best, _mm256_max_ps(first, second));
            }
            for (most, error) in most.iter_mut().zip(errors) {
                *most = _mm256_max_ps(*most, error);
            }
        }
        for (out, best) in out.iter_mut().zip(best) {
            *out = greatest(best);
        }
        let [residual, norm] = most;
        Extremes { residual: greatest(residual), norm: greatest(norm) }
    }

    /// Computes the upper bounds of `R` query rows for the rows of a group, and the greatest residuals and norms.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn bounds<const R: usize>(self, group: &[u8]) -> ([Halves<__m256>; R], [__m256; 2]) {
        let mut most = [_mm256_setzero_ps(); 2];
        let [first, second, lines @ ..] = group.as_chunks::<LINE>().0 else {
            return ([[_mm256_setzero_ps(); 2]; R], most);
        };
        let mut sums = self.scaled::<R>(self.query.high(), lines);
        if self.stage == CodeStage::Fine {
            for (sums, low) in sums.iter_mut().zip(self.scaled::<R>(self.query.low(), lines)) {
                for (sum, low) in sums.iter_mut().zip(low) {
                    *sum = _mm256_add_ps(*sum, low);
                }
            }
        }
        for (half, (scale, errors)) in load(first).into_iter().zip(load(second)).enumerate() {
            let high = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_srli_epi32::<16>(errors)));
            let norm = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(errors));
            let residual = _mm256_mul_ps(high, _mm256_set1_ps(self.query.stretch()));
            for sum in sums.iter_mut().filter_map(|sums| sums.get_mut(half)) {
                *sum = _mm256_fmadd_ps(*sum, _mm256_castsi256_ps(scale), residual);
            }
            for (most, error) in most.iter_mut().zip([residual, norm]) {
                *most = _mm256_max_ps(*most, error);
            }
        }
        (sums, most)
    }

    /// Computes the sums of products of codes, exactly, and returns them scaled by the query's steps.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn scaled<const R: usize>(self, codes: &Codes, lines: &[[u8; LINE]]) -> [Halves<__m256>; R] {
        let (rows, blocks) = (self.query.rows(), self.query.blocks());
        let mut scaled = [[_mm256_setzero_ps(); 2]; R];
        let steps = codes.steps.get(self.row..).unwrap_or_default();
        if steps.len() < R || self.row + R > rows || codes.words.len() < rows * blocks {
            return scaled;
        }
        let mut sums = [[_mm256_setzero_si256(); 2]; R];
        let (zero, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
        let mut own = codes.words.as_ptr().wrapping_add(self.row);
        for line in lines.iter().take(blocks) {
            let [first, second] = load(line);
            let (first, second) = (_mm256_xor_si256(first, zero), _mm256_xor_si256(second, zero));
            let (first_size, second_size) = (_mm256_abs_epi8(first), _mm256_abs_epi8(second));
            for (row, [first_sum, second_sum]) in sums.iter_mut().enumerate() {
                // SAFETY: there are `rows` words for each block, of which `R` follow from `self.row` on.
                let word = _mm256_set1_epi32(unsafe { *own.add(row) });
                // Pairs of products of at most 127 with 127 fit into sixteen bits.
                let pairs = _mm256_maddubs_epi16(first_size, _mm256_sign_epi8(word, first));
                *first_sum = _mm256_add_epi32(*first_sum, _mm256_madd_epi16(pairs, ones));
                let pairs = _mm256_maddubs_epi16(second_size, _mm256_sign_epi8(word, second));
                *second_sum = _mm256_add_epi32(*second_sum, _mm256_madd_epi16(pairs, ones));
            }
            own = own.wrapping_add(rows);
        }
        for ((scaled, sums), step) in scaled.iter_mut().zip(sums).zip(steps) {
            for (scaled, sum) in scaled.iter_mut().zip(sums) {
                *scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(*step));
            }
        }
        scaled
    }
}
