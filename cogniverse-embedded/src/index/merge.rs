//! The places of documents in the block into which theirs is merged.

use super::Places;

/// A block of a merge.
#[derive(Debug)]
pub(super) struct Part<'a> {
    live: &'a Places,
    /// The place of the first document in the merged block.
    first: u32,
    /// The place of each document in the merged block; `None` where all are living.
    moved: Option<Vec<Option<u32>>>,
}

impl<'a> Part<'a> {
    /// Lays blocks out one after another, each given by its number of documents and those that are living.
    pub(super) fn all(blocks: impl Iterator<Item = (usize, &'a Places)>) -> Vec<Self> {
        let mut first = 0;
        let part = |(len, live): (usize, &'a Places)| {
            let count = live.count();
            let moved = (count < len).then(|| {
                let mut next = first..;
                (0..len).map(|place| if live.contains(place) { next.next() } else { None }).collect()
            });
            let part = Self { live, first, moved };
            first = first.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            part
        };
        blocks.map(part).collect()
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
