//! The postings of one word of a query in one field of a block, read window by window.

use super::bm25::{Bm25, of_word};
use crate::index::{Decoded, Postings, RUN, TermIndex};
use std::ops::Range;

/// The number of documents of a window.
pub(super) const WINDOW: u32 = 2048;
/// The number of words in a bitmap of a window.
pub(super) const WORDS: usize = WINDOW as usize / 64;

/// A value of each document of a window.
pub(super) type Values<T> = [T; WINDOW as usize];

/// How the postings of a list add to scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored<'q> {
    pub(super) bm25: &'q Bm25,
    pub(super) idf: f64,
    pub(super) weight: f64,
}

impl Scored<'_> {
    #[inline]
    fn value(&self, count: u32, length: u32) -> f64 {
        self.weight * of_word(self.idf, count, self.bm25.norm(length))
    }
}

/// The postings of one word in one field of a block. Windows are asked for in ascending order.
#[derive(Debug)]
pub(super) struct WordList<'s, 'q> {
    index: TermIndex<'s>,
    postings: Postings<'s>,
    pub(super) scored: Option<Scored<'q>>,
    /// Whether the documents of the list match the query.
    pub(super) matches: bool,
    /// The first run that may reach into the window.
    run: usize,
    /// The run that was read last for the window, and that for single documents.
    scan: Box<Decoded>,
    seek: Box<Decoded>,
    /// The greatest value among the postings after the last full run, once it is known.
    rest: Option<f64>,
    /// No document of the window gets more from the list.
    pub(super) bound: f64,
    /// About the number of postings in the window.
    pub(super) len: usize,
}

impl<'s, 'q> WordList<'s, 'q> {
    pub(super) fn new(
        index: TermIndex<'s>,
        postings: Postings<'s>,
        (scored, matches): (Option<Scored<'q>>, bool),
    ) -> Self {
        let (scan, seek) = Default::default();
        Self { index, postings, scored, matches, run: 0, scan, seek, rest: None, bound: 0.0, len: 0 }
    }

    /// Goes to a window and bounds what the list adds there.
    pub(super) fn enter(&mut self, window: &Range<u32>) {
        let count = self.postings.run_count();
        while self.run < count && self.postings.last_place(self.run) < window.start {
            self.run += 1;
        }
        let runs = self.runs(window);
        // Of a run that reaches into several windows, a part is in this one. All of it is decoded.
        (self.bound, self.len) = (0.0, runs.len() * RUN);
        for run in runs {
            let bound = match (self.postings.run(run), self.scored) {
                (_, None) => 0.0,
                (Some(run), Some(scored)) => scored.value(run.greatest, run.least_length),
                (None, Some(scored)) => self.greatest_of_rest(run, scored),
            };
            self.bound = self.bound.max(bound);
        }
    }

    fn greatest_of_rest(&mut self, run: usize, scored: Scored<'_>) -> f64 {
        if let Some(greatest) = self.rest {
            return greatest;
        }
        self.postings.decode(run, true, &mut self.seek);
        let lengths = self.index.lengths();
        let length = |place: &u32| lengths.get(*place as usize).unwrap_or(0);
        let values =
            self.seek.places().iter().zip(self.seek.counts()).map(|(at, count)| scored.value(*count, length(at)));
        *self.rest.insert(values.fold(0.0, f64::max))
    }

    /// Marks the documents of the window, if the list's match.
    pub(super) fn mark(&mut self, window: &Range<u32>, marks: &mut Values<u8>) {
        if self.matches {
            for run in self.runs(window) {
                self.postings.decode(run, false, &mut self.scan);
                set(places_in(&self.scan, window).0, window, marks);
            }
        }
    }

    /// Marks the documents of the window, if the list's match, and adds their values to `sums`.
    pub(super) fn sum(&mut self, window: &Range<u32>, marks: &mut Values<u8>, sums: &mut Values<f64>) {
        let Some(scored) = self.scored else { return };
        let lengths = self.index.lengths();
        for run in self.runs(window) {
            self.postings.decode(run, true, &mut self.scan);
            let (places, counts) = places_in(&self.scan, window);
            if self.matches {
                set(places, window, marks);
            }
            // In steps of their own, so that several numbers are divided at a time.
            let mut values = [0.0; RUN];
            for (value, place) in values.iter_mut().zip(places) {
                *value = scored.bm25.norm(lengths.get(*place as usize).unwrap_or(0));
            }
            for (value, count) in values.iter_mut().zip(counts) {
                *value = scored.weight * of_word(scored.idf, *count, *value);
            }
            for (place, value) in places.iter().zip(values) {
                if let Some(sum) = sums.get_mut(place.wrapping_sub(window.start) as usize) {
                    *sum += value;
                }
            }
        }
    }

    /// Returns the runs of which postings may lie in the window that was entered.
    fn runs(&self, window: &Range<u32>) -> Range<usize> {
        let count = self.postings.run_count();
        let mut end = self.run;
        // A run begins after the last place of that before.
        while end < count && (end == self.run || self.postings.last_place(end - 1) < window.end - 1) {
            end += 1;
        }
        self.run..end
    }

    /// Returns what the list adds to a document of the window; `None` where it lacks the word.
    pub(super) fn value(&mut self, place: u32) -> Option<f64> {
        let scored = self.scored?;
        let (count, mut run) = (self.postings.run_count(), self.run);
        while run < count && self.postings.last_place(run) < place {
            run += 1;
        }
        if run == count {
            return None;
        }
        self.postings.decode(run, true, &mut self.seek);
        let at = self.seek.places().binary_search(&place).ok()?;
        let count = self.seek.counts().get(at)?;
        Some(scored.value(*count, self.index.lengths().get(place as usize).unwrap_or(0)))
    }
}

/// Returns the decoded postings that lie in a window.
#[inline]
fn places_in<'d>(decoded: &'d Decoded, window: &Range<u32>) -> (&'d [u32], &'d [u32]) {
    let (places, counts) = (decoded.places(), decoded.counts());
    let from = match places.first() {
        Some(first) if *first < window.start => places.partition_point(|place| *place < window.start),
        _ => 0,
    };
    let to = match places.last() {
        Some(last) if *last >= window.end => places.partition_point(|place| *place < window.end),
        _ => places.len(),
    };
    (places.get(from..to).unwrap_or_default(), counts.get(from..to).unwrap_or_default())
}

#[inline]
fn set(places: &[u32], window: &Range<u32>, marks: &mut Values<u8>) {
    for place in places {
        if let Some(mark) = marks.get_mut(place.wrapping_sub(window.start) as usize) {
            *mark = 1;
        }
    }
}
