//! The first documents in the order of a field.

use crate::index::{BlockView, ColumnOrder, ColumnValue, Places, Rank, Snapshot, compare_values};
use cogniverse_sdk::{Result, Sort};
use std::cmp::Ordering;

/// A document in the order of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sorted<'s> {
    /// The value; `None` where the document has none.
    pub(crate) value: Option<ColumnValue<'s>>,
    /// The id as UTF-8, whose order is that of the ids.
    pub(crate) id: &'s [u8],
    /// The index of the block in the snapshot, and of the document in the block.
    pub(crate) block: usize,
    pub(crate) place: u32,
}

impl Sorted<'_> {
    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        compare_values(self.value, other.value, descending).then_with(|| self.id.cmp(other.id))
    }
}

/// A position in the order of a field: after the document of this value and id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After<'a> {
    pub(crate) value: Option<ColumnValue<'a>>,
    pub(crate) id: &'a [u8],
}

/// Returns the first documents of a block in the order of a field, among some and after a position. Their order is by value, then by id.
pub(crate) fn first_of_block<'s>(
    (view, block): (&'s BlockView, usize),
    places: &Places,
    sort: &Sort,
    after: Option<After<'_>>,
    limit: usize,
) -> Vec<Sorted<'s>> {
    let order = view.block.columns().order(sort);
    let id = |place: u32| view.block.id(place as usize).unwrap_or_default();
    let ranked = places.iter().map(|place| (order.rank(place as usize), place));
    let mut found: Vec<(Rank, u32)> = match after {
        None => ranked.collect(),
        Some(after) => {
            let (rank, is_known) = order.rank_of(after.value);
            let follows = |of: &(Rank, u32)| match of.0.cmp(&rank) {
                Ordering::Less => false,
                Ordering::Equal => !is_known || id(of.1) > after.id,
                Ordering::Greater => true,
            };
            ranked.filter(follows).collect()
        }
    };
    let compare = |a: &(Rank, u32), b: &(Rank, u32)| a.0.cmp(&b.0).then_with(|| id(a.1).cmp(id(b.1)));
    if let Some(last) = limit.checked_sub(1).filter(|last| *last < found.len()) {
        found.select_nth_unstable_by(last, compare);
    }
    found.truncate(limit);
    let of = |order: &ColumnOrder<'s>, place: u32| Sorted {
        value: order.value(place as usize),
        id: id(place),
        block,
        place,
    };
    found.into_iter().map(|(_, place)| of(&order, place)).collect()
}

/// Returns the first documents of all blocks, of which the first of each are given.
pub(crate) fn first_of_all(mut found: Vec<Sorted<'_>>, descending: bool, limit: usize) -> Vec<Sorted<'_>> {
    found.sort_unstable_by(|a, b| a.compare(b, descending));
    found.truncate(limit);
    found
}

/// Returns the first of the given documents of each block, in the order of a field. `work` is charged for each block.
pub(crate) fn first<'s>(
    snapshot: &'s Snapshot,
    places: &[Places],
    sort: &Sort,
    (after, limit): (Option<After<'_>>, usize),
    work: &dyn Fn(usize) -> Result<()>,
) -> Result<Vec<Sorted<'s>>> {
    let mut found = Vec::new();
    for ((block, view), places) in snapshot.blocks().iter().enumerate().zip(places) {
        // A value is read and compared a few times.
        work(places.count() * 32)?;
        found.extend(first_of_block((view, block), places, sort, after, limit));
    }
    Ok(first_of_all(found, sort.descending, limit))
}
