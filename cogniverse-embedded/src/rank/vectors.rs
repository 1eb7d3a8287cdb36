//! Query vectors in the layouts of the kernels.

use crate::kernel::{BitFloatQuery, BitQuery, CodeQuery, FloatQuery};
use cogniverse_sdk::{Matrix, Result, quantize::pack_rows};
use std::sync::OnceLock;

/// The number of query rows in one kernel call, so that the clock is checked between the pieces of a long query.
const RUN: usize = 48;

/// The query vectors, as floats and as sign bits.
#[derive(Debug)]
pub(crate) struct QueryVectors {
    cells: Matrix<f32>,
    floats: Vec<FloatQuery>,
    bits: Vec<BitQuery>,
    codes: OnceLock<Vec<CodeQuery>>,
}

impl QueryVectors {
    pub(crate) fn new(rows: &Matrix<f32>) -> Result<Self> {
        let packed = pack_rows(rows)?;
        let floats = rows.cells().chunks(RUN * rows.width()).map(|run| FloatQuery::new(run, rows.width()));
        let bits = packed.cells().chunks(RUN * packed.width()).map(|run| BitQuery::new(run, packed.width()));
        Ok(Self { floats: floats.collect(), bits: bits.collect(), cells: rows.clone(), codes: OnceLock::new() })
    }

    /// Returns all rows, concatenated.
    pub(crate) fn cells(&self) -> &[f32] {
        self.cells.cells()
    }

    /// Returns the rows in runs, for products with float vectors.
    pub(crate) fn floats(&self) -> &[FloatQuery] {
        &self.floats
    }

    /// Returns the packed rows in runs.
    pub(crate) fn bits(&self) -> &[BitQuery] {
        &self.bits
    }

    /// Returns the rows in runs, for bounds of products with codes.
    pub(crate) fn codes(&self) -> &[CodeQuery] {
        let width = self.cells.width();
        self.codes.get_or_init(|| self.cells().chunks(RUN * width).map(|run| CodeQuery::new(run, width)).collect())
    }

    /// Prepares the rows in runs, for products with sign bits in rows of `bytes`.
    pub(crate) fn bit_floats(&self, bytes: usize, signed: bool) -> Vec<BitFloatQuery> {
        let width = self.cells.width();
        self.cells().chunks(RUN * width).map(|run| BitFloatQuery::new(run, width, bytes, signed)).collect()
    }
}
