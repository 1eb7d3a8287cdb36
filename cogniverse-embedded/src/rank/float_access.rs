//! Access of scorers to float vectors, which are read in place.

use crate::{
    index::{BlockView, FloatRows},
    layout::{Layout, TensorField},
    mapped::{halves, singles},
    record::Record,
    tenant_store::Moment,
    vectors::VectorFiles,
};
use cogniverse_sdk::{CellType, Error, Result};

/// The float vectors of one moment.
#[derive(Clone, Copy)]
pub(crate) struct FloatAccess<'s> {
    record: &'s Record,
    layout: &'s Layout,
    files: &'s VectorFiles,
}

impl<'s> FloatAccess<'s> {
    pub(crate) fn new(moment: &'s Moment<'_>) -> Self {
        Self { record: moment.store.record(), layout: moment.store.layout(), files: &moment.files }
    }

    /// Calls `each` with the index in the places and the cells of every document; empty where it has no vector.
    pub(crate) fn for_each(
        &self,
        view: &BlockView,
        places: &[u32],
        field: usize,
        mut each: impl FnMut(usize, FloatRows<'_>) -> Result<()>,
    ) -> Result<()> {
        let unknown = || Error::unexpected("a float field beyond the layout");
        let tensor = self.layout.floats.get(field).ok_or_else(unknown)?;
        for (index, place) in places.iter().enumerate() {
            each(index, self.rows(view, *place as usize, field, tensor)?)?;
        }
        Ok(())
    }

    fn rows(&self, view: &BlockView, place: usize, field: usize, tensor: &TensorField) -> Result<FloatRows<'s>> {
        let (Some(at), Some(id)) = (view.block.cells_at(field, place), view.block.id(place)) else {
            return Ok(FloatRows::Full(&[]));
        };
        let cells = self.record.cells(self.files, tensor, id, at)?;
        let rows = match tensor.tensor.cell() {
            CellType::BFloat16 => halves(cells).map(FloatRows::Half),
            CellType::Float | CellType::Int8 => singles(cells).map(FloatRows::Full),
        };
        rows.ok_or_else(|| Error::unexpected("vectors that are not aligned in their file"))
    }
}
