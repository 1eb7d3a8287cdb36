//! Query vectors in the layouts of the kernels.

use crate::kernel::query_words;
use cogniverse_sdk::{Matrix, Result, quantize::pack_rows};

/// The query vectors, as floats and as sign bits.
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

    /// Returns all rows, concatenated.
    pub(crate) fn floats(&self) -> &[f32] {
        self.floats.cells()
    }

    /// Returns the number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.floats.len()
    }

    /// Returns the number of cells in a row.
    pub(crate) fn dims(&self) -> usize {
        self.floats.width()
    }

    /// Returns the packed rows, concatenated.
    pub(crate) fn bits(&self) -> &[u64] {
        &self.bits
    }
}
