//! Products of float query rows with float rows: 24 or eight query rows with four document rows at a time.

use crate::kernel::float_query::{FloatQuery, PANEL, Panel, UNIT};
use cogniverse_sdk::quantize::from_bf16;
use std::arch::aarch64::*;

/// The number of lanes of a register.
const LANES: usize = 4;
/// The number of document rows processed together.
const TILE: usize = 4;
/// The number of document rows widened together.
const WIDENED: usize = 16;

#[target_feature(enable = "neon")]
pub(crate) fn maxsim_f32(query: &FloatQuery, document: &[f32]) -> f32 {
    let mut total = 0.0;
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        raise_all(&panel, query.dims(), document, &mut best);
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Widens a few document rows at a time, once for all query rows of a panel.
#[target_feature(enable = "neon")]
pub(crate) fn maxsim_bf16(query: &FloatQuery, document: &[u16]) -> f32 {
    let mut total = 0.0;
    let mut wide = vec![0.0f32; WIDENED * query.dims()];
    for panel in query.panels() {
        let mut best = [f32::NEG_INFINITY; PANEL];
        for rows in document.chunks(WIDENED * query.dims()) {
            wide.iter_mut().zip(rows).for_each(|(wide, half)| *wide = from_bf16(*half));
            raise_all(&panel, query.dims(), wide.get(..rows.len()).unwrap_or_default(), &mut best);
        }
        total += best.iter().take(panel.rows).sum::<f32>();
    }
    total
}

/// Raises `best` to the products of the panel's query rows with all document rows.
#[inline]
#[target_feature(enable = "neon")]
fn raise_all(panel: &Panel<'_>, dims: usize, document: &[f32], best: &mut [f32; PANEL]) {
    let rows = document.len() / dims;
    let mut lane = 0;
    while rows > 0 && lane < panel.width {
        let query = Rows { cells: panel.cells.as_ptr().wrapping_add(lane), stride: panel.width, dims };
        let best = best.as_mut_ptr().wrapping_add(lane);
        // SAFETY: `cells` holds `dims` rows of `width` floats, of which `width - lane` are left, a multiple of eight;
        // `width` is at most PANEL; `document` holds `rows` rows, at least one.
        unsafe {
            if panel.width - lane >= 24 {
                raise::<6>(query, document.as_ptr(), rows, best);
                lane += 24;
            } else {
                raise::<2>(query, document.as_ptr(), rows, best);
                lane += UNIT;
            }
        }
    }
}

/// Interleaved query rows.
#[derive(Clone, Copy)]
struct Rows {
    cells: *const f32,
    /// The number of floats from one dimension to the next.
    stride: usize,
    dims: usize,
}

/// Raises `best` to the products of `V` registers of query rows with all document rows.
///
/// # Safety
/// `dims` times `V * LANES` floats must be readable from the query, `rows >= 1` rows of `dims` cells from `document`,
/// and `V * LANES` floats must be writable at `best`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn raise<const V: usize>(query: Rows, document: *const f32, rows: usize, best: *mut f32) {
    for first in (0..rows).step_by(TILE) {
        let mut sums = [[vdupq_n_f32(0.0); V]; TILE];
        // The last tile is filled up with the last row, which changes no maximum.
        let mut at = [document; TILE];
        for (row, at) in at.iter_mut().enumerate() {
            *at = document.wrapping_add((first + row).min(rows - 1) * query.dims);
        }
        let mut own = query.cells;
        for dim in 0..query.dims {
            // SAFETY: `dim` is within each row, and within the query.
            unsafe {
                let mut cells = [vdupq_n_f32(0.0); V];
                for (register, cells) in cells.iter_mut().enumerate() {
                    *cells = vld1q_f32(own.add(register * LANES));
                }
                for (at, sums) in at.iter().zip(&mut sums) {
                    let cell = *at.add(dim);
                    for (sum, own) in sums.iter_mut().zip(cells) {
                        *sum = vfmaq_n_f32(*sum, own, cell);
                    }
                }
            }
            own = own.wrapping_add(query.stride);
        }
        for register in 0..V {
            // SAFETY: the caller's promise.
            unsafe {
                let mut top = vld1q_f32(best.add(register * LANES));
                for sums in &sums {
                    if let Some(sum) = sums.get(register) {
                        // As everywhere, a product that is no number raises nothing.
                        top = vmaxnmq_f32(top, *sum);
                    }
                }
                vst1q_f32(best.add(register * LANES), top);
            }
        }
    }
}
