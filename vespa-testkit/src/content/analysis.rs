//! The analysis of a type's texts and of a search's words, as the embedded backend does it.

use super::{
    sd::Schema,
    store::{Documents, Stored},
    value::Value,
};
use cogniverse_core::text::{Analyzer, LANGUAGE_FIELD, Language, QueryWord, query_terms, query_words};
use std::collections::BTreeSet;

/// The analysis of one type's documents, and of what a search asks of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Analysis {
    /// Whether documents set their language.
    set: bool,
    /// The languages in which words are looked for, beside none.
    languages: BTreeSet<Language>,
}

impl Analysis {
    /// The analysis for a search in a language, or in all that documents have.
    pub(crate) fn of(schema: &Schema, documents: &Documents, asked: Option<&str>) -> Self {
        let sets = |script: &str| script.split('|').any(|step| step.trim() == "set_language");
        let set = schema.field(LANGUAGE_FIELD).is_some_and(|field| sets(&field.script));
        let mut found = Self { set, languages: BTreeSet::new() };
        found.languages = match asked.and_then(Language::of) {
            Some(language) => [language].into(),
            None => documents.iter().filter_map(|(_, stored)| found.language(stored)).collect(),
        };
        found
    }

    fn language(&self, stored: &Stored) -> Option<Language> {
        match stored.fields.get(LANGUAGE_FIELD).filter(|_| self.set) {
            Some(Value::Text(text)) => Language::of(text),
            _ => None,
        }
    }

    /// The analyzer of a document's texts.
    pub(crate) fn analyzer(&self, stored: &Stored) -> Analyzer {
        Analyzer::of(self.language(stored))
    }

    /// The words of a query, without those that only say another way what others do.
    pub(crate) fn words(&self, text: &str) -> Vec<QueryWord> {
        let mut words = query_words(text, self.languages.iter().copied());
        words.retain(|word| !word.is_extra);
        words
    }

    /// All terms of a query.
    pub(crate) fn terms(&self, text: &str) -> Vec<String> {
        query_terms(text, self.languages.iter().copied()).into_iter().map(|(term, _)| term).collect()
    }
}
