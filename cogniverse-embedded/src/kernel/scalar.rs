//! The portable kernels, which are the reference for the others.

mod codes;

pub(super) use codes::{code_best, code_lanes};

use super::{
    bit_float_query::BitFloatQuery,
    bit_query::BitQuery,
    float_query::{FloatQuery, PANEL, UNIT},
    layout::GROUP,
};

/// The number of bytes whose differing bits an 8-bit counter can hold.
pub(super) const COUNTED: usize = 31;

/// Counts the bits by which a packed row differs from each row of a group.
fn distances(row: &[u8], group: &[u8]) -> [u32; GROUP] {
    let mut sums = [0u32; GROUP];
    for (row, group) in row.chunks(COUNTED).zip(group.chunks(COUNTED * GROUP)) {
        let mut counts = [0u8; GROUP];
        for (own, column) in row.iter().zip(group.as_chunks::<GROUP>().0) {
            counts.iter_mut().zip(column).for_each(|(count, byte)| *count += (own ^ byte).count_ones() as u8);
        }
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u32::from(count));
    }
    sums
}

pub(super) fn hamming_maxsim(query: &BitQuery, document: &[u8]) -> f32 {
    let rows = query.packed().chunks_exact(query.bytes());
    rows.map(|row| {
        let groups = document.chunks_exact(GROUP * query.bytes());
        similarity(groups.flat_map(|group| distances(row, group)).min().unwrap_or(0))
    })
    .sum()
}

pub(super) fn hamming_group(query: &BitQuery, row: usize, group: &[u8], out: &mut [u32; GROUP]) {
    let row = query.packed().get(row * query.bytes()..(row + 1) * query.bytes());
    *out = distances(row.unwrap_or_default(), group);
}

/// Returns `1 / (1 + distance)`; distances are below 2^24, so the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "a number of bits, far below 2^24")]
pub(super) fn similarity(distance: u32) -> f32 {
    1.0 / (1.0 + distance as f32)
}

/// Adds up the table entries of each row of a group.
fn look_up<T: Copy, S: Copy + Default + std::ops::AddAssign + From<T>>(tables: &[[T; 32]], group: &[u8]) -> [S; GROUP] {
    let mut sums = [S::default(); GROUP];
    for (table, column) in tables.iter().zip(group.as_chunks::<GROUP>().0) {
        let (low, high) = table.split_at(16);
        for (sum, byte) in sums.iter_mut().zip(column) {
            if let (Some(low), Some(high)) = (low.get(usize::from(byte & 15)), high.get(usize::from(byte >> 4))) {
                *sum += S::from(*low);
                *sum += S::from(*high);
            }
        }
    }
    sums
}

pub(super) fn maxsim_bits(query: &BitFloatQuery, document: &[u8]) -> f32 {
    let rows = query.nibbles().chunks_exact(query.bytes());
    rows.map(|tables| {
        let groups = document.chunks_exact(GROUP * query.bytes());
        groups.flat_map(|group| look_up::<f32, f32>(tables, group)).fold(f32::NEG_INFINITY, f32::max)
    })
    .sum()
}

pub(super) fn bits_group(query: &BitFloatQuery, row: usize, group: &[u8], out: &mut [f32; GROUP]) {
    let tables = query.nibbles().get(row * query.bytes()..(row + 1) * query.bytes());
    *out = look_up(tables.unwrap_or_default(), group);
}

/// Returns the sum over query rows of the greatest sum of codes, scaled.
pub(super) fn bit_codes(query: &BitFloatQuery, document: &[u8]) -> f64 {
    let rows = query.codes().chunks_exact(query.bytes()).zip(query.scales());
    rows.map(|(tables, scale)| {
        let groups = document.chunks_exact(GROUP * query.bytes());
        let best = groups.flat_map(|group| look_up::<u8, u32>(tables, group)).max();
        f64::from(best.unwrap_or(0)) * scale
    })
    .sum()
}

/// Multiplies each document cell with eight or 24 query rows at once, which the compiler vectorizes.
pub(super) fn maxsim<T: Copy>(query: &FloatQuery, document: &[T], widen: impl Fn(T) -> f32 + Copy) -> f32 {
    let mut total = 0.0;
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        let mut lane = 0;
        while lane < panel.width {
            let Some(best) = best.get_mut(lane..) else { break };
            let cells = panel.cells.get(lane..).unwrap_or_default();
            let rows = document.chunks_exact(query.dims());
            if panel.width - lane >= 24 {
                raise::<T, 24>(cells, panel.width, rows, best, widen);
                lane += 24;
            } else {
                raise::<T, UNIT>(cells, panel.width, rows, best, widen);
                lane += UNIT;
            }
        }
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Raises `best` to the products of `N` query rows, `width` cells apart from dimension to dimension, with all rows.
#[inline]
fn raise<T: Copy, const N: usize>(
    cells: &[f32],
    width: usize,
    rows: std::slice::ChunksExact<'_, T>,
    best: &mut [f32],
    widen: impl Fn(T) -> f32 + Copy,
) {
    for row in rows {
        let mut sums = [0.0f32; N];
        for (own, cell) in cells.chunks(width).zip(row) {
            let cell = widen(*cell);
            if let Some(own) = own.first_chunk::<N>() {
                sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own * cell);
            }
        }
        best.iter_mut().zip(sums).for_each(|(best, sum)| *best = best.max(sum));
    }
}

/// Computes the product of a vector with each row of its length.
pub(super) fn dots<T: Copy>(query: &[f32], rows: &[T], out: &mut [f32], widen: impl Fn(T) -> f32 + Copy) {
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        *out = dot(query, row, widen);
    }
}

/// Accumulates in sixteen sums, so that the compiler may use wide registers.
fn dot<T: Copy>(a: &[f32], b: &[T], widen: impl Fn(T) -> f32 + Copy) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<16>();
    let (b_lanes, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * widen(*b);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * widen(*b)).sum();
    sums.iter().sum::<f32>() + rest
}
