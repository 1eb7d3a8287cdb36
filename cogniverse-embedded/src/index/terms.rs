//! Terms of documents.

use crate::layout::Layout;
use cogniverse_core::text::Analyzer;
use cogniverse_sdk::document::Fields;
use std::collections::BTreeMap;

/// The terms of one document, by text field of the layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DocumentTerms {
    /// The number of words and the count of each term, by text field.
    pub(crate) fields: Vec<FieldTerms>,
}

/// The terms of one field of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldTerms {
    pub(crate) length: u32,
    pub(crate) counts: Vec<(Box<str>, u32)>,
}

impl DocumentTerms {
    /// Analyzes the texts of a document by its language.
    pub(crate) fn of(fields: &Fields, layout: &Layout) -> Self {
        let analyzer = Analyzer::of(layout.language_of(fields));
        let of_field = |name| {
            let text = fields.get(name).and_then(|value| value.as_str()).unwrap_or_default();
            let mut counts = BTreeMap::<Box<str>, u32>::new();
            let mut length = 0;
            analyzer.tokens(text, |token| {
                // Parts and other spellings of a word make a text no longer.
                length += u32::from(!token.is_extra);
                match counts.get_mut(token.term) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(token.term.into(), 1)),
                }
            });
            FieldTerms { length, counts: counts.into_iter().collect() }
        };
        Self { fields: layout.texts.iter().map(of_field).collect() }
    }
}
