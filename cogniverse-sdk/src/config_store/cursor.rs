//! Pages of configuration listings: the listing that a cursor belongs to, and the position where a page ends.

use super::{ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ListConfig};
use crate::{Listing, PageCursor, Result};

/// A listing that a cursor belongs to: its parameters, without a position.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConfigListing {
    /// The newest version of each value.
    List {
        /// The owner of the values.
        owner: ConfigOwner,
        /// The scope to list; `None` lists all scopes.
        scope: Option<ConfigScope>,
        /// The service to list; `None` lists all services.
        service: Option<String>,
    },
    /// Every version of every value.
    Export {
        /// The owner of the values.
        owner: ConfigOwner,
    },
}

impl ConfigListing {
    /// Returns the listing that a request describes.
    #[must_use]
    pub fn of(list: &ListConfig) -> Self {
        Self::List { owner: list.owner.clone(), scope: list.scope, service: list.service.clone() }
    }
}

/// The sort key of a page's last entry. The default sorts before every entry, as no scope is empty.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The scope, in its stored form.
    pub scope: String,
    /// The service name.
    pub service: String,
    /// The key.
    pub key: String,
    /// The version number.
    pub version: u64,
}

impl Position {
    /// Returns the position of an entry.
    #[must_use]
    pub fn of(entry: &ConfigEntry) -> Self {
        let ConfigKey { scope, service, key, .. } = &entry.key;
        let (service, key) = (service.clone(), key.clone());
        Self { scope: scope.as_str().to_owned(), service, key, version: entry.version }
    }
}

/// Seals the cursor of the page that follows `last`.
///
/// # Errors
/// As [`PageCursor::seal`].
pub fn encode(listing: &ConfigListing, last: &ConfigEntry) -> Result<PageCursor> {
    PageCursor::seal(Listing::Config, listing, &Position::of(last))
}

/// Decodes the position where a page starts: the front where `after` is `None`.
///
/// # Errors
/// As [`PageCursor::open`].
pub fn decode(listing: &ConfigListing, after: Option<&PageCursor>) -> Result<Position> {
    after.map_or_else(|| Ok(Position::default()), |cursor| cursor.open(Listing::Config, listing))
}

/// Truncates a page that was read with one entry too many and returns the cursor of the next page, `None` at the end.
///
/// # Errors
/// As [`encode`].
pub fn cut(listing: &ConfigListing, entries: &mut Vec<ConfigEntry>, limit: usize) -> Result<Option<PageCursor>> {
    if entries.len() <= limit {
        return Ok(None);
    }
    entries.truncate(limit);
    entries.last().map(|last| encode(listing, last)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, config_store::ConfigOrigin};

    /// Cursors as the first release with this form wrote them.
    #[test]
    fn a_release_keeps_the_cursors_of_the_one_before() {
        let owner = ConfigOwner::Tenant(crate::TenantId::parse("acme").unwrap());
        let key = ConfigKey::new(owner.clone(), ConfigScope::System, "routing", "rules");
        let (origin, created_at) = (ConfigOrigin::Set, Timestamp::UNIX_EPOCH);
        let entry = ConfigEntry { key, version: 3, value: None, origin, created_at };
        let list = ConfigListing::List { owner: owner.clone(), scope: None, service: Some("routing".to_owned()) };
        for (listing, text) in [
            (
                list,
                "AQORvgmzio-3hr1iXi9YkXlVeyJzY29wZSI6InN5c3RlbSIsInNlcnZpY2UiOiJyb3V0aW5nIiwia2V5IjoicnVsZXMiLCJ2ZXJzaW9uIjozfQ18pP6UvsT4zXcIxnSN4Qk",
            ),
            (
                ConfigListing::Export { owner },
                "AQMx6rfpN67Yq9coylr31XkyeyJzY29wZSI6InN5c3RlbSIsInNlcnZpY2UiOiJyb3V0aW5nIiwia2V5IjoicnVsZXMiLCJ2ZXJzaW9uIjozfZeKvnvmWt0lnBCnPzAwcu4",
            ),
        ] {
            let cursor = PageCursor::from_text(text);
            assert_eq!(encode(&listing, &entry).unwrap(), cursor, "{}", encode(&listing, &entry).unwrap());
            assert_eq!(decode(&listing, Some(&cursor)).unwrap(), Position::of(&entry));
        }
    }
}
