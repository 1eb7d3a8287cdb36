//! A value, and which version of it this is.

use cogniverse_sdk::Timestamp;
use cogniverse_sdk::config_store::ConfigOrigin;

/// Where a value comes from (invariant 20).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A template of this name.
    Template(String),
    /// Somebody set it.
    Set,
    /// An older version was put back.
    Rollback {
        /// Which.
        of: u64,
    },
}

impl Source {
    /// A stored version's source; none for a deletion.
    pub(crate) fn of(origin: &ConfigOrigin) -> Option<Self> {
        match origin {
            ConfigOrigin::Template(name) => Some(Self::Template(name.clone())),
            ConfigOrigin::Rollback(of) => Some(Self::Rollback { of: *of }),
            ConfigOrigin::Deleted => None,
            _ => Some(Self::Set),
        }
    }
}

/// A value, and which version of it this is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version, for a compare-and-set; 0 where nobody set it.
    pub version: u64,
    /// Where it comes from.
    pub source: Source,
    /// When it was set; none where nobody did.
    pub created_at: Option<Timestamp>,
}

impl<T> Versioned<T> {
    /// A value that nobody set.
    pub(crate) fn default_value(value: T) -> Self {
        Self { value, version: 0, source: Source::Default, created_at: None }
    }

    /// Whether somebody set it.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.source != Source::Default
    }
}

/// What a version of a history holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Recorded<T> {
    /// A value.
    Value(T),
    /// Nothing: the value was deleted.
    Deleted,
    /// Something that this release does not accept, and why. It cannot be rolled back to.
    Unreadable(String),
}

/// One version of a history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryEntry<T> {
    /// Its number.
    pub version: u64,
    /// What it holds.
    pub recorded: Recorded<T>,
    /// Where it came from.
    pub origin: ConfigOrigin,
    /// When.
    pub created_at: Timestamp,
}

/// A page of a history, newest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryPage<T> {
    /// The versions.
    pub entries: Vec<HistoryEntry<T>>,
    /// Give this as `before` for the next page; none at the end.
    pub next: Option<u64>,
}

impl<T> HistoryPage<T> {
    pub(crate) fn new(entries: Vec<HistoryEntry<T>>, next: Option<u64>) -> Self {
        Self { entries, next }
    }
}
