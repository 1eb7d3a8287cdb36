//! Float query rows, prepared for bounds of products with codes.

use super::code_layout::{BLOCK, CODE_GROUP, GREATEST, HUGE, Header, SLACK, TINY, code_group_len};

/// The greatest number of dimensions whose sums of codes are known to fit into 32 bits with room to spare.
const WIDEST: usize = 16_384;
/// The greatest rounding error of one operation in single precision, relative to its result.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;
/// The precision of a query: its cells in one byte, or in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeStage {
    /// One byte: for all documents.
    Coarse,
    /// Two bytes, which takes twice the time: for documents that the coarse bounds do not exclude.
    Fine,
}

/// Float query rows, prepared once per search for documents of codes (see [`super::group_codes`]).
///
/// With `q = s k + r` and `x = t c + e`, where `k` and `c` are codes, `q x` differs from `s t (k c)` by at most
/// `|q| |e| + |r| |t c|`. The bounds add what the exact float kernels round.
#[derive(Debug, Clone)]
pub struct CodeQuery {
    rows: usize,
    dims: usize,
    high: Codes,
    low: Codes,
    scales: Vec<RowScale>,
    /// By how much the error of a document's row is stretched to include rounding.
    stretch: f32,
    bounded: bool,
}

/// One byte of each cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    /// Four codes in a word, little-endian: the first of every row, then the second of every row, and so on.
    pub(super) words: Vec<i32>,
    /// For each row, what makes up for the 128 in a document's codes.
    pub(super) starts: Vec<i32>,
    /// For each row, the value of a code, relative to the length.
    pub(super) steps: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct RowScale {
    /// No less than the norm of the row; products are computed relative to it.
    length: f64,
    /// No less than the norm of what the coarse codes leave, and of what both leave, relative to the length, and what is
    /// rounded.
    errors: [f64; 2],
}

/// The greatest of the document's rows, as read by a kernel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extremes {
    /// The stretched norm of a residual.
    pub(super) residual: f32,
    /// The norm of codes.
    pub(super) norm: f32,
}

impl Extremes {
    pub(super) fn raise(&mut self, other: Self) {
        self.residual = self.residual.max(other.residual);
        self.norm = self.norm.max(other.norm);
    }
}

/// A sum of bounds over query rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BoundSum {
    lower: f64,
    upper: f64,
    magnitude: f64,
}

impl CodeQuery {
    /// Prepares rows of `dims` floats. Trailing cells short of a row are ignored.
    #[must_use]
    pub fn new(rows: &[f32], dims: usize) -> Self {
        let count = rows.len().checked_div(dims).unwrap_or(0);
        // In any order of fused or separate operations: every product and every addition of its dimension, those of
        // sixteen lanes and four partial sums; and, relative to the document's codes, the arithmetic of the kernels.
        let rounding = 1.02 * UNIT * (dims as f64 + 40.0) + 32.0 * UNIT;
        let mut query = Self {
            rows: count,
            dims,
            high: Codes::default(),
            low: Codes::default(),
            scales: Vec::with_capacity(count),
            stretch: ((1.0 + rounding) as f32).next_up(),
            bounded: dims <= WIDEST && count <= WIDEST,
        };
        if !query.bounded {
            return query;
        }
        let (mut high, mut low) = (Vec::new(), Vec::new());
        for row in rows.chunks_exact(dims.max(1)).take(count) {
            query.push(row, rounding, &mut high, &mut low);
        }
        query.high.words = interleaved(&high, dims, count);
        query.low.words = interleaved(&low, dims, count);
        query
    }

