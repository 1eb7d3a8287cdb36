//! Float vectors for a scorer: from memory, or from the record in pieces of bounded size.

use crate::{
    index::{BlockView, FloatArena, FloatRows},
    layout::TensorField,
    tenant_store::TenantStore,
};
use cogniverse_sdk::{Error, Result};
use std::sync::Arc;

/// Bytes read at once where the budget does not allow keeping a block.
const PIECE_BYTES: usize = 32 << 20;

/// Where a query's float vectors come from.
pub(crate) struct FloatAccess<'s> {
    store: &'s TenantStore,
    /// Documents of the block that this phase scores, in however many calls.
    wanted: usize,
}

impl<'s> FloatAccess<'s> {
    pub(crate) fn new(store: &'s TenantStore, wanted: usize) -> Self {
        Self { store, wanted }
    }

    /// Calls `each` with the index in `places` and the cells of every document; those without a vector are passed over.
    pub(crate) fn for_each(
        &self,
        view: &BlockView,
        field: usize,
        places: &[u32],
        mut each: impl FnMut(usize, FloatRows<'_>),
    ) -> Result<()> {
        if let Some(arena) = view.block.floats(field).and_then(|slot| slot.get()) {
            return Self::from_arena(arena, places, each);
        }
        let tensor = self.tensor(field)?;
        // A few documents of many, as a second phase asks for: their rows alone are read.
        if self.wanted * 4 < view.block.len() {
            return self.in_pieces(view, tensor, places, 1, each);
        }
        self.store.read(|connection| {
            let Some(range) = row_range(view) else { return Ok(()) };
            let bytes = self.store.record().cell_bytes(connection, tensor, range)?;
            let Some(reservation) = self.store.float_cache().reserve(bytes + view.block.len() * 8) else {
                let per_document = bytes.div_ceil(view.block.len().max(1)).max(1);
                return self.in_pieces(view, tensor, places, (PIECE_BYTES / per_document).max(1), &mut each);
            };
            let arena = self.load(connection, view, tensor, 0..view.block.len())?.reserved(reservation);
            let arena = match view.block.floats(field) {
                Some(slot) => Arc::clone(slot.get_or_init(|| Arc::new(arena))),
                None => Arc::new(arena),
            };
            Self::from_arena(&arena, places, &mut each)
        })
    }

    fn tensor(&self, field: usize) -> Result<&'s TensorField> {
        self.store.layout().floats.get(field).ok_or_else(|| Error::unexpected("a float field beyond the layout"))
    }

    fn from_arena(arena: &FloatArena, places: &[u32], mut each: impl FnMut(usize, FloatRows<'_>)) -> Result<()> {
        for (index, place) in places.iter().enumerate() {
            each(index, arena.get(*place as usize));
        }
        Ok(())
    }

    /// Reads stretches of `size` documents, and only those in which a place is asked for.
    fn in_pieces(
        &self,
        view: &BlockView,
        tensor: &TensorField,
        places: &[u32],
        size: usize,
        mut each: impl FnMut(usize, FloatRows<'_>),
    ) -> Result<()> {
        self.store.read(|connection| {
            let mut next = 0;
            while let Some(first) = places.get(next) {
                let start = *first as usize / size * size;
                let stretch = start..(start + size).min(view.block.len());
                let arena = self.load(connection, view, tensor, stretch.clone())?;
                while let Some(place) = places.get(next).filter(|place| stretch.contains(&(**place as usize))) {
                    each(next, arena.get(*place as usize - start));
                    next += 1;
                }
            }
            Ok(())
        })
    }

    fn load(
        &self,
        connection: &rusqlite::Connection,
        view: &BlockView,
        tensor: &TensorField,
        places: std::ops::Range<usize>,
    ) -> Result<FloatArena> {
        let mut arena = FloatArena::new(tensor);
        let rows = view.block.rows().get(places).unwrap_or_default();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(arena) };
        let mut missing = rows.iter().peekable();
        self.store.record().for_cells(connection, tensor, (*first, *last), |row, cells| {
            while missing.next_if(|expected| **expected < row).is_some() {
                arena.push(None);
            }
            if missing.next_if(|expected| **expected == row).is_some() {
                arena.push(Some(cells));
            }
        })?;
        missing.for_each(|_| arena.push(None));
        Ok(arena)
    }
}

fn row_range(view: &BlockView) -> Option<(i64, i64)> {
    Some((*view.block.rows().first()?, *view.block.rows().last()?))
}
