//! Float vectors: on disk with the documents, and in memory for as long as the budget allows.

use crate::layout::TensorField;
use cogniverse_sdk::CellType;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// One float tensor field of a run of documents.
#[derive(Debug)]
pub(crate) struct FloatArena {
    cells: FloatCells,
    /// Where each document starts, in cells, and the end of the last.
    offsets: Vec<usize>,
    /// When it was read: documents that were gone by then are not in it.
    moment: i64,
    /// Held for as long as the arena counts against the budget.
    _reserved: Option<Reservation>,
}

/// Cells as stored: bfloat16 halves or floats.
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
        Self { cells, offsets: vec![0], moment, _reserved: None }
    }

    pub(crate) fn reserved(mut self, reservation: Reservation) -> Self {
        self._reserved = Some(reservation);
        self
    }

    /// Whether every document that lives at a moment is in it.
    pub(crate) fn is_complete_at(&self, moment: i64) -> bool {
        self.moment <= moment
    }

    /// Appends the next document's cells as stored, little-endian; none where it has no vector or is gone.
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

    /// The cells of a document; empty where it has no vector.
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

/// The budget of all schemas together for float vectors in memory.
#[derive(Debug, Clone)]
pub(crate) struct FloatCache {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl FloatCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Takes bytes out of the budget until the answer is dropped; none where it would be overdrawn.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let taken = self.used.try_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.limit)
        });
        taken.ok().map(|_| Reservation { used: Arc::clone(&self.used), bytes })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

/// Bytes taken out of the budget.
#[derive(Debug)]
pub(crate) struct Reservation {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
