//! Float query rows, prepared for products with float rows.

/// The number of rows in a panel.
pub(super) const PANEL: usize = 48;
/// The number of rows to which the last panel is filled up with zeros is a multiple of this.
pub(super) const UNIT: usize = 8;

/// Float query rows, prepared once per search.
///
/// Rows are interleaved in panels: cell 0 of all rows of the panel, then cell 1, and so on. One document cell then
/// multiplies eight or sixteen rows at once, and no sum runs across lanes.
#[derive(Debug, Clone)]
pub struct FloatQuery {
    dims: usize,
    rows: Vec<f32>,
    panels: Vec<f32>,
}

/// Interleaved rows.
pub(super) struct Panel<'a> {
    /// `width` cells for each dimension.
    pub(super) cells: &'a [f32],
    /// A multiple of [`UNIT`], at most [`PANEL`].
    pub(super) width: usize,
    /// The number of rows without the zeros.
    pub(super) rows: usize,
}

impl FloatQuery {
    /// Prepares rows of `dims` floats. Trailing cells short of a row are ignored.
    #[must_use]
    pub fn new(rows: &[f32], dims: usize) -> Self {
        let count = rows.len().checked_div(dims).unwrap_or(0);
        let rows = rows.get(..count * dims).unwrap_or_default().to_vec();
        let mut panels = Vec::with_capacity(count.next_multiple_of(UNIT) * dims);
        for panel in rows.chunks(PANEL.saturating_mul(dims).max(1)) {
            let width = (panel.len() / dims).next_multiple_of(UNIT);
            for dim in 0..dims {
                let cells = panel.iter().skip(dim).step_by(dims).copied();
                panels.extend(cells.chain(std::iter::repeat(0.0)).take(width));
            }
        }
        Self { dims, rows, panels }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len().checked_div(self.dims).unwrap_or(0)
    }

    /// Returns the number of cells in a row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Returns the rows as they were, concatenated.
    #[must_use]
    pub fn cells(&self) -> &[f32] {
        &self.rows
    }

    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let rows = self.rows();
        self.panels.chunks(PANEL.saturating_mul(self.dims).max(1)).enumerate().map(move |(number, cells)| Panel {
            cells,
            width: cells.len() / self.dims,
            rows: (rows - number * PANEL).min(PANEL),
        })
    }
}
