//! The memory layout of float rows quantized to bytes.
//!
//! A group of 16 rows is a run of lines of 64 bytes, little-endian: the scales of the rows (float32); their errors (the
//! norm of what the codes leave of a row, and the norm of the codes, both bfloat16 rounded up); then, for each four
//! dimensions, the four codes of every row. A code is 128 plus a number from -127 to 127.

/// The number of rows in a group.
pub const CODE_GROUP: usize = 16;
/// The number of dimensions whose codes stand together.
pub(super) const BLOCK: usize = 4;
pub(super) const LINE: usize = CODE_GROUP * BLOCK;
/// The number of lines before the codes.
const HEADER: usize = 2;
/// The code of zero.
pub(super) const ZERO: u8 = 128;
/// The greatest code.
pub(super) const GREATEST: f32 = 127.0;
/// Rows without a cell above this are all error: their scale would be near the least float.
pub(super) const TINY: f32 = 1e-20;
/// Norms of rows for which products and their sums are far from overflow.
pub(super) const HUGE: f64 = 1e15;
/// More than what the double-precision arithmetic of a norm may lose.
pub(super) const SLACK: f64 = 1.0 + 1e-10;
/// Moves the integer nearest to a small float to its lowest bits.
const SHIFT: f32 = 12_582_912.0;

/// Returns the number of bytes that a group of rows of `dims` floats occupies.
#[must_use]
pub fn code_group_len(dims: usize) -> usize {
    dims.div_ceil(BLOCK).saturating_add(HEADER).saturating_mul(LINE)
}

/// Appends rows of `dims` floats as codes in groups, and returns the number of rows. The last group is filled up with
/// copies of the last row, which change no maximum; trailing cells short of a row are ignored.
pub fn group_codes<T: Copy>(rows: &[T], dims: usize, widen: impl Fn(T) -> f32, out: &mut Vec<u8>) -> usize {
    if dims == 0 {
        return 0;
    }
    let count = rows.len() / dims;
    let mut coded = CodedRow::default();
    for (row, cells) in rows.chunks_exact(dims).enumerate() {
        if row % CODE_GROUP == 0 {
            out.resize(out.len() + code_group_len(dims), ZERO);
        }
        coded.set(cells.iter().map(|cell| widen(*cell)));
        let start = out.len() - code_group_len(dims);
        let group = out.get_mut(start..).unwrap_or_default();
        let last = if row + 1 == count { CODE_GROUP } else { row % CODE_GROUP + 1 };
        (row % CODE_GROUP..last).for_each(|lane| coded.write(group, lane));
    }
    count
}

/// Appends a row to groups that hold `count` rows, one row for each document; `None` leaves a row of zeros.
pub fn push_codes(row: Option<impl Iterator<Item = f32>>, count: usize, dims: usize, groups: &mut Vec<u8>) {
    if count.is_multiple_of(CODE_GROUP) {
        let start = groups.len();
        groups.resize(start + code_group_len(dims), ZERO);
        groups.iter_mut().skip(start).take(HEADER * LINE).for_each(|byte| *byte = 0);
    }
    if let Some(row) = row {
        let mut coded = CodedRow::default();
        coded.set(row.take(dims));
        let start = groups.len().saturating_sub(code_group_len(dims));
        coded.write(groups.get_mut(start..).unwrap_or_default(), count % CODE_GROUP);
    }
}

/// A row and its codes.
#[derive(Default)]
struct CodedRow {
    cells: Vec<f32>,
    codes: Vec<u8>,
    scale: f32,
    residual: u16,
    norm: u16,
}

