//! Similar words for those of a query that no document has.
//!
//! The dictionaries are sorted, so that the distances to the begin of a term are computed once for all terms that share it. They hold stems:
//! a word is near a term if it is near the stem with one of the endings that the stem may have lost.

use super::{conditions::folded, meter::Meter, prepare::Prepared};
use crate::index::{BlockView, Snapshot};
use cogniverse_core::text::{QueryWord, query_words};
use cogniverse_sdk::{Correction, Result};
use std::collections::{BTreeMap, HashSet};

/// The fewest letters of a word that is corrected at all, and of one that may differ by two edits.
const CORRECTED: usize = 4;
const CORRECTED_TWICE: usize = 8;
/// The largest number of words that stand for one.
const MAX_SIMILAR: usize = 16;
/// Endings that stemming takes off.
const ENDINGS: [&str; 9] = ["", "s", "e", "es", "y", "ed", "er", "ly", "ing"];

/// A word of a query, with the number of edits within which another is similar.
struct Wanted {
    /// As written.
    word: String,
    /// The terms that documents of each language would have it as.
    terms: Vec<String>,
    letters: Vec<char>,
    limit: usize,
}

/// Replaces the words of a query that no document has, and returns the corrections in the order of the query.
pub(crate) fn correct(snapshot: &Snapshot, prepared: &mut Prepared) -> Result<Vec<Correction>> {
    let text = prepared.query.text.clone().unwrap_or_default();
    let mut corrections = Vec::new();
    for wanted in wanted(snapshot, prepared, &text) {
        let similar = similar(snapshot, prepared, &wanted)?;
        if similar.is_empty() {
            continue;
        }
        let is_its = |term: &String| wanted.terms.contains(term);
        let Some(at) = prepared.words.iter().position(|(term, _)| is_its(term)) else { continue };
        let times = prepared.words.get(at).map_or(1, |(_, times)| *times);
        prepared.words.retain(|(term, _)| !is_its(term));
        for term in similar.iter().rev() {
            match prepared.words.iter_mut().find(|(known, _)| known == term) {
                Some((_, known)) => *known += times,
                None => prepared.words.insert(at, (term.clone(), times)),
            }
        }
        corrections.push(Correction::new(wanted.word, similar));
    }
    Ok(corrections)
}

fn wanted(snapshot: &Snapshot, prepared: &Prepared, text: &str) -> Vec<Wanted> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for QueryWord { range, terms, .. } in
        query_words(text, prepared.languages.iter().copied()).into_iter().filter(|word| !word.is_extra)
    {
        let word = text.get(range).unwrap_or_default();
        let letters: Vec<char> = folded(word).chars().collect();
        let limit = match letters.len() {
            0..CORRECTED => continue,
            CORRECTED..CORRECTED_TWICE => 1,
            _ => 2,
        };
        if letters.iter().all(|c| c.is_alphabetic()) && seen.insert(terms.clone()) {
            found.push(Wanted { word: word.to_owned(), terms, letters, limit });
        }
    }
    found.retain(|wanted: &Wanted| !wanted.terms.iter().any(|term| has(snapshot, prepared, term)));
    found
}

/// Returns whether a living document has the term.
fn has(snapshot: &Snapshot, prepared: &Prepared, term: &str) -> bool {
    let fields = prepared.match_fields(snapshot);
    snapshot.blocks().iter().any(|view| {
        let mut indexes = fields.iter().filter_map(|field| view.block.text(*field));
        indexes.any(|index| index.find(term).is_some_and(|postings| is_living(view, postings)))
    })
}

fn is_living(view: &BlockView, postings: crate::index::Postings<'_>) -> bool {
    if view.is_whole() {
        return true;
    }
    let mut living = false;
    postings.for_each_place(|place| living = living || view.is_live(place as usize));
    living
}

/// Returns the nearest terms of living documents, nearest first.
fn similar(snapshot: &Snapshot, prepared: &Prepared, wanted: &Wanted) -> Result<Vec<String>> {
    let (fields, meter) = (prepared.match_fields(snapshot), prepared.meter());
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for view in snapshot.blocks() {
        for index in fields.iter().filter_map(|field| view.block.text(*field)) {
            let mut distances = Distances::new(wanted);
            for number in 0..index.len() {
                let Some(term) = index.term(number) else { continue };
                let Some(distance) = distances.to(term, &meter)? else { continue };
                if found.contains_key(term) || index.postings(number).is_some_and(|list| is_living(view, list)) {
                    let known = found.entry(term.to_owned()).or_insert(distance);
                    *known = distance.min(*known);
                }
            }
        }
    }
    let mut found: Vec<(usize, String)> = found.into_iter().map(|(term, distance)| (distance, term)).collect();
    found.sort_unstable();
    found.truncate(MAX_SIMILAR);
    Ok(found.into_iter().map(|(_, term)| term).collect())
}

/// The distances of a word to terms in sorted order: a row for each letter of the term before. An edit adds, removes or replaces a
/// letter, or swaps two neighbours.
struct Distances<'w> {
    wanted: &'w Wanted,
    letters: Vec<char>,
    /// The distances of each begin of the word to that of the term, by the number of the term's letters.
    rows: Vec<Vec<usize>>,
}

impl<'w> Distances<'w> {
    fn new(wanted: &'w Wanted) -> Self {
        Self { wanted, letters: Vec::new(), rows: vec![(0..=wanted.letters.len()).collect()] }
    }

