//! BM25 of one text field.
//!
//! `sum over words of idf * count * (k1 + 1) / (count + k1 * (1 - b + b * length / average))` with `idf = ln(1 + (N -
//! n + 0.5) / (n + 0.5))`, k1 = 1.2, b = 0.75 (Robertson and Zaragoza, 2009; Vespa's defaults). N is the number of
//! the tenant's living documents, n of those with the word in the field, and `average` the words of the field over N.
//! All are exact after every write, so that a score depends neither on deleted documents nor on other tenants.

use super::meter::{LOOKUP, Meter, POSTING};
use crate::index::{BlockView, Snapshot};
use cogniverse_sdk::Result;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// The number of words up to which the norms of documents are computed once a search.
const NORMS: u32 = 512;

/// The words of a query, prepared for one field.
#[derive(Debug)]
pub(crate) struct Bm25 {
    text: usize,
    average: f64,
    words: Vec<Word>,
    /// The norm of a document by its number of words.
    norms: Vec<f64>,
}

/// A word of a query in one field.
#[derive(Debug)]
pub(super) struct Word {
    word: String,
    /// The idf times the count in the query.
    pub(super) idf: f64,
    /// The number of the term in each block of the snapshot.
    terms: Vec<Option<usize>>,
}

impl Word {
    /// Returns the number of the term in a block of the snapshot; `None` where no document of it has the word.
    pub(super) fn term(&self, block: usize) -> Option<usize> {
        self.terms.get(block).copied().flatten()
    }
}

impl Bm25 {
    /// Counts the documents of each word.
    #[expect(clippy::cast_precision_loss, reason = "counts of documents and words below 2^53")]
    pub(crate) fn prepare(
        snapshot: &Snapshot,
        text: usize,
        query: &[(String, u32)],
        meter: &Meter<'_>,
    ) -> Result<Self> {
        let total = snapshot.len() as f64;
        // Where no document has a word in the field, no posting asks for the average.
        let average = (snapshot.words(text) as f64 / total.max(1.0)).max(f64::MIN_POSITIVE);
        let mut words = Vec::with_capacity(query.len());
        for (word, times) in query {
            let (mut having, mut terms) = (0, Vec::with_capacity(snapshot.blocks().len()));
            for view in snapshot.blocks() {
                meter.spend(LOOKUP)?;
                let index = view.block.text(text);
                let term = index.and_then(|index| index.number(word));
                terms.push(term);
                let Some(postings) = index.zip(term).and_then(|(index, term)| index.postings(term)) else { continue };
                if view.is_whole() {
                    having += postings.len();
                } else {
                    meter.spend(postings.len())?;
                    postings.for_each_place(|place| having += usize::from(view.is_live(place as usize)));
                }
            }
            let having = having as f64;
            let idf = (1.0 + (total - having + 0.5) / (having + 0.5)).ln();
            words.push(Word { word: word.clone(), idf: idf * f64::from(*times), terms });
        }
        let norms = (0..NORMS).map(|length| norm(length, average)).collect();
        Ok(Self { text, average, words, norms })
    }

    /// Returns the index of the text field in the layout.
    pub(super) fn text(&self) -> usize {
        self.text
    }

    /// Returns the words in the order of the query.
    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// Returns the part of the score that depends on the number of words of a document.
    #[inline]
    pub(super) fn norm(&self, length: u32) -> f64 {
        self.norms.get(length as usize).copied().unwrap_or_else(|| norm(length, self.average))
    }

    /// Adds `weight` times the score of each document from a place on to `scores`.
    pub(crate) fn add(
        &self,
        (view, meter): (&BlockView, &Meter<'_>),
        weight: f64,
        first: u32,
        scores: &mut [f64],
    ) -> Result<()> {
        let Some(index) = view.block.text(self.text) else { return Ok(()) };
        let end = first.saturating_add(u32::try_from(scores.len()).unwrap_or(u32::MAX));
        let lengths = index.lengths();
        for Word { word, idf, .. } in &self.words {
            meter.spend(LOOKUP)?;
            let Some(postings) = index.find(word) else { continue };
            meter.spend(postings.len_in(&(first..end)) * POSTING)?;
            postings.for_each_in(first..end, |place, count| {
                let norm = self.norm(lengths.get(place as usize).unwrap_or(0));
                if let Some(score) = scores.get_mut((place - first) as usize) {
                    *score += weight * of_word(*idf, count, norm);
                }
            });
        }
        Ok(())
    }
}

/// Returns what a word adds to the score of a document.
#[inline]
pub(super) fn of_word(idf: f64, count: u32, norm: f64) -> f64 {
    let count = f64::from(count);
    idf * count * (K1 + 1.0) / (count + norm)
}

#[inline]
fn norm(length: u32, average: f64) -> f64 {
    K1 * (1.0 - B + B * f64::from(length) / average)
}
