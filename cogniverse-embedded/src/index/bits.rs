//! Packed sign bits of a block, in the layout that the kernels scan.

use crate::{
    kernel::{GROUP, group_rows, grouped_row, push_row},
    layout::TensorField,
};

/// One binary tensor field of a block, in groups of rows (see [`crate::kernel`]). Where the field is multi-vector, each
/// document has groups of its own; otherwise the vectors of 32 documents are a group.
#[derive(Debug, Clone)]
pub(crate) struct BitArena {
    bytes: usize,
    data: Vec<u8>,
    documents: Documents,
}

#[derive(Debug, Clone)]
enum Documents {
    /// The start of each document, and the end of the last.
    Multi(Vec<usize>),
    /// Whether each document has a vector; the row of one without is zero.
    Single(Vec<bool>),
}

impl BitArena {
    pub(crate) fn new(field: &TensorField) -> Self {
        let documents = if field.is_single() { Documents::Single(Vec::new()) } else { Documents::Multi(vec![0]) };
        Self { bytes: field.tensor.size(), data: Vec::new(), documents }
    }

    /// Appends the next document's packed rows; `None` where it has no vector.
    pub(crate) fn push(&mut self, rows: Option<&[u8]>) {
        match &mut self.documents {
            Documents::Multi(offsets) => {
                // Rows were checked against the tensor type when they were stored.
                let _ = group_rows(rows.unwrap_or_default(), self.bytes, &mut self.data);
                offsets.push(self.data.len());
            }
            Documents::Single(present) => {
                push_row(rows.unwrap_or_default(), present.len(), self.bytes, &mut self.data);
                present.push(rows.is_some());
            }
        }
    }

    pub(crate) fn append(&mut self, other: &Self, kept: &[Option<u32>]) {
        for place in kept.iter().enumerate().filter(|(_, kept)| kept.is_some()).map(|(place, _)| place) {
            match &mut self.documents {
                Documents::Multi(offsets) => {
                    self.data.extend_from_slice(other.get(place));
                    offsets.push(self.data.len());
                }
                Documents::Single(_) => {
                    let row: Option<Vec<u8>> =
                        other.has(place).then(|| grouped_row(other.group(place), place % GROUP).collect());
                    self.push(row.as_deref());
                }
            }
        }
    }

    /// Returns whether each document is a single row of a group that it shares.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.documents, Documents::Single(_))
    }

    /// Returns whether a document has vectors.
    pub(crate) fn has(&self, place: usize) -> bool {
        match &self.documents {
            Documents::Multi(_) => !self.get(place).is_empty(),
            Documents::Single(present) => present.get(place).copied().unwrap_or(false),
        }
    }

    /// Returns the groups of a document of a multi-vector field; empty where it has no vector.
    pub(crate) fn get(&self, place: usize) -> &[u8] {
        let Documents::Multi(offsets) = &self.documents else { return &[] };
        match (offsets.get(place), offsets.get(place + 1)) {
            (Some(start), Some(end)) => self.data.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Returns the group of a document of a single-vector field, in which it is row `place % GROUP`.
    pub(crate) fn group(&self, place: usize) -> &[u8] {
        let start = place / GROUP * GROUP * self.bytes;
        self.data.get(start..start + GROUP * self.bytes).unwrap_or_default()
    }

    /// Returns the number of bytes in one vector.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
