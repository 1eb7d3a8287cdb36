//! Selection of the best hits without a full sort.

use cogniverse_sdk::DocumentId;
use std::{cmp::Ordering, collections::BinaryHeap};

/// A scored document of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'s> {
    pub(crate) score: f64,
    pub(crate) id: &'s DocumentId,
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

/// A bounded heap of the best `limit` candidates.
#[derive(Debug)]
pub(crate) struct Top<'s> {
    limit: usize,
    heap: BinaryHeap<Candidate<'s>>,
}

impl<'s> Top<'s> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    /// Returns the score below which a candidate cannot enter.
    pub(crate) fn bar(&self) -> f64 {
        if self.heap.len() < self.limit {
            f64::NEG_INFINITY
        } else {
            self.heap.peek().map_or(f64::INFINITY, |worst| worst.score)
        }
    }

    pub(crate) fn offer(&mut self, candidate: Candidate<'s>) {
        if self.heap.len() < self.limit {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Returns the candidates, best first.
    pub(crate) fn into_sorted(self) -> Vec<Candidate<'s>> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_a_full_sort_would(scores in prop::collection::vec(0u8..6, 0..40), limit in 0usize..12) {
            let ids: Vec<DocumentId> = (0..scores.len()).map(|i| DocumentId::parse(format!("{:02}", 99 - i)).unwrap()).collect();
            let all: Vec<Candidate<'_>> = scores.iter().zip(&ids).map(|(score, id)| Candidate { score: f64::from(*score), id, block: 0, place: 0 }).collect();
            let mut top = Top::new(limit);
            all.iter().for_each(|candidate| top.offer(*candidate));
            let mut sorted = all;
            sorted.sort();
            sorted.truncate(limit);
            let names = |list: &[Candidate<'_>]| list.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(&top.into_sorted()), names(&sorted));
        }
    }
}
