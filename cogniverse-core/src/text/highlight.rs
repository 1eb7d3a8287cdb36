//! Highlights of query words in documents.

use super::{Analyzer, Language};
use cogniverse_sdk::{Document, FieldName, Highlight};
use std::{collections::HashSet, ops::Range};

/// Returns the byte ranges of the words, for each text field that has any, in order and apart from each other. `words` are terms
/// of a query ([`query_terms`](super::query_terms)), and `language` is the one by which the document is analyzed.
#[must_use]
pub fn highlights(
    document: &Document,
    language: Option<Language>,
    fields: &[FieldName],
    words: &[impl AsRef<str>],
) -> Vec<Highlight> {
    if words.is_empty() {
        return Vec::new();
    }
    let analyzer = Analyzer::of(language);
    let words: HashSet<&str> = words.iter().map(AsRef::as_ref).collect();
    let of_field = |field: &FieldName| {
        let mut ranges = Vec::new();
        analyzer.analyze(document.text(field.as_str()), |range, term| {
            if words.contains(term) {
                ranges.push(range);
            }
        });
        (!ranges.is_empty()).then(|| Highlight::new(field.clone(), joined(ranges)))
    };
    fields.iter().filter_map(of_field).collect()
}

/// Joins ranges that overlap: a joined word and its parts, or neighbours of a run of characters.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
