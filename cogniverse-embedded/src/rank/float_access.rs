//! Access of scorers to float vectors, which are read in place, and to their codes.

use super::meter::Meter;
use crate::{
    index::{BlockView, CODE_RUN, CodeArena, Codes, FloatRows},
    kernel::{CODE_GROUP, Kernels, code_group_len},
    layout::TensorField,
    mapped::{halves, singles},
    tenant_store::Moment,
};
use cogniverse_sdk::{CellType, Error, Result, quantize::from_bf16};
use std::sync::Arc;

/// The float vectors of one moment.
#[derive(Clone, Copy)]
pub(crate) struct FloatAccess<'s> {
    moment: &'s Moment<'s>,
    /// Whether so many documents of a block are scored that codes of all are worth making.
    many: bool,
}

impl<'s> FloatAccess<'s> {
    /// Creates the access for `wanted` documents of each `of` in a block.
    pub(crate) fn new(moment: &'s Moment<'_>, wanted: usize, of: usize) -> Self {
        Self { moment, many: wanted.saturating_mul(4) >= of }
    }

    fn tensor(&self, field: usize) -> Result<&'s TensorField> {
        self.moment.store.layout().floats.get(field).ok_or_else(|| Error::unexpected("a float field beyond the layout"))
    }

    /// Calls `each` with the index in the places and the cells of every document; empty where it has no vector.
    pub(crate) fn for_each(
        &self,
        view: &BlockView,
        places: &[u32],
        field: usize,
        mut each: impl FnMut(usize, FloatRows<'_>) -> Result<()>,
    ) -> Result<()> {
        let tensor = self.tensor(field)?;
        for (index, place) in places.iter().enumerate() {
            each(index, self.rows(view, *place as usize, field, tensor)?)?;
        }
        Ok(())
    }

    fn rows(&self, view: &BlockView, place: usize, field: usize, tensor: &TensorField) -> Result<FloatRows<'s>> {
        let (Some(at), Some(id)) = (view.block.cells_at(field, place), view.block.id(place)) else {
            return Ok(FloatRows::Full(&[]));
        };
        let cells = self.moment.store.record().cells(&self.moment.files, tensor, id, at)?;
        let rows = match tensor.tensor.cell() {
            CellType::BFloat16 => halves(cells).map(FloatRows::Half),
            CellType::Float | CellType::Int8 => singles(cells).map(FloatRows::Full),
        };
        rows.ok_or_else(|| Error::unexpected("vectors that are not aligned in their file"))
    }

    /// Returns the codes of a run of a block's places; `None` where they are not kept, and not worth making or without room.
    pub(crate) fn codes(
        &self,
        view: &BlockView,
        field: usize,
        run: usize,
        meter: &Meter<'_>,
    ) -> Result<Option<Arc<Codes>>> {
        let Some(slot) = view.block.codes(field, run) else { return Ok(None) };
        let cache = self.moment.store.code_cache();
        if !self.many {
            return Ok(slot.get(cache));
        }
        let tenant = self.moment.store.name().tenant();
        slot.get_or_make(cache, tenant, || {
            let tensor = self.tensor(field)?;
            let (dims, group) = (tensor.tensor.size(), code_group_len(tensor.tensor.size()));
            let places = run * CODE_RUN..((run + 1) * CODE_RUN).min(view.block.len());
            let rows = |place| view.block.cells_at(field, place).map_or(0, |at| at.bytes as usize / tensor.row_bytes());
            let groups = match tensor.is_single() {
                true => places.len().div_ceil(CODE_GROUP),
                false => places.clone().map(|place| rows(place).div_ceil(CODE_GROUP)).sum(),
            };
            let Some(room) = cache.reserve(tenant, groups * group + places.len() * 8 + 64) else { return Ok(None) };
            let (mut arena, mut products) = (CodeArena::new(dims, tensor.is_single()), Vec::new());
            for place in places {
                // What is deleted may be in no file any more. Who still sees it compares it as it is stored.
                let rows = match view.is_live(place) {
                    true => self.rows(view, place, field, tensor)?,
                    false => FloatRows::Full(&[]),
                };
                meter.spend(rows.len() * 2)?;
                arena.push(rows);
                if tensor.is_single() {
                    products.push(own_product(rows));
                }
            }
            arena.shrink();
            Ok(Some(Codes::new(arena, products, room)))
        })
    }
}

/// Computes the product of a vector with itself as scorers do.
fn own_product(rows: FloatRows<'_>) -> f32 {
    match rows {
        FloatRows::Full(cells) => Kernels::detect().dot_f32(cells, cells),
        FloatRows::Half(cells) => {
            let cells: Vec<f32> = cells.iter().map(|cell| from_bf16(*cell)).collect();
            Kernels::detect().dot_f32(&cells, &cells)
        }
    }
}
