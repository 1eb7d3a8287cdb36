//! Kernels for AVX-512 with VPOPCNTDQ.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

use super::{layout::ROW_GROUP, scalar::similarity, set::Kernels};
use std::arch::x86_64::*;

/// Returns the kernels if this machine supports them.
pub(super) fn kernels() -> Option<Kernels> {
    let runs = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vpopcntdq");
    runs.then_some(Kernels {
        name: "avx512",
        // SAFETY: the features were just detected; the same holds for each line below.
        hamming_maxsim: |query, words, document| unsafe { hamming_maxsim(query, words, document) },
        maxsim_bf16: |query, dims, document| unsafe { maxsim(query, dims, &Cells { cells: document, dims }) },
        maxsim_f32: |query, dims, document| unsafe { maxsim(query, dims, &Cells { cells: document, dims }) },
        maxsim_bits: |query, dims, words, document, signed| unsafe {
            let zero = if signed { -1.0 } else { 0.0 };
            maxsim(query, dims, &Bits { groups: document, words, zero })
        },
        dot_f32: |a, b| unsafe { dot_f32(a, b) },
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn hamming_maxsim(query: &[u64], words: usize, document: &[u64]) -> f32 {
    match words {
        2 => hamming_words::<2>(query, document),
        5 => hamming_words::<5>(query, document),
        6 => hamming_words::<6>(query, document),
        12 => hamming_words::<12>(query, document),
        16 => hamming_words::<16>(query, document),
        _ => hamming_any(query, words, document),
    }
}

/// Compares four query rows at a time with eight document rows, loading each document word once for the four.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn hamming_words<const WORDS: usize>(query: &[u64], document: &[u64]) -> f32 {
    let groups = document.len() / (WORDS * ROW_GROUP);
    let (rows, _) = query.as_chunks::<WORDS>();
    let (fours, rest) = rows.as_chunks::<4>();
    let mut total = 0.0;
    for four in fours {
        total += hamming_rows::<WORDS, 4>(four, document, groups);
    }
    for row in rest {
        total += hamming_rows::<WORDS, 1>(&[*row], document, groups);
    }
    total
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[inline]
fn hamming_rows<const WORDS: usize, const ROWS: usize>(
    rows: &[[u64; WORDS]; ROWS],
    document: &[u64],
    groups: usize,
) -> f32 {
    let mut least = [_mm512_set1_epi64(i64::MAX); ROWS];
    let mut at = document.as_ptr();
    for _ in 0..groups {
        let mut distances = [_mm512_setzero_si512(); ROWS];
        for word in 0..WORDS {
            // SAFETY: `groups` groups of WORDS * ROW_GROUP words lie in `document`, so eight words from here do too.
            let column = unsafe { _mm512_loadu_si512(at.add(word * ROW_GROUP).cast()) };
            for (distance, row) in distances.iter_mut().zip(rows) {
                let own = _mm512_set1_epi64(row.get(word).copied().unwrap_or(0).cast_signed());
                *distance = _mm512_add_epi64(*distance, _mm512_popcnt_epi64(_mm512_xor_si512(own, column)));
            }
        }
        for (least, distance) in least.iter_mut().zip(distances) {
            *least = _mm512_min_epu64(*least, distance);
        }
        // SAFETY: at most one past the last group.
        at = unsafe { at.add(WORDS * ROW_GROUP) };
    }
    least.iter().map(|least| similarity(_mm512_reduce_min_epu64(*least))).sum()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn hamming_any(query: &[u64], words: usize, document: &[u64]) -> f32 {
    let mut total = 0.0;
    for row in query.chunks_exact(words) {
        let mut least = _mm512_set1_epi64(i64::MAX);
        for group in document.chunks_exact(words * ROW_GROUP) {
            let mut distance = _mm512_setzero_si512();
            for (own, column) in row.iter().zip(group.as_chunks::<ROW_GROUP>().0) {
                // SAFETY: `column` is an array of eight words.
                let column = unsafe { _mm512_loadu_si512(column.as_ptr().cast()) };
                let own = _mm512_set1_epi64(own.cast_signed());
                distance = _mm512_add_epi64(distance, _mm512_popcnt_epi64(_mm512_xor_si512(own, column)));
            }
            least = _mm512_min_epu64(least, distance);
        }
        total += similarity(_mm512_reduce_min_epu64(least));
    }
    total
}

/// The number of float lanes in a register.
const LANES: usize = 16;
/// The number of query rows processed together.
const TILE_QUERY: usize = 4;
/// The number of document rows processed together: sixteen accumulators then fit into registers.
const TILE_DOCUMENT: usize = 4;

/// Returns a mask of the first `cells` lanes; of all lanes from sixteen on.
#[inline]
fn first_lanes(cells: usize) -> __mmask16 {
    if cells >= LANES { !0 } else { (1 << cells) - 1 }
}

/// Document rows that can be expanded to floats.
trait Rows {
    fn count(&self) -> usize;
    /// Writes a row to `out`, whose length is a multiple of [`LANES`]. Cells beyond the row may have any finite
    /// value: the query is zero there.
    fn widen(&self, row: usize, out: &mut [f32]);
}

/// Rows of `dims` float32 or bfloat16 cells.
struct Cells<'a, T> {
    cells: &'a [T],
    dims: usize,
}

impl Rows for Cells<'_, f32> {
    fn count(&self) -> usize {
        self.cells.len() / self.dims
    }

    #[inline]
    fn widen(&self, row: usize, out: &mut [f32]) {
        let cells = self.cells.get(row * self.dims..(row + 1) * self.dims).unwrap_or_default();
        if let Some(out) = out.get_mut(..cells.len()) {
            out.copy_from_slice(cells);
        }
    }
}

impl Rows for Cells<'_, u16> {
    fn count(&self) -> usize {
        self.cells.len() / self.dims
    }

    #[inline]
    fn widen(&self, row: usize, out: &mut [f32]) {
        let cells = self.cells.get(row * self.dims..(row + 1) * self.dims).unwrap_or_default();
        for (out, half) in out.iter_mut().zip(cells) {
            *out = cogniverse_sdk::quantize::from_bf16(*half);
        }
    }
}

/// Rows of interleaved bits, read as 0 and 1 or as -1 and 1.
struct Bits<'a> {
    groups: &'a [u64],
    words: usize,
    zero: f32,
}