    fn push(&mut self, row: &[f32], rounding: f64, high: &mut Vec<i8>, low: &mut Vec<i8>) {
        let cells = || row.iter().map(|cell| f64::from(*cell));
        let norm = |squares: f64| squares.sqrt() * SLACK;
        let length = norm(cells().map(|cell| cell * cell).sum()).max(f64::from(TINY));
        self.bounded &= length <= HUGE;
        let greatest = cells().fold(0.0f64, |greatest, cell| greatest.max(cell.abs()));
        // A row of tiny cells is all error.
        let step = if greatest < f64::from(TINY) { 0.0 } else { greatest / f64::from(GREATEST) };
        let fine = step / (2.0 * f64::from(GREATEST));
        let nearest = |cell: f64, step: f64| {
            let code = if step > 0.0 { (cell / step).round() } else { 0.0 };
            code.clamp(-f64::from(GREATEST), f64::from(GREATEST))
        };
        let (mut sums, mut squares) = ([0i32; 2], [0.0f64; 2]);
        for cell in cells() {
            let first = nearest(cell, step);
            let rest = cell - first * step;
            let second = nearest(rest, fine);
            let last = rest - second * fine;
            for ((square, rest), (sum, code)) in
                squares.iter_mut().zip([rest, last]).zip(sums.iter_mut().zip([first, second]))
            {
                *square += rest * rest;
                *sum += code as i32;
            }
            high.push(first as i8);
            low.push(second as i8);
        }
        for ((codes, sum), step) in [&mut self.high, &mut self.low].into_iter().zip(sums).zip([step, fine]) {
            codes.starts.push(sum * -128);
            codes.steps.push((step / length) as f32);
        }
        // The last term is for the double-precision arithmetic of the rests.
        let errors = squares.map(|squares| norm(squares) / length + rounding + 1e-12);
        self.scales.push(RowScale { length, errors });
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of cells in a row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    pub(super) fn group_len(&self) -> usize {
        code_group_len(self.dims)
    }

    /// Returns the number of words in a row.
    pub(super) fn blocks(&self) -> usize {
        self.dims.div_ceil(BLOCK)
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.bounded
    }

    pub(super) fn high(&self) -> &Codes {
        &self.high
    }

    pub(super) fn low(&self) -> &Codes {
        &self.low
    }

    pub(super) fn stretch(&self) -> f32 {
        self.stretch
    }

    /// Adds the bounds for query rows from `first` on: `best` is the greatest upper bound of each over the document's
    /// rows, relative to its length and without the query's own error.
    pub(super) fn add(&self, stage: CodeStage, first: usize, best: &[f32], most: Extremes, sum: &mut BoundSum) {
        let (width, norm) = (2.0 * f64::from(most.residual), f64::from(most.norm));
        for (scale, best) in self.scales.iter().skip(first).zip(best) {
            let [coarse, fine] = scale.errors;
            let own = norm * if stage == CodeStage::Coarse { coarse } else { fine };
            let best = f64::from(*best);
            sum.upper += scale.length * (best + own);
            sum.lower += scale.length * (best - width - own);
            sum.magnitude += scale.length * (best.abs() + width + own);
        }
    }

    /// Returns bounds of the exact kernels' result from the sum over all rows.
    pub(super) fn bounds(&self, sum: BoundSum) -> (f32, f32) {
        if !sum.magnitude.is_finite() {
            return (f32::NEG_INFINITY, f32::INFINITY);
        }
        // The exact kernels add up the rows in single precision. Products below the normal range are rounded by up to
        // the least float.
        let steps = self.rows as f64 + self.rows.div_ceil(CODE_GROUP) as f64 + 2.0;
        let least = f64::from(f32::from_bits(1)) * (self.dims as f64 + 40.0) * self.rows as f64;
        let rounding = sum.magnitude * (1.02 * steps * UNIT + 1e-12) + least;
        // Rounded to nearest by the conversion, so one step outward is enough.
        (((sum.lower - rounding) as f32).next_down(), ((sum.upper + rounding) as f32).next_up())
    }
}

/// Sums of bounds over query rows, for each row of a group: in single precision, which is vectorized better.
#[derive(Default)]
pub(super) struct GroupSum {
    lower: [f32; CODE_GROUP],
    upper: [f32; CODE_GROUP],
    magnitude: [f32; CODE_GROUP],
}

impl CodeQuery {
    /// Adds the bounds for a query row: `best` is the upper bound for each row of the group, relative to the query row's
    /// length and without its error.
    pub(super) fn add_lanes(
        &self,
        stage: CodeStage,
        row: usize,
        best: &[f32; CODE_GROUP],
        header: &Header,
        sum: &mut GroupSum,
    ) {
        let Some(scale) = self.scales.get(row) else { return };
        let [coarse, fine] = scale.errors;
        let error = if stage == CodeStage::Coarse { coarse } else { fine } as f32;
        let (length, stretch) = (scale.length as f32, 2.0 * self.stretch);
        let parts = sum.lower.iter_mut().zip(&mut sum.upper).zip(&mut sum.magnitude);
        let lanes = best.iter().zip(&header.residuals).zip(&header.norms);
        for (((lower, upper), magnitude), ((best, residual), norm)) in parts.zip(lanes) {
            let (width, own) = (residual * stretch, norm * error);
            *upper += length * (best + own);
            *lower += length * (best - (width + own));
            *magnitude += length * (best.abs() + (width + own));
        }
    }

    /// Writes bounds of the exact kernels' results from the sums over all rows.
    pub(super) fn lane_bounds(&self, sum: &GroupSum, out: &mut [(f32, f32); CODE_GROUP]) {
        // As for a document, and the operations here, of which each row has at most eight before it is added.
        let relative = ((4.0 * self.rows as f64 + 32.0) * UNIT) as f32;
        let least = (f64::from(f32::from_bits(1)) * (self.dims as f64 + 60.0) * (self.rows as f64 + 1.0)) as f32;
        let lanes = sum.lower.iter().zip(&sum.upper).zip(&sum.magnitude);
        for (out, ((lower, upper), magnitude)) in out.iter_mut().zip(lanes) {
            let rounding = magnitude * relative + least;
            let known = *magnitude < f32::INFINITY;
            out.0 = if known { lower - rounding } else { f32::NEG_INFINITY };
            out.1 = if known { upper + rounding } else { f32::INFINITY };
        }
    }
}

/// Interleaves rows of codes, filled up with zeros to whole words.
fn interleaved(codes: &[i8], dims: usize, rows: usize) -> Vec<i32> {
    let mut words = Vec::with_capacity(dims.div_ceil(BLOCK) * rows);
    for first in (0..dims).step_by(BLOCK) {
        for row in codes.chunks_exact(dims) {
            let mut cells = [0; BLOCK];
            let own = row.iter().skip(first).map(|code| code.cast_unsigned());
            cells.iter_mut().zip(own).for_each(|(cell, own)| *cell = own);
            words.push(i32::from_le_bytes(cells));
        }
    }
    words
}
