//! Page cursors. Each carries the listing it belongs to, and is refused by any other (invariant 8).

use super::{ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ListConfig};
use crate::{Error, Result};

/// One listing: what was asked for, without how far it got.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Listing {
    /// Newest versions.
    List {
        /// Whose.
        owner: ConfigOwner,
        /// About what; none for all.
        scope: Option<ConfigScope>,
        /// Which part; none for all.
        service: Option<String>,
    },
    /// All versions.
    Export {
        /// Whose.
        owner: ConfigOwner,
    },
}

impl Listing {
    /// What a request asks for.
    #[must_use]
    pub fn of(list: &ListConfig) -> Self {
        Self::List { owner: list.owner.clone(), scope: list.scope, service: list.service.clone() }
    }
}

/// The last entry of a page. The default stands before every entry, as no scope is empty.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The scope's text.
    pub scope: String,
    /// The service.
    pub service: String,
    /// The key.
    pub key: String,
    /// The version.
    pub version: u64,
}

impl Position {
    /// Of an entry.
    #[must_use]
    pub fn of(entry: &ConfigEntry) -> Self {
        let ConfigKey { scope, service, key, .. } = &entry.key;
        let (service, key) = (service.clone(), key.clone());
        Self { scope: scope.as_str().to_owned(), service, key, version: entry.version }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    listing: Listing,
    at: Position,
}

/// The cursor of the page after `last`.
///
/// # Errors
/// `Unexpected` where it cannot be written.
pub fn encode(listing: &Listing, last: &ConfigEntry) -> Result<String> {
    let cursor = Cursor { listing: listing.clone(), at: Position::of(last) };
    serde_json::to_string(&cursor).map_err(|e| Error::unexpected("a page cursor could not be written").with_source(e))
}

/// Where a page starts: at the front without a cursor.
///
/// # Errors
/// `InvalidInput` for another listing's cursor, or none.
pub fn decode(listing: &Listing, after: Option<&str>) -> Result<Position> {
    let Some(text) = after else { return Ok(Position::default()) };
    let cursor: Cursor = serde_json::from_str(text).map_err(|e| {
        Error::invalid("this is not a page cursor; give back the `next` of the page before").with_source(e)
    })?;
    if cursor.listing != *listing {
        return Err(Error::invalid("this page cursor belongs to another listing; start again without a cursor"));
    }
    Ok(cursor.at)
}

/// Cuts a page that was read with one entry too many, and says where the next one starts.
///
/// # Errors
/// As [`encode`].
pub fn cut(listing: &Listing, entries: &mut Vec<ConfigEntry>, limit: usize) -> Result<Option<String>> {
    if entries.len() <= limit {
        return Ok(None);
    }
    entries.truncate(limit);
    entries.last().map(|last| encode(listing, last)).transpose()
}
