//! Values with their versions.

use cogniverse_sdk::Timestamp;
use cogniverse_sdk::config_store::ConfigOrigin;

/// The source of a value ([invariant 20](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#20)).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The default, as no value is set.
    Default,
    /// The named template.
    Template(String),
    /// A caller that set it.
    Set,
    /// A rollback to an older version.
    Rollback {
        /// The older version.
        of: u64,
    },
}

impl Source {
    /// Returns the source of a stored version; `None` for a deletion.
    pub(crate) fn of(origin: &ConfigOrigin) -> Option<Self> {
        match origin {
            ConfigOrigin::Template(name) => Some(Self::Template(name.clone())),
            ConfigOrigin::Rollback(of) => Some(Self::Rollback { of: *of }),
            ConfigOrigin::Deleted => None,
            _ => Some(Self::Set),
        }
    }
}

/// A value with its version and source.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The version, for compare-and-set; 0 where no value is set.
    pub version: u64,
    /// The source of the value.
    pub source: Source,
    /// The time of the write; `None` where no value is set.
    pub created_at: Option<Timestamp>,
}

impl<T> Versioned<T> {
    /// Wraps a default value.
    pub(crate) fn default_value(value: T) -> Self {
        Self { value, version: 0, source: Source::Default, created_at: None }
    }

    /// Returns whether a value is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.source != Source::Default
    }
}

/// The content of a version in a history.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recorded<T> {
    /// A value.
    Value(T),
    /// A deletion.
    Deleted,
    /// A value that this release does not accept, with the reason. It cannot be rolled back to.
    Unreadable(String),
}

/// One version of a history.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry<T> {
    /// The version number.
    pub version: u64,
    /// The content.
    pub recorded: Recorded<T>,
    /// The way the version came about.
    pub origin: ConfigOrigin,
    /// The time of the write.
    pub created_at: Timestamp,
}

/// One page of a history, newest first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct HistoryPage<T> {
    /// The versions.
    pub entries: Vec<HistoryEntry<T>>,
    /// The `before` of the next page; `None` at the end.
    pub next: Option<u64>,
}

impl<T> HistoryPage<T> {
    pub(crate) fn new(entries: Vec<HistoryEntry<T>>, next: Option<u64>) -> Self {
        Self { entries, next }
    }
}
