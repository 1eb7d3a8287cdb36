//! Highlights of query words in documents.

use super::Analyzer;
use cogniverse_sdk::{Document, FieldName, Highlight};
use std::collections::HashSet;

/// Returns the byte ranges of the words, for each text field that has any. `words` are terms of an [`Analyzer`].
#[must_use]
pub fn highlights(document: &Document, fields: &[FieldName], words: &[impl AsRef<str>]) -> Vec<Highlight> {
    if words.is_empty() {
        return Vec::new();
    }
    let analyzer = Analyzer::new();
    let words: HashSet<&str> = words.iter().map(AsRef::as_ref).collect();
    let of_field = |field: &FieldName| {
        let mut ranges = Vec::new();
        analyzer.analyze(document.text(field.as_str()), |range, term| {
            if words.contains(term) {
                ranges.push(range);
            }
        });
        (!ranges.is_empty()).then(|| Highlight::new(field.clone(), ranges))
    };
    fields.iter().filter_map(of_field).collect()
}