    /// Returns the distance to a term, if it is within the limit.
    fn to(&mut self, term: &str, meter: &Meter<'_>) -> Result<Option<usize>> {
        let shared = self.letters.iter().zip(term.chars()).take_while(|(a, b)| *a == b).count();
        self.cut(shared);
        for letter in term.chars().skip(shared) {
            if !self.may_reach() {
                return Ok(None);
            }
            meter.spend(self.wanted.letters.len() * 2)?;
            self.push(letter);
        }
        let (stem, mut least) = (self.letters.len(), None);
        let last = self.letters.last().copied();
        if last == Some('i') {
            // "happi" is "happy".
            self.cut(stem - 1);
            self.push('y');
            least = self.within_limit();
            self.cut(stem - 1);
            self.push('i');
        }
        for ending in ENDINGS {
            // "run" and "ing" are "running".
            let doubled = (ending == "ing" || ending == "ed").then_some(last).flatten();
            for between in [None, doubled].into_iter().take(if doubled.is_some() { 2 } else { 1 }) {
                for letter in between.into_iter().chain(ending.chars()) {
                    if self.may_reach() {
                        self.push(letter);
                    }
                }
                let full = stem + ending.len() + between.map_or(0, |_| 1);
                if self.letters.len() == full {
                    least = least.into_iter().chain(self.within_limit()).min();
                }
                self.cut(stem);
            }
        }
        Ok(least)
    }

    /// Returns the distance to what was pushed, if it is within the limit.
    fn within_limit(&self) -> Option<usize> {
        self.rows.last()?.last().copied().filter(|distance| *distance <= self.wanted.limit)
    }

    fn cut(&mut self, letters: usize) {
        self.letters.truncate(letters);
        self.rows.truncate(letters + 1);
    }

    /// Returns whether a longer term may still be within the limit.
    fn may_reach(&self) -> bool {
        let least = |row: &Vec<usize>| row.iter().min().copied().unwrap_or(usize::MAX);
        // Two letters that are swapped go back to the row before.
        self.rows.iter().rev().take(2).map(least).min().is_some_and(|least| least <= self.wanted.limit)
    }

    fn push(&mut self, letter: char) {
        let at = |row: Option<&Vec<usize>>, column: usize| {
            row.and_then(|row| row.get(column)).copied().unwrap_or(usize::MAX / 2)
        };
        let before = self.rows.last();
        let earlier = self.rows.len().checked_sub(2).and_then(|row| self.rows.get(row));
        let mut row = vec![self.letters.len() + 1];
        let mut previous = None;
        for (column, wanted) in (1..).zip(&self.wanted.letters) {
            let replaced = at(before, column - 1) + usize::from(*wanted != letter);
            let mut least = replaced.min(at(before, column) + 1).min(at(Some(&row), column - 1) + 1);
            if previous == Some(letter) && self.letters.last() == Some(wanted) {
                least = least.min(at(earlier, column.saturating_sub(2)) + 1);
            }
            row.push(least);
            previous = Some(*wanted);
        }
        self.letters.push(letter);
        self.rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::meter::Clock;
    use cogniverse_sdk::contract::fixture::{schema_of, strategy};
    use proptest::prelude::*;
    use std::sync::{Arc, atomic::AtomicBool};

    fn wanted(word: &str, limit: usize) -> Wanted {
        Wanted { word: word.to_owned(), terms: vec![word.to_owned()], letters: word.chars().collect(), limit }
    }

    fn clock() -> Clock {
        Clock {
            deadline: None,
            cancelled: Arc::new(AtomicBool::new(false)),
            of: (schema_of("acme"), strategy("bm25_only")),
        }
    }

    /// The definition, without rows that are shared.
    fn plain(a: &[char], b: &[char]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let mut least = (table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                        .min(table[i - 1][j] + 1)
                        .min(table[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        least = least.min(table[i - 2][j - 2] + 1);
                    }
                    least
                };
            }
        }
        table[a.len()][b.len()]
    }

    #[test]
    fn a_word_is_near_the_stem_of_what_was_meant() {
        let clock = clock();
        let meter = Meter::new(&clock);
        for (word, limit, term, distance) in [
            ("liftng", 1, "lift", Some(1)),
            ("runing", 1, "run", Some(0)),
            ("sialing", 1, "sail", Some(1)),
            ("harbor", 1, "harbour", Some(1)),
            ("documnetary", 2, "documentari", Some(1)),
            ("lift", 1, "left", Some(1)),
            ("lift", 1, "loft", Some(1)),
            ("lift", 1, "life", Some(1)),
            ("boat", 1, "beast", None),
        ] {
            let wanted = wanted(word, limit);
            let found = Distances::new(&wanted).to(term, &meter).unwrap();
            assert_eq!(found, distance, "{word} {term}");
        }
    }

    proptest! {
        #[test]
        fn rows_that_are_shared_give_the_distance(word in "[ab]{4,9}", mut terms in prop::collection::vec("[abc]{1,9}", 1..20), limit in 1usize..3) {
            terms.sort_unstable();
            let (clock, wanted) = (clock(), wanted(&word, limit));
            let (meter, mut distances) = (Meter::new(&clock), Distances::new(&wanted));
            for term in terms {
                let last = term.chars().last();
                let with = |ending: &str, doubled: bool| {
                    let between = last.filter(|_| doubled);
                    term.chars().chain(between).chain(ending.chars()).collect::<Vec<char>>()
                };
                let all = ENDINGS.iter().flat_map(|ending| {
                    let doubles = *ending == "ing" || *ending == "ed";
                    [Some(with(ending, false)), doubles.then(|| with(ending, true))].into_iter().flatten().collect::<Vec<_>>()
                });
                let expected = all.map(|letters| plain(&wanted.letters, &letters)).min().filter(|distance| *distance <= limit);
                prop_assert_eq!(distances.to(&term, &meter).unwrap(), expected, "{} {}", word, term);
            }
        }
    }
}
