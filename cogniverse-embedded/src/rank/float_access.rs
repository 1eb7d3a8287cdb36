//! Access of scorers to float vectors: from memory, or read from the record in bounded pieces.

use super::meter::Meter;
use crate::{
    index::{BlockView, FloatArena, FloatRows, KeptFloats},
    layout::TensorField,
    tenant_store::Moment,
};
use cogniverse_sdk::{Error, Result};
use rusqlite::Connection;
use std::sync::Arc;

/// The number of bytes read at once where the budget does not allow caching a block.
const PIECE_BYTES: usize = 32 << 20;

/// Places of a block in order, and the work of the core that reads them.
type Places<'a> = (&'a BlockView, &'a [u32], &'a Meter<'a>);

/// The source of the float vectors of one query.
pub(crate) struct FloatAccess<'s> {
    moment: &'s Moment<'s>,
    /// The number of documents of the block that this phase scores, over all calls.
    wanted: usize,
}

impl<'s> FloatAccess<'s> {
    pub(crate) fn new(moment: &'s Moment<'_>, wanted: usize) -> Self {
        Self { moment, wanted }
    }

    /// Calls `each` with the index in the places and the cells of every document; empty where it has no vector.
    pub(crate) fn for_each(
        &self,
        scoring: Places<'_>,
        field: usize,
        mut each: impl FnMut(usize, FloatRows<'_>) -> Result<()>,
    ) -> Result<()> {
        let (view, places, _) = scoring;
        let moment = self.moment.snapshot.moment();
        let cache = self.moment.store.float_cache();
        let kept = || view.block.floats(field).and_then(|slot| slot.get(cache));
        if let Some(arena) = kept().filter(|arena| arena.is_complete_at(moment)) {
            return Self::from_arena(&arena, places, each);
        }
        // A few documents of many, as a second phase asks for: their rows alone are read.
        if self.wanted * 4 < view.block.len() {
            return self.in_pieces(scoring, field, 1, each);
        }
        let tensor = self.tensor(field)?;
        let Some(range) = row_range(view) else { return Ok(()) };
        let store = self.moment.store;
        let connection = self.moment.connection()?;
        // Another core may have read it while this one waited for its turn.
        let kept = kept();
        if let Some(arena) = kept.as_ref().filter(|arena| arena.is_complete_at(moment)) {
            drop(connection);
            return Self::from_arena(arena, places, each);
        }
        let bytes = store.record().cell_bytes(&connection, tensor, range)?;
        // What was read later and is kept lacks documents of this moment: nothing can be kept in its place.
        let reservation = match kept {
            Some(_) => None,
            None => cache.reserve(store.name().tenant(), bytes + view.block.len() * 8),
        };
        let Some(reservation) = reservation else {
            drop(connection);
            let per_document = bytes.div_ceil(view.block.len().max(1)).max(1);
            return self.in_pieces(scoring, field, (PIECE_BYTES / per_document).max(1), &mut each);
        };
        let arena = self.load(&connection, scoring, field, 0..view.block.len())?;
        let mine = Arc::new(KeptFloats::new(arena, reservation));
        let kept = view.block.floats(field).map(|slot| slot.keep(cache, store.name().tenant(), &mine));
        drop(connection);
        let complete = kept.as_ref().filter(|arena| arena.is_complete_at(moment)).unwrap_or(&mine);
        Self::from_arena(complete, places, &mut each)
    }

    fn tensor(&self, field: usize) -> Result<&'s TensorField> {
        self.moment.store.layout().floats.get(field).ok_or_else(|| Error::unexpected("a float field beyond the layout"))
    }

    fn from_arena(
        arena: &FloatArena,
        places: &[u32],
        mut each: impl FnMut(usize, FloatRows<'_>) -> Result<()>,
    ) -> Result<()> {
        for (index, place) in places.iter().enumerate() {
            each(index, arena.get(*place as usize))?;
        }
        Ok(())
    }

    /// Reads runs of at most `size` documents that begin and end with a requested one. Other cores read while this one scores.
    fn in_pieces(
        &self,
        scoring: Places<'_>,
        field: usize,
        size: usize,
        mut each: impl FnMut(usize, FloatRows<'_>) -> Result<()>,
    ) -> Result<()> {
        let (_, places, _) = scoring;
        let end = places.last().map_or(0, |last| *last as usize + 1);
        let mut next = 0;
        while let Some(first) = places.get(next) {
            let start = *first as usize;
            let stretch = start..(start + size).min(end);
            let arena = self.load(&*self.moment.connection()?, scoring, field, stretch.clone())?;
            while let Some(place) = places.get(next).filter(|place| stretch.contains(&(**place as usize))) {
                each(next, arena.get(*place as usize - start))?;
                next += 1;
            }
        }
        Ok(())
    }

    fn load(
        &self,
        connection: &Connection,
        scoring: Places<'_>,
        field: usize,
        places: std::ops::Range<usize>,
    ) -> Result<FloatArena> {
        let (view, _, meter) = scoring;
        let tensor = self.tensor(field)?;
        let mut arena = FloatArena::new(tensor, self.moment.snapshot.moment());
        let rows = view.block.rows().part(places.clone());
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(arena) };
        let mut expected = places.zip(rows.iter()).peekable();
        let record = self.moment.store.record();
        // A document that lives and has vectors has them in the record: their absence is damage.
        let absent = |arena: &mut FloatArena, place: usize| match view.block.document_id(place) {
            Some(id) if view.is_live(place) && view.block.has_floats(field, place) => Err(record.missing(tensor, &id)),
            _ => {
                arena.push(None);
                Ok(())
            }
        };
        record.for_cells(connection, tensor, (first, last), |row, cells, sum| {
            meter.spend(cells.len())?;
            while let Some((place, _)) = expected.next_if(|(_, expected)| *expected < row) {
                absent(&mut arena, place)?;
            }
            if let Some((place, _)) = expected.next_if(|(_, expected)| *expected == row) {
                match view.block.document_id(place) {
                    Some(id) if view.block.has_floats(field, place) => {
                        record.check_cells(tensor, &id, cells, sum)?;
                        arena.push(Some(cells));
                    }
                    _ => arena.push(None),
                }
            }
            Ok(())
        })?;
        expected.try_for_each(|(place, _)| absent(&mut arena, place))?;
        Ok(arena)
    }
}

fn row_range(view: &BlockView) -> Option<(i64, i64)> {
    Some((view.block.rows().first()?, view.block.rows().last()?))
}
