//! The rules every store shares: what may be written, and which number it gets.

use super::{ConfigEntry, ConfigKey, ConfigOrigin, Expected, PutConfig};
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;

const MAX_NAME_BYTES: usize = 512;
const MAX_PAGE: usize = 1000;

/// The newest version of a key.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Its number.
    pub version: u64,
    /// Whether it is no deletion.
    pub has_value: bool,
}

impl Head {
    /// Of an entry.
    #[must_use]
    pub fn of(entry: &ConfigEntry) -> Self {
        Self { version: entry.version, has_value: entry.value.is_some() }
    }
}

/// Refuses empty and long names.
///
/// # Errors
/// `InvalidInput`.
pub fn check_key(key: &ConfigKey) -> Result<()> {
    for (what, name) in [("service", &key.service), ("key", &key.key)] {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let length = name.len();
            return Err(Error::invalid(format!(
                "the {what} of a configuration key has {length} bytes; give 1 to {MAX_NAME_BYTES}"
            )));
        }
    }
    Ok(())
}

/// Refuses what is no value.
///
/// # Errors
/// `InvalidInput`.
pub fn check_put(put: &PutConfig) -> Result<()> {
    check_key(&put.key)?;
    if put.value.is_null() || put.origin == ConfigOrigin::Deleted {
        return Err(Error::invalid(format!("configuration {} cannot be set to nothing; delete it instead", put.key)));
    }
    Ok(())
}

/// A page holds at least one entry and at most a thousand; a larger wish is cut, and `next` goes on from there.
///
/// # Errors
/// `InvalidInput` for 0.
pub fn page_limit(limit: usize) -> Result<usize> {
    if limit == 0 {
        return Err(Error::invalid("a page of 0 entries never ends; give a limit of 1 or more"));
    }
    Ok(limit.min(MAX_PAGE))
}

/// The number of the next version, where what was expected holds.
///
/// # Errors
/// `Conflict` with the version that is there.
pub fn next_version(key: &ConfigKey, expected: Expected, head: Option<Head>) -> Result<u64> {
    let holds = match (expected, head) {
        (Expected::Any, _) | (Expected::Absent, None) => true,
        (Expected::Absent, Some(head)) => !head.has_value,
        (Expected::Version(wanted), Some(head)) => wanted == head.version,
        (Expected::Version(_), None) => false,
    };
    if !holds {
        return Err(conflict(key, expected, head));
    }
    let newest = head.map_or(0, |head| head.version);
    newest.checked_add(1).ok_or_else(|| Error::unexpected(format!("configuration {key} has no version number left")))
}

fn conflict(key: &ConfigKey, expected: Expected, head: Option<Head>) -> Error {
    let found = match head {
        None => "nothing was ever set".to_owned(),
        Some(Head { version, has_value: true }) => format!("version {version} is there"),
        Some(Head { version, has_value: false }) => format!("version {version} is there, a deletion"),
    };
    let wanted = match expected {
        Expected::Any => "anything".to_owned(),
        Expected::Absent => "no value".to_owned(),
        Expected::Version(version) => format!("version {version}"),
    };
    Error::new(
        ErrorKind::Conflict,
        format!("configuration {key} changed: {wanted} was expected, {found}; read it again and repeat the change"),
    )
    .with_context("current_version", head.map_or(0, |head| head.version))
}

/// The number of a deletion.
///
/// # Errors
/// `NotFound` where there is no value; `Conflict`.
pub fn deletion_version(key: &ConfigKey, expected: Expected, head: Option<Head>) -> Result<u64> {
    check_key(key)?;
    if !head.is_some_and(|head| head.has_value) {
        return Err(Error::new(ErrorKind::NotFound, format!("configuration {key} holds no value; nothing to delete")));
    }
    next_version(key, expected, head)
}

/// Which of the entries an import adds. `present` reads all versions that a key has here.
///
/// # Errors
/// `InvalidInput` for entries that are no history from version 1 without gaps; `Conflict` where the key has a version
/// here that is not, equal, among the entries.
pub fn import_plan<E: From<Error>>(
    entries: Vec<ConfigEntry>,
    mut present: impl FnMut(&ConfigKey) -> Result<Vec<ConfigEntry>, E>,
) -> Result<Vec<ConfigEntry>, E> {
    let mut keys: BTreeMap<ConfigKey, BTreeMap<u64, ConfigEntry>> = BTreeMap::new();
    for entry in entries {
        check_entry(&entry)?;
        let versions = keys.entry(entry.key.clone()).or_default();
        if let Some(twice) = versions.insert(entry.version, entry) {
            let message = format!("the import holds version {} of {} twice", twice.version, twice.key);
            return Err(Error::invalid(message).into());
        }
    }
    let mut added = Vec::new();
    for (key, mut versions) in keys {
        if let Some((wanted, _)) = (1..).zip(versions.keys()).find(|(wanted, version)| wanted != *version) {
            let message =
                format!("the import lacks version {wanted} of {key}; export all pages and import them at once");
            return Err(Error::invalid(message).into());
        }
        for here in present(&key)? {
            if versions.remove(&here.version).as_ref() != Some(&here) {
                return Err(import_conflict(&key, here.version).into());
            }
        }
        added.extend(versions.into_values());
    }
    Ok(added)
}

fn check_entry(entry: &ConfigEntry) -> Result<()> {
    check_key(&entry.key)?;
    let deleted = entry.origin == ConfigOrigin::Deleted;
    if deleted == entry.value.is_some() || entry.value.as_ref().is_some_and(serde_json::Value::is_null) {
        let message = format!("version {} of {} must hold a value or be a deletion", entry.version, entry.key);
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn import_conflict(key: &ConfigKey, version: u64) -> Error {
    let message = format!(
        "configuration {key} already has another version {version} here; import into an empty owner, or erase it first"
    );
    Error::new(ErrorKind::Conflict, message).with_context("current_version", version)
}
