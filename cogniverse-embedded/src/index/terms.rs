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
    pub(crate) fn of(fields: &Fields, layout: &Layout, analyzer: &Analyzer) -> Self {
        let of_field = |name| {
            let text = fields.get(name).and_then(|value| value.as_str()).unwrap_or_default();
            let mut counts = BTreeMap::<Box<str>, u32>::new();
            let mut length = 0;
            analyzer.analyze(text, |_, term| {
                length += 1;
                *counts.entry(term.into()).or_default() += 1;
            });
            FieldTerms { length, counts: counts.into_iter().collect() }
        };
        Self { fields: layout.texts.iter().map(of_field).collect() }
    }
}
