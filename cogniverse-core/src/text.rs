//! Text analysis, highlights, and validation of texts.

mod analyzer;
mod highlight;

use cogniverse_sdk::{Error, Result};
use std::borrow::Cow;

pub use analyzer::{ANALYZER_VERSION, Analyzer};
pub use highlight::highlights;

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
    Analyzer::new().analyze(query, |_, _| any = true);
    if any {
        return Ok(());
    }
    Err(Error::invalid("there is no word to search by; give a query with at least one letter or digit")
        .with_public_message("The query has no word to search by."))
}
