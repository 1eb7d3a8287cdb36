//! The words of queries, as documents of several languages have them.

use super::{Analyzer, Language};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryWord {
    /// The byte range in the query.
    pub range: Range<usize>,
    /// The distinct terms that documents have the word as: one for most, more where languages differ. A document with one of
    /// them has the word.
    pub terms: Vec<String>,
    /// Whether the word is a part, or the whole, of others of the query.
    pub is_extra: bool,
}

/// Returns the words of a query, each as documents of these languages have it, and those of no known language. Without any
/// language, it is analyzed as documents without one are.
#[must_use]
pub fn query_words(query: &str, languages: impl IntoIterator<Item = Language>) -> Vec<QueryWord> {
    let languages: BTreeSet<Option<Language>> = languages.into_iter().map(Some).chain([None]).collect();
    let mut words: Vec<QueryWord> = Vec::new();
    let mut places = HashMap::<(usize, usize), usize>::new();
    for language in languages {
        Analyzer::of_query(language).tokens(query, |token| {
            let range = token.range();
            let place = *places.entry((token.start, token.end)).or_insert(words.len());
            match words.get_mut(place) {
                Some(word) => {
                    word.is_extra &= token.is_extra;
                    if !word.terms.iter().any(|term| term == token.term) {
                        word.terms.push(token.term.to_owned());
                    }
                }
                None => words.push(QueryWord { range, terms: vec![token.term.to_owned()], is_extra: token.is_extra }),
            }
        });
    }
    words.sort_by_key(|word| (word.range.start, word.range.end));
    words
}

/// Returns the distinct terms of a query for documents of these languages, and those of no known language, in order of their
/// places, each with the number of words that it stands for.
#[must_use]
pub fn query_terms(query: &str, languages: impl IntoIterator<Item = Language>) -> Vec<(String, u32)> {
    let mut terms: Vec<(String, u32)> = Vec::new();
    let mut numbers = HashMap::<String, usize>::new();
    for term in query_words(query, languages).into_iter().flat_map(|word| word.terms) {
        let number = *numbers.entry(term.clone()).or_insert(terms.len());
        match terms.get_mut(number) {
            Some((_, times)) => *times += 1,
            None => terms.push((term, 1)),
        }
    }
    terms
}
