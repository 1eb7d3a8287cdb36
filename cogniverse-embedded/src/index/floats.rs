//! Float vectors: on disk with the documents, and cached in memory within a budget.

use crate::layout::TensorField;
use cogniverse_sdk::CellType;

/// The vectors of one float tensor field of a block.
#[derive(Debug)]
pub(crate) struct FloatArena {
    cells: FloatCells,
    /// The start of each document, in cells, and the end of the last.
    offsets: Vec<usize>,
    /// The write at which it was loaded; documents deleted by then are missing.
    moment: i64,
}

/// Cells as stored: bfloat16 or float32.
#[derive(Debug)]
pub(crate) enum FloatCells {
    Half(Vec<u16>),
    Full(Vec<f32>),
}

/// The cells of one document.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FloatRows<'a> {
    Half(&'a [u16]),
    Full(&'a [f32]),
}

impl FloatRows<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Half(cells) => cells.is_empty(),
            Self::Full(cells) => cells.is_empty(),
        }
    }
}

impl FloatArena {
    pub(crate) fn new(field: &TensorField, moment: i64) -> Self {
        let cells = match field.tensor.cell() {
            CellType::BFloat16 => FloatCells::Half(Vec::new()),
            CellType::Float | CellType::Int8 => FloatCells::Full(Vec::new()),
        };
        Self { cells, offsets: vec![0], moment }
    }

    /// Returns whether every document alive at a write is included.
    pub(crate) fn is_complete_at(&self, moment: i64) -> bool {
        self.moment <= moment
    }

    /// Appends the next document's cells as stored, little-endian; `None` where it has no vector or is deleted.
    pub(crate) fn push(&mut self, bytes: Option<&[u8]>) {
        let end = match &mut self.cells {
            FloatCells::Half(cells) => {
                cells.extend(bytes.unwrap_or_default().as_chunks::<2>().0.iter().map(|cell| u16::from_le_bytes(*cell)));
                cells.len()
            }
            FloatCells::Full(cells) => {
                cells.extend(bytes.unwrap_or_default().as_chunks::<4>().0.iter().map(|cell| f32::from_le_bytes(*cell)));
                cells.len()
            }
        };
        self.offsets.push(end);
    }

    /// Returns the cells of a document; empty where it has no vector.
    pub(crate) fn get(&self, place: usize) -> FloatRows<'_> {
        let range = match (self.offsets.get(place), self.offsets.get(place + 1)) {
            (Some(start), Some(end)) => *start..*end,
            _ => 0..0,
        };
        match &self.cells {
            FloatCells::Half(cells) => FloatRows::Half(cells.get(range).unwrap_or_default()),
            FloatCells::Full(cells) => FloatRows::Full(cells.get(range).unwrap_or_default()),
        }
    }
}
