//! Blocks whose living documents are merged into one.

use super::{Block, Places};

/// A block of a merge.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) block: &'a Block,
    live: &'a Places,
    /// The place of the first document in the merged block.
    first: u32,
    /// The place of each document in the merged block; `None` where all are living.
    moved: Option<Vec<Option<u32>>>,
}

impl<'a> Part<'a> {
    /// Lays blocks out one after another.
    pub(super) fn all(parts: &[(&'a Block, &'a Places)]) -> Vec<Self> {
        let mut first = 0;
        let mut part = |(block, live): &(&'a Block, &'a Places)| {
            let count = live.count();
            let moved = (count < block.len()).then(|| {
                let mut next = first..;
                (0..block.len()).map(|place| if live.contains(place) { next.next() } else { None }).collect()
            });
            let part = Self { block, live, first, moved };
            first = first.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            part
        };
        parts.iter().map(&mut part).collect()
    }

    /// Returns the place of a document in the merged block; `None` where it is not living.
    #[inline]
    pub(super) fn moved(&self, place: u32) -> Option<u32> {
        match &self.moved {
            None => Some(self.first.saturating_add(place)),
            Some(moved) => moved.get(place as usize).copied().flatten(),
        }
    }

    /// Returns the places of the living documents in order.
    pub(super) fn living(&self) -> impl Iterator<Item = usize> + '_ {
        self.live.iter().map(|place| place as usize)
    }
}
