//! A query's vectors in the forms that the kernels take.

use crate::kernel::query_words;
use cogniverse_sdk::{Matrix, Result, quantize::pack_rows};

/// A query's vectors: as floats, and their sign bits.
#[derive(Debug)]
pub(crate) struct QueryVectors {
    floats: Matrix<f32>,
    bits: Vec<u64>,
}

impl QueryVectors {
    pub(crate) fn new(rows: &Matrix<f32>) -> Result<Self> {
        let bits = pack_rows(rows)?.rows().flat_map(query_words).collect();
        Ok(Self { floats: rows.clone(), bits })
    }

    /// All rows, one after the other.
    pub(crate) fn floats(&self) -> &[f32] {
        self.floats.cells()
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.floats.len()
    }

    /// Cells of a row.
    pub(crate) fn dims(&self) -> usize {
        self.floats.width()
    }

    /// The packed rows, one after the other.
    pub(crate) fn bits(&self) -> &[u64] {
        &self.bits
    }
}
