//! Conditions on the words of documents, and corrections of query words.

use serde::{Deserialize, Serialize};

/// A condition on the words of a document's text fields: those of the schema's default field set.
///
/// It restricts the match as a filter does, for every strategy, and adds nothing to scores. Its text is analysed as query text is, and is
/// never query syntax ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WordCondition {
    /// One text field contains these words one directly after the other.
    Phrase(String),
    /// No text field contains the word; of several words, none contains them one directly after the other.
    Without(String),
    /// One text field contains a word that begins with this one.
    Prefix(String),
}

impl WordCondition {
    /// Returns the text of the condition.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Phrase(text) | Self::Without(text) | Self::Prefix(text) => text,
        }
    }
}

/// A query word that no document has, and the words that were searched for instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Correction {
    /// The word of the query, as written.
    pub word: String,
    /// The terms of the schema's documents that stand for it, in order. A term is a word as the analyzer stores it: folded and
    /// without its ending.
    pub replaced_by: Vec<String>,
}

impl Correction {
    /// Creates a correction; for backends.
    #[must_use]
    pub fn new(word: impl Into<String>, replaced_by: Vec<String>) -> Self {
        Self { word: word.into(), replaced_by }
    }
}
