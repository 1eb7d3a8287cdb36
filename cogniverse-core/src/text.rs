//! Text analysis, highlights, and validation of texts.

//!
//! | file | content |
//! |---|---|
//! | `language` | languages, by their codes |
//! | `words`, `script`, `numbers` | where words begin and end, what joins them, and what they are written in |
//! | `fold`, `han`, `stems`, `arabic`, `hindi` | one form for spellings, scripts and endings of a word |
//! | `analyzer`, `query` | terms of documents, and of queries for documents of several languages |
//! | `highlight` | what of a document a query's terms mark |

mod analyzer;
mod arabic;
mod fold;
mod han;
mod highlight;
mod hindi;
mod language;
mod numbers;
mod query;
mod script;
mod stems;
#[cfg(test)]
mod tests;
mod words;

use cogniverse_sdk::{Error, Result, document::Fields};
use std::borrow::Cow;

pub use analyzer::{ANALYZER_VERSION, Analyzer, Token};
pub use highlight::highlights;
pub use language::Language;
pub use query::{QueryWord, query_terms, query_words};

/// The field by whose language the other text fields of a document are analyzed, where the schema has it as a string attribute.
pub const LANGUAGE_FIELD: &str = "language";

/// Returns the language that a document names in [`LANGUAGE_FIELD`]; `None` without one, or with what is no language.
#[must_use]
pub fn language_of(fields: &Fields) -> Option<Language> {
    let own = fields.iter().find(|(name, _)| name.as_str() == LANGUAGE_FIELD);
    own.and_then(|(_, value)| value.as_str()).and_then(Language::of)
}

/// Returns whether a text may contain the character on every backend: Vespa refuses documents with control characters
/// other than tab and line ends, and with Unicode noncharacters.
#[must_use]
pub fn is_text(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\0'..='\u{1f}' | '\u{fdd0}'..='\u{fdef}' => false,
        _ => u32::from(c) & 0xFFFE != 0xFFFE,
    }
}

/// Replaces each character that no document may contain by a blank.
#[must_use]
pub fn cleaned(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_text(c) { c } else { ' ' }).collect())
}

/// Refuses a text with a character that no document may contain.
///
/// # Errors
/// `InvalidInput` that names the character and its position.
pub fn check_text(text: &str) -> Result<()> {
    match text.char_indices().find(|(_, c)| !is_text(*c)) {
        None => Ok(()),
        Some((place, c)) => Err(Error::invalid(format!(
            "the text has the character U+{:04X} at byte {place}, which documents cannot hold; remove it",
            u32::from(c)
        ))),
    }
}

/// Refuses a query without words: empty, white space or punctuation. There are no stop words: "the" counts.
///
/// # Errors
/// `InvalidInput` that names the query.
pub fn check_words(query: &str) -> Result<()> {
    let mut any = false;
    Analyzer::of_query(None).analyze(query, |_, _| any = true);
    if any {
        return Ok(());
    }
    Err(Error::invalid("there is no word to search by; give a query with at least one letter or digit")
        .with_public_message("The query has no word to search by."))
}
