//! First phases of words alone: sums of BM25 of fields, and the lists of postings that they need.

use super::{
    bm25::Bm25,
    meter::{LOOKUP, Meter},
    prepare::Prepared,
    scorer::Scorer,
    word_list::{Scored, WordList},
};
use crate::index::{BlockView, Snapshot};
use cogniverse_sdk::Result;
use std::ops::Range;

/// A first phase that is a sum of BM25 of fields and of constants, in its order of additions.
#[derive(Debug)]
pub(super) struct WordsPhase<'q> {
    parts: Vec<Part<'q>>,
    /// The sum of all constants.
    pub(super) constant: f64,
    /// Whether no part lowers a score, so that what is summed of one is a bound from below.
    pub(super) grows: bool,
    /// The text fields by whose words documents match.
    match_fields: Vec<usize>,
    words: &'q [(String, u32)],
}

/// A part of the sum, with its weight.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'q> {
    Constant(f64),
    Field(&'q Bm25, f64),
}

impl<'q> WordsPhase<'q> {
    /// Returns the phase of a scorer; `None` where it compares vectors.
    pub(super) fn of(scorer: &'q Scorer<'_>, prepared: &'q Prepared, snapshot: &Snapshot) -> Option<Self> {
        let mut parts = Vec::new();
        flatten(scorer, 1.0, &mut parts)?;
        let constant = parts.iter().map(|part| if let Part::Constant(value) = part { *value } else { 0.0 }).sum();
        let grows = parts.iter().all(|part| match part {
            Part::Constant(by) | Part::Field(_, by) => *by >= 0.0,
        });
        Some(Self { parts, constant, grows, match_fields: prepared.match_fields(snapshot), words: &prepared.words })
    }

    /// Returns the lists of a block: those of each part in the order of the query, then those that only match.
    pub(super) fn lists<'s>(&self, view: &'s BlockView, block: usize, meter: &Meter<'_>) -> Result<Lists<'s, 'q>> {
        let (mut lists, mut of_parts) = (Vec::new(), Vec::with_capacity(self.parts.len()));
        let mut unmatched = self.match_fields.clone();
        for part in &self.parts {
            let start = lists.len();
            if let Part::Field(bm25, weight) = *part
                && let Some(index) = view.block.text(bm25.text())
            {
                let matches = unmatched.contains(&bm25.text());
                unmatched.retain(|field| *field != bm25.text());
                for word in bm25.words() {
                    let Some(postings) = word.term(block).and_then(|term| index.postings(term)) else { continue };
                    let scored = Scored { bm25, idf: word.idf, weight };
                    lists.push(WordList::new(index, postings, (Some(scored), matches)));
                }
            }
            of_parts.push((*part, start..lists.len()));
        }
        for index in unmatched.iter().filter_map(|field| view.block.text(*field)) {
            for (word, _) in self.words {
                meter.spend(LOOKUP)?;
                let Some(postings) = index.find(word) else { continue };
                lists.push(WordList::new(index, postings, (None, true)));
            }
        }
        Ok(Lists { block, lists, of_parts })
    }
}

/// Writes the parts of a scorer in their order, each with its weight.
fn flatten<'q>(scorer: &'q Scorer<'_>, weight: f64, parts: &mut Vec<Part<'q>>) -> Option<()> {
    match scorer {
        Scorer::Constant(value) => parts.push(Part::Constant(weight * value)),
        Scorer::Bm25(bm25) => parts.push(Part::Field(bm25, weight)),
        Scorer::Sum(of) => return of.iter().try_for_each(|part| flatten(part, weight, parts)),
        Scorer::Scaled(factor, part) => return flatten(part, weight * factor, parts),
        Scorer::MaxSim { .. }
        | Scorer::HammingMaxSim { .. }
        | Scorer::FloatBits { .. }
        | Scorer::Closeness { .. }
        | Scorer::HammingCloseness { .. } => return None,
    }
    Some(())
}

/// The lists of a block.
#[derive(Debug)]
pub(super) struct Lists<'s, 'q> {
    /// The index of the block in the snapshot.
    pub(super) block: usize,
    pub(super) lists: Vec<WordList<'s, 'q>>,
    /// The parts of the score in order, each with the lists that it sums in order.
    pub(super) of_parts: Vec<(Part<'q>, Range<usize>)>,
}
