//! Page cursors. Each carries the listing it belongs to, and is refused by any other (invariant 8).

use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ListConfig};
use cogniverse_sdk::{Error, Result};

/// One listing: what was asked for, without how far it got.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Listing {
    /// Newest versions.
    List { owner: ConfigOwner, scope: Option<ConfigScope>, service: Option<String> },
    /// All versions.
    Export { owner: ConfigOwner },
}

impl Listing {
    pub(super) fn of(list: &ListConfig) -> Self {
        Self::List { owner: list.owner.clone(), scope: list.scope, service: list.service.clone() }
    }
}

/// The last entry of a page. The default stands before every entry, as no scope is empty.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    pub(super) scope: String,
    pub(super) service: String,
    pub(super) key: String,
    pub(super) version: u64,
}

impl Position {
    pub(super) fn of(entry: &ConfigEntry) -> Self {
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
pub(super) fn encode(listing: &Listing, last: &ConfigEntry) -> Result<String> {
    let cursor = Cursor { listing: listing.clone(), at: Position::of(last) };
    serde_json::to_string(&cursor).map_err(|e| Error::unexpected("a page cursor could not be written").with_source(e))
}

/// Where a page starts: at the front without a cursor.
pub(super) fn decode(listing: &Listing, after: Option<&str>) -> Result<Position> {
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
pub(super) fn cut(listing: &Listing, entries: &mut Vec<ConfigEntry>, limit: usize) -> Result<Option<String>> {
    if entries.len() <= limit {
        return Ok(None);
    }
    entries.truncate(limit);
    entries.last().map(|last| encode(listing, last)).transpose()
}
