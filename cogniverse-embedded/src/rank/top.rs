//! Selection of the best hits without a full sort.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    sync::atomic::{AtomicU64, Ordering as AtomicOrdering},
};

/// A scored document of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'s> {
    pub(crate) score: f64,
    /// The id as UTF-8, whose order is that of the ids.
    pub(crate) id: &'s [u8],
    /// The index of the block in the snapshot, and of the document in the block.
    pub(crate) block: usize,
    pub(crate) place: u32,
}

impl Candidate<'_> {
    /// Orders by score descending, then by id, so that pages never overlap.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.id.cmp(other.id))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank(other) == Ordering::Equal
    }
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    /// Orders the worst as greatest, so that a heap evicts it first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank(other)
    }
}

/// A score that at least `limit` candidates reach, over all cores of a search.
#[derive(Debug)]
pub(crate) struct Bar(AtomicU64);

impl Bar {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(ordered(f64::NEG_INFINITY)))
    }

    /// Returns the score below which no candidate can be among the best.
    pub(crate) fn get(&self) -> f64 {
        let bits = self.0.load(AtomicOrdering::Relaxed);
        f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits })
    }

    fn raise(&self, score: f64) {
        self.0.fetch_max(ordered(score), AtomicOrdering::Relaxed);
    }
}

/// Returns a number whose order is that of [`f64::total_cmp`].
fn ordered(score: f64) -> u64 {
    let bits = score.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// A bounded heap of the best `limit` candidates of one core.
#[derive(Debug)]
pub(crate) struct Top<'s> {
    limit: usize,
    heap: BinaryHeap<Candidate<'s>>,
    bar: &'s Bar,
}

impl<'s> Top<'s> {
    /// Creates an empty heap, which raises a bar that others of the same limit may share.
    pub(crate) fn new(limit: usize, bar: &'s Bar) -> Self {
        Self { limit, heap: BinaryHeap::new(), bar }
    }

    /// Returns the score below which no candidate can be among the best.
    pub(crate) fn bar(&self) -> f64 {
        self.bar.get()
    }

    pub(crate) fn offer(&mut self, candidate: Candidate<'s>) {
        if candidate.score < self.bar.get() {
            return;
        }
        if self.heap.len() < self.limit {
            self.heap.push(candidate);
            if self.heap.len() < self.limit {
                return;
            }
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
        if let Some(worst) = self.heap.peek() {
            self.bar.raise(worst.score);
        }
    }

    /// Returns the best candidates of all cores, best first.
    pub(crate) fn merge(tops: Vec<Self>) -> Vec<Candidate<'s>> {
        let limit = tops.first().map_or(0, |top| top.limit);
        let mut all: Vec<Candidate<'s>> = tops.into_iter().flat_map(|top| top.heap).collect();
        all.sort_unstable();
        all.truncate(limit);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_a_full_sort_would(scores in prop::collection::vec(0u8..6, 0..40), limit in 0usize..12, cores in 1usize..4) {
            let ids: Vec<String> = (0..scores.len()).map(|i| format!("{:02}", 99 - i)).collect();
            let all: Vec<Candidate<'_>> = scores.iter().zip(&ids).map(|(score, id)| Candidate { score: f64::from(*score) - 3.0, id: id.as_bytes(), block: 0, place: 0 }).collect();
            let bar = Bar::new();
            let mut tops: Vec<Top<'_>> = (0..cores).map(|_| Top::new(limit, &bar)).collect();
            all.iter().enumerate().for_each(|(at, candidate)| tops[at * 7 % cores].offer(*candidate));
            let mut sorted = all;
            sorted.sort();
            sorted.truncate(limit);
            let names = |list: &[Candidate<'_>]| list.iter().map(|c| c.id.to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(names(&Top::merge(tops)), names(&sorted));
        }

        #[test]
        fn the_bar_is_the_greatest_in_total_order(scores in prop::collection::vec(any::<f64>(), 1..20)) {
            let bar = Bar::new();
            scores.iter().filter(|score| !score.is_nan()).for_each(|score| bar.raise(*score));
            let greatest = scores.into_iter().filter(|score| !score.is_nan()).fold(f64::NEG_INFINITY, |a, b| if b.total_cmp(&a).is_gt() { b } else { a });
            prop_assert_eq!(bar.get().to_bits(), greatest.to_bits());
        }
    }
}
