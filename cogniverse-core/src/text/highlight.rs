//! Where a query's words stand in a document.

use super::Analyzer;
use cogniverse_sdk::{Document, FieldName, Highlight};

/// The byte ranges of the words in each text field that has any. `words` are terms of an [`Analyzer`].
#[must_use]
pub fn highlights(document: &Document, fields: &[FieldName], words: &[impl AsRef<str>]) -> Vec<Highlight> {
    if words.is_empty() {
        return Vec::new();
    }
    let analyzer = Analyzer::new();
    let of_field = |field: &FieldName| {
        let mut ranges = Vec::new();
        analyzer.analyze(document.text(field.as_str()), |range, term| {
            if words.iter().any(|word| word.as_ref() == term) {
                ranges.push(range);
            }
        });
        (!ranges.is_empty()).then(|| Highlight::new(field.clone(), ranges))
    };
    fields.iter().filter_map(of_field).collect()
}
