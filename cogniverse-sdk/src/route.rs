//! Routes of queries: the form of the answer, and the path that decided.

use crate::{Error, Result, id::string_id};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

string_id! {
    /// The id of one search: 1 to 64 hexadecimal digits. Verdicts on its results name it.
    SearchId, hexadecimal
}

fn hexadecimal(text: &str) -> Result<(), &'static str> {
    if !(1..=64).contains(&text.len()) {
        return Err("it is not 1 to 64 characters long");
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) { Ok(()) } else { Err("it has a character outside [0-9a-fA-F]") }
}

/// The form of the answer that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Generation {
    /// The results themselves.
    #[default]
    RawResults,
    /// A short text with citations.
    Summary,
    /// A long text with citations.
    Report,
}

impl Generation {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::RawResults, Self::Summary, Self::Report];

    /// Returns the name, such as `"raw_results"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RawResults => "raw_results",
            Self::Summary => "summary",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Generation {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
        found.ok_or_else(|| Error::invalid(Error::unknown("generation", text, Self::ALL).message().to_owned()))
    }
}

/// The path that decided a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RouteTier {
    /// The local classifier.
    FastPath,
    /// The tenant's language model.
    SlowPath,
    /// The lists of words.
    Keyword,
    /// A vote of every enabled path.
    Ensemble,
    /// A vote, because the fast path was not sure.
    Hybrid,
}

impl RouteTier {
    /// Returns the name, such as `"fast_path"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FastPath => "fast_path",
            Self::SlowPath => "slow_path",
            Self::Keyword => "keyword",
            Self::Ensemble => "ensemble",
            Self::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for RouteTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
