//! Float query rows, prepared for products with bits.

use super::bit_query::WIDEST;

/// The cells of one byte of a document: entries for each value of the low nibble, then of the high one.
pub(super) type NibbleTable<T> = [T; 32];
/// The same, for the lowest three bits, the next three, and the highest two.
pub(super) type TripleTable = [f32; 24];

/// Float query rows, prepared once per search for documents of sign bits.
///
/// Each sum over up to four neighbouring dimensions is in a table, so that a product is a sum of look-ups. The same
/// tables are held quantized to bytes, with the error that this makes, for [`super::Kernels::maxsim_bits_bounds`].
#[derive(Debug, Clone)]
pub struct BitFloatQuery {
    rows: usize,
    bytes: usize,
    nibbles: Vec<NibbleTable<f32>>,
    triples: Vec<TripleTable>,
    codes: Vec<NibbleTable<u8>>,
    /// The value of one step of the codes, for each row.
    scales: Vec<f64>,
    /// The distances of the lower and the upper bound from a sum of scaled codes; `None` where no bound is known.
    margins: Option<(f64, f64)>,
}

impl BitFloatQuery {
    /// Prepares rows of `dims` floats for documents whose rows have `bytes` packed bytes, where a bit means 0 or 1, or
    /// -1 or 1 if `signed`. Rows that do not fit into the bytes are left out, and so score nothing.
    #[must_use]
    pub fn new(rows: &[f32], dims: usize, bytes: usize, signed: bool) -> Self {
        let fits = dims > 0 && dims <= bytes.saturating_mul(8);
        let mut query = Self {
            rows: if fits { rows.len() / dims } else { 0 },
            bytes,
            nibbles: Vec::new(),
            triples: Vec::new(),
            codes: Vec::new(),
            scales: Vec::new(),
            margins: None,
        };
        let mut margins = Margins::default();
        for row in rows.chunks_exact(dims.max(1)).take(query.rows) {
            let first = query.nibbles.len();
            for byte in 0..bytes {
                let mut cells = [0.0f32; 8];
                let own = row.get((byte * 8).min(dims)..).unwrap_or_default();
                cells.iter_mut().zip(own).for_each(|(cell, own)| *cell = *own);
                query.push_byte(cells, signed);
            }
            if bytes <= WIDEST {
                let tables = query.nibbles.get(first..).unwrap_or_default();
                let (codes, scale) = margins.quantize(tables, row);
                query.codes.extend(codes);
                query.scales.push(scale);
            }
        }
        query.margins = margins.finish(query.rows, bytes);
        query
    }

    fn push_byte(&mut self, cells: [f32; 8], signed: bool) {
        // Dimension 0 is the highest bit.
        let sum = |bits: std::ops::Range<usize>, value: usize| {
            let cells = cells.iter().rev().skip(bits.start).take(bits.len()).enumerate();
            // At most four floats: exact in double precision but for extreme exponents, and rounded once.
            cells.fold(0.0, |sum, (bit, cell)| {
                let cell = f64::from(*cell);
                sum + if value >> bit & 1 == 1 {
                    cell
                } else if signed {
                    -cell
                } else {
                    0.0
                }
            }) as f32
        };
        let (mut nibbles, mut triples) = ([0.0; 32], [0.0; 24]);
        for (place, entry) in nibbles.iter_mut().enumerate() {
            *entry = if place < 16 { sum(0..4, place) } else { sum(4..8, place - 16) };
        }
        for (place, entry) in triples.iter_mut().enumerate() {
            *entry = match place / 8 {
                0 => sum(0..3, place),
                1 => sum(3..6, place - 8),
                _ => sum(6..8, place - 16),
            };
        }
        self.nibbles.push(nibbles);
        if cfg!(target_arch = "x86_64") && self.bytes <= WIDEST {
            self.triples.push(triples);
        }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of bytes in a row of a document.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns `bytes` tables for each row; the same holds for the next two.
    pub(super) fn nibbles(&self) -> &[NibbleTable<f32>] {
        &self.nibbles
    }

    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the kernels of x86-64"))]
    pub(super) fn triples(&self) -> &[TripleTable] {
        &self.triples
    }

    pub(super) fn codes(&self) -> &[NibbleTable<u8>] {
        &self.codes
    }

    pub(super) fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// Returns bounds of the exact kernel's result from the sum over query rows of the scaled greatest sum of codes.
    pub(super) fn bounds(&self, scaled: f64) -> (f32, f32) {
        match self.margins {
            // Rounded to nearest by the conversion, so one step outward is enough.
            Some((below, above)) => (((scaled + below) as f32).next_down(), ((scaled + above) as f32).next_up()),
            None => (f32::NEG_INFINITY, f32::INFINITY),
        }
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.margins.is_some()
    }
}

/// The error of the codes of all rows so far.
#[derive(Default)]
struct Margins {
    below: f64,
    above: f64,
    /// The sum of the magnitudes of all cells.
    magnitude: f64,
}

impl Margins {
    /// Quantizes the tables of a row, each with an offset of its own and all with one scale.
    fn quantize(&mut self, tables: &[NibbleTable<f32>], row: &[f32]) -> (Vec<NibbleTable<u8>>, f64) {
        let halves = || tables.iter().flat_map(|table| table.as_chunks::<16>().0);
        let range = |half: &[f32; 16]| {
            let half = half.iter().map(|entry| f64::from(*entry));
            (half.clone().fold(f64::INFINITY, f64::min), half.fold(f64::NEG_INFINITY, f64::max))
        };
        // Sums of codes have 16 bits.
        let levels = (65_535 / (tables.len().max(1) * 2)).min(255) as f64;
        let widest = halves().map(range).fold(0.0, |widest, (low, high)| f64::max(widest, high - low));
        let scale = widest / levels;
        let mut codes = Vec::with_capacity(tables.len());
        for table in tables {
            let mut out = [0u8; 32];
            for (half, out) in table.as_chunks::<16>().0.iter().zip(out.chunks_mut(16)) {
                let (low, _) = range(half);
                let (mut below, mut above) = (0.0, 0.0);
                for (entry, code) in half.iter().zip(out) {
                    let exact = f64::from(*entry) - low;
                    // A zero scale divides zero by zero, and its conversion is 0.
                    *code = (exact / scale).round().clamp(0.0, levels) as u8;
                    let error = exact - f64::from(*code) * scale;
                    below = f64::min(below, error);
                    above = f64::max(above, error);
                }
                self.below += low + below;
                self.above += low + above;
            }
            codes.push(out);
        }
        self.magnitude += row.iter().map(|cell| f64::from(cell.abs())).sum::<f64>();
        (codes, scale)
    }

    /// Adds what the exact kernels may round away, and gives up where their sums might overflow.
    fn finish(self, rows: usize, bytes: usize) -> Option<(f64, f64)> {
        const UNIT: f64 = f32::EPSILON as f64 / 2.0;
        // Up to three look-ups per byte, each rounded when it was made and when it is added, in tables of three or
        // four cells; then one addition per row.
        let steps = 3.0 * bytes as f64 + 3.0 + rows as f64;
        let known = bytes <= WIDEST && steps * UNIT < 0.01 && self.magnitude <= f64::from(f32::MAX) / 4.0;
        // Entries below the normal range are rounded by up to half of the least float. The last term is for the
        // double-precision arithmetic here.
        let least = f64::from(f32::from_bits(1)) * steps * rows as f64;
        let rounding = self.magnitude * (1.02 * steps * UNIT + 1e-10) + least;
        known.then_some((self.below - rounding, self.above + rounding))
    }
}
