//! From text to terms: words by Unicode's rules, folded, stemmed by Snowball's English rules.
//!
//! The same code reads documents, queries and highlights, so that what matches is what is marked.

use rust_stemmers::{Algorithm, Stemmer};
use std::{borrow::Cow, ops::Range};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

/// Changes whenever the terms of some text change: stored terms of another version are derived anew on open.
pub const ANALYZER_VERSION: &str = "uax29-nfkd-snowball-english-1";

/// Turns text into terms. Cheap to make; holds no state between texts.
pub struct Analyzer {
    stemmer: Stemmer,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").finish_non_exhaustive()
    }
}

impl Default for Analyzer {
    fn default() -> Self {
        Self::new()
    }
}

impl Analyzer {
    /// English rules.
    #[must_use]
    pub fn new() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English) }
    }

    /// Calls `each` with every word's byte range and term, in order.
    pub fn analyze(&self, text: &str, mut each: impl FnMut(Range<usize>, &str)) {
        for (start, word) in text.unicode_word_indices() {
            let folded = fold(word);
            each(start..start + word.len(), &self.stemmer.stem(&folded));
        }
    }

    /// The terms of a text in order, with repeats.
    #[must_use]
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.analyze(text, |_, term| terms.push(term.to_owned()));
        terms
    }
}

/// Lower case without accents; full-width and other compatibility forms become the plain ones.
fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return if word.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(word.to_ascii_lowercase())
        } else {
            Cow::Borrowed(word)
        };
    }
    Cow::Owned(word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).map(straight).collect())
}

fn straight(c: char) -> char {
    if c == '\u{2019}' { '\'' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_stemmed() {
        let analyzer = Analyzer::new();
        assert_eq!(
            analyzer.terms("The Runner's cafés RUNNING, (lifting) 3.5"),
            ["the", "runner", "cafe", "run", "lift", "3.5"]
        );
        assert_eq!(analyzer.terms(""), Vec::<String>::new());
        assert_eq!(analyzer.terms("東京 video"), ["東", "京", "video"]);
        assert_eq!(analyzer.terms("don\u{2019}t"), analyzer.terms("don't"));
    }

    #[test]
    fn invariant_21_query_syntax_is_only_words() {
        let analyzer = Analyzer::new();
        assert_eq!(analyzer.terms("\" OR 1=1; DROP TABLE -- title:(x)"), ["or", "1", "1", "drop", "tabl", "titl", "x"]);
    }
}
