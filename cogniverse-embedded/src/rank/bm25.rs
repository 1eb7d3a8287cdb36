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

/// The words of a query, prepared for one field.
#[derive(Debug)]
pub(crate) struct Bm25 {
    text: usize,
    average: f64,
    /// Each word with its idf times its count in the query.
    words: Vec<(String, f64)>,
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
            let mut having = 0;
            for view in snapshot.blocks() {
                meter.spend(LOOKUP)?;
                let Some(postings) = view.block.text(text).and_then(|index| index.find(word)) else { continue };
                meter.spend(postings.len())?;
                if view.is_whole() {
                    having += postings.len();
                } else {
                    postings.for_each_place(|place| having += usize::from(view.is_live(place as usize)));
                }
            }
            let having = having as f64;
            let idf = (1.0 + (total - having + 0.5) / (having + 0.5)).ln();
            words.push((word.clone(), idf * f64::from(*times)));
        }
        Ok(Self { text, average, words })
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
        for (word, idf) in &self.words {
            meter.spend(LOOKUP)?;
            let Some(postings) = index.find(word) else { continue };
            meter.spend(postings.len_in(&(first..end)) * POSTING)?;
            postings.for_each_in(first..end, |place, count| {
                let count = f64::from(count);
                let length = f64::from(lengths.get(place as usize).unwrap_or(0));
                let norm = K1 * (1.0 - B + B * length / self.average);
                if let Some(score) = scores.get_mut((place - first) as usize) {
                    *score += weight * (idf * count * (K1 + 1.0) / (count + norm));
                }
            });
        }
        Ok(())
    }
}