impl CodedRow {
    fn set(&mut self, cells: impl Iterator<Item = f32>) {
        self.cells.clear();
        self.cells.extend(cells);
        self.cells.resize(self.cells.len().next_multiple_of(BLOCK), 0.0);
        self.codes.clear();
        let greatest = greatest(&self.cells);
        if greatest < TINY || f64::from(greatest) * (self.cells.len() as f64).sqrt() > HUGE {
            return self.set_unknown();
        }
        self.scale = greatest / GREATEST;
        let inverse = 1.0 / self.scale;
        // Products are at most 127 and a little, and so the nearest integers at most 127. The error is that of the code
        // chosen, whether or not another is nearer.
        self.codes.extend(self.cells.iter().map(|cell| (cell * inverse + SHIFT).to_bits() as u8 ^ ZERO));
        let scale = f64::from(self.scale);
        let (mut sums, mut squares) = ([0.0f64; BLOCK], 0u64);
        for (cells, codes) in self.cells.as_chunks::<BLOCK>().0.iter().zip(self.codes.as_chunks::<BLOCK>().0) {
            for ((sum, cell), code) in sums.iter_mut().zip(cells).zip(codes) {
                let code = i32::from(*code) - i32::from(ZERO);
                squares += u64::from((code * code).unsigned_abs());
                // Exact but for the subtraction, which is rounded once.
                let left = f64::from(*cell) - scale * f64::from(code);
                *sum += left * left;
            }
        }
        let residual = sums.iter().sum::<f64>().sqrt() * SLACK;
        if residual.is_nan() {
            return self.set_unknown();
        }
        self.residual = raised(residual);
        self.norm = raised((squares as f64).sqrt() * scale * SLACK);
    }

    /// Makes all of the row an error.
    fn set_unknown(&mut self) {
        let whole = norm(&self.cells);
        self.codes.clear();
        self.codes.resize(self.cells.len(), ZERO);
        (self.scale, self.norm) = (0.0, 0);
        self.residual = raised(if whole <= HUGE { whole } else { f64::INFINITY });
    }

    fn write(&self, group: &mut [u8], lane: usize) {
        let [scales, errors, codes @ ..] = group.as_chunks_mut::<LINE>().0 else { return };
        if let Some(scale) = scales.as_chunks_mut::<4>().0.get_mut(lane) {
            *scale = self.scale.to_le_bytes();
        }
        if let Some(errors) = errors.as_chunks_mut::<4>().0.get_mut(lane) {
            *errors = (u32::from(self.residual) << 16 | u32::from(self.norm)).to_le_bytes();
        }
        for (line, own) in codes.iter_mut().zip(self.codes.as_chunks::<BLOCK>().0) {
            if let Some(cells) = line.as_chunks_mut::<BLOCK>().0.get_mut(lane) {
                *cells = *own;
            }
        }
    }
}

/// Returns the greatest magnitude of a cell that is a number.
fn greatest(cells: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (chunks, rest) = cells.as_chunks::<8>();
    for chunk in chunks {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(lane, cell)| *lane = if cell.abs() > *lane { cell.abs() } else { *lane });
    }
    lanes.into_iter().chain(rest.iter().map(|cell| cell.abs())).fold(0.0, f32::max)
}

/// Computes the Euclidean norm, rounded up.
fn norm(cells: &[f32]) -> f64 {
    cells.iter().map(|cell| f64::from(*cell).powi(2)).sum::<f64>().sqrt() * SLACK
}

/// Returns the least bfloat16 that is no less than a positive number below the greatest one.
fn raised(value: f64) -> u16 {
    let single = value as f32;
    let single = if f64::from(single) < value { single.next_up() } else { single };
    ((single.to_bits() + 0xffff) >> 16) as u16
}

/// What a group holds beside codes, for each row.
#[derive(Default)]
pub(super) struct Header {
    pub(super) scales: [f32; CODE_GROUP],
    /// Norms of what the codes leave.
    pub(super) residuals: [f32; CODE_GROUP],
    /// Norms of the codes.
    pub(super) norms: [f32; CODE_GROUP],
}

impl Header {
    pub(super) fn of(group: &[u8]) -> Self {
        let mut header = Self::default();
        if let [scales, errors, ..] = group.as_chunks::<LINE>().0 {
            header
                .scales
                .iter_mut()
                .zip(scales.as_chunks().0)
                .for_each(|(scale, own)| *scale = f32::from_le_bytes(*own));
            let norms = header.residuals.iter_mut().zip(&mut header.norms);
            for ((residual, norm), error) in norms.zip(errors.as_chunks().0) {
                let error = u32::from_le_bytes(*error);
                (*residual, *norm) = (f32::from_bits(error & 0xffff_0000), f32::from_bits(error << 16));
            }
        }
        header
    }
}

/// Returns the lines of codes of a group.
pub(super) fn lines(group: &[u8]) -> &[[u8; LINE]] {
    group.as_chunks::<LINE>().0.get(HEADER..).unwrap_or_default()
}