impl Rows for Bits<'_> {
    fn count(&self) -> usize {
        self.groups.len() / self.words / ROW_GROUP * ROW_GROUP
    }

    #[inline]
    fn widen(&self, row: usize, out: &mut [f32]) {
        let group = self.groups.get(row / ROW_GROUP * ROW_GROUP * self.words..).unwrap_or_default();
        let words = group.iter().skip(row % ROW_GROUP).step_by(ROW_GROUP);
        for (out, word) in out.chunks_mut(64).zip(words) {
            for (quarter, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "the sixteen bits of this quarter")]
                let mask = (word >> (quarter * LANES)) as __mmask16;
                // SAFETY: `out` is an array of sixteen floats; whoever calls has detected the features.
                unsafe { spread(mask, self.zero, out) };
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn spread(mask: __mmask16, zero: f32, out: &mut [f32; LANES]) {
    let cells = _mm512_mask_blend_ps(mask, _mm512_set1_ps(zero), _mm512_set1_ps(1.0));
    // SAFETY: sixteen floats are written to an array of sixteen.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), cells) };
}

/// Expands four document rows at a time to floats, once for all query rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn maxsim<R: Rows>(query: &[f32], dims: usize, document: &R) -> f32 {
    let (query_rows, rows) = (query.len() / dims, document.count());
    let stride = dims.next_multiple_of(LANES);
    let mut tile = vec![0.0f32; stride * TILE_DOCUMENT];
    let mut best = vec![[f32::NEG_INFINITY; LANES]; query_rows.div_ceil(TILE_QUERY)];
    for first in (0..rows).step_by(TILE_DOCUMENT) {
        for (column, out) in tile.chunks_exact_mut(stride).enumerate() {
            // The last tile is filled up with the last row, which changes no maximum.
            document.widen((first + column).min(rows - 1), out);
        }
        for (best, own) in best.iter_mut().zip(query.chunks(dims * TILE_QUERY)) {
            // SAFETY: `own` holds the rows counted, each of `dims` cells; `tile` holds four rows of `stride`.
            unsafe {
                match own.len() / dims {
                    4 => products::<4>(own.as_ptr(), dims, tile.as_ptr(), best),
                    3 => products::<3>(own.as_ptr(), dims, tile.as_ptr(), best),
                    2 => products::<2>(own.as_ptr(), dims, tile.as_ptr(), best),
                    1 => products::<1>(own.as_ptr(), dims, tile.as_ptr(), best),
                    _ => {}
                }
            }
        }
    }
    let row_bests = best.iter().flat_map(|lanes| lanes.as_chunks::<TILE_DOCUMENT>().0).take(query_rows);
    row_bests.map(|row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max)).sum()
}

/// Raises `best` (lane `4 * row + column`) to the dot products of `ROWS` query rows with a tile's four document rows.
///
/// # Safety
/// `ROWS * dims` floats must be readable from `query`, and four rows of `dims` rounded up to [`LANES`] from `tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
unsafe fn products<const ROWS: usize>(query: *const f32, dims: usize, tile: *const f32, best: &mut [f32; LANES]) {
    let stride = dims.next_multiple_of(LANES);
    let mut sums = [[_mm512_setzero_ps(); TILE_DOCUMENT]; TILE_QUERY];
    for at in (0..dims).step_by(LANES) {
        let mask = first_lanes(dims - at);
        // SAFETY: `at + LANES <= stride`, and the masked lanes end at `dims` of their row.
        unsafe {
            let cells: [__m512; TILE_DOCUMENT] =
                std::array::from_fn(|column| _mm512_loadu_ps(tile.add(column * stride + at)));
            for (row, sums) in sums.iter_mut().take(ROWS).enumerate() {
                let own = _mm512_maskz_loadu_ps(mask, query.add(row * dims + at));
                for (sum, cells) in sums.iter_mut().zip(cells) {
                    *sum = _mm512_fmadd_ps(own, cells, *sum);
                }
            }
        }
    }
    let [a, b, c, d] = sums.map(|row| add_up_four(row));
    let (ab, cd) = (fold_lanes(a, b), fold_lanes(c, d));
    let all = fold_lanes(ab, cd);
    // SAFETY: `best` is an array of sixteen floats.
    unsafe { _mm512_storeu_ps(best.as_mut_ptr(), _mm512_max_ps(_mm512_loadu_ps(best.as_ptr()), all)) };
}

/// Sums each of four registers into one lane per quarter of the result.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn add_up_four([a, b, c, d]: [__m512; 4]) -> __m512 {
    let (ab, cd) = (
        _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)),
        _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)),
    );
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)))
}

/// Adds adjacent quarters: those of `a` into the lower half, those of `b` into the upper.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold_lanes(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(_mm512_shuffle_f32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let dims = a.len().min(b.len());
    if dims == 0 {
        return 0.0;
    }
    let mut sum = _mm512_setzero_ps();
    for at in (0..dims).step_by(LANES) {
        let mask = first_lanes(dims - at);
        // SAFETY: the masked lanes end at `dims`, which neither slice is shorter than.
        let (a, b) = unsafe {
            (_mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)), _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)))
        };
        sum = _mm512_fmadd_ps(a, b, sum);
    }
    _mm512_reduce_add_ps(sum)
}
