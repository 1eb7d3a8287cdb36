//! Validation and version numbering shared by every [`ConfigStore`](super::ConfigStore).

use super::{ConfigEntry, ConfigKey, ConfigOrigin, Expected, PutConfig};
use crate::{Error, ErrorCode, Result};
use serde_json::Value;
use std::collections::BTreeMap;

const MAX_NAME_BYTES: usize = 512;
const MAX_PAGE: usize = 1000;
/// The most levels a value may nest: well below the 128 levels that JSON parsers refuse, including those an export
/// adds.
const MAX_DEPTH: usize = 64;

/// The newest version of a key, as far as version numbering needs it.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The version number.
    pub version: u64,
    /// Whether the version holds a value, that is, is not a deletion.
    pub has_value: bool,
}

impl Head {
    /// Returns the head that an entry makes.
    #[must_use]
    pub fn of(entry: &ConfigEntry) -> Self {
        Self { version: entry.version, has_value: entry.value.is_some() }
    }
}

/// Refuses service names and keys that are empty or too long.
///
/// # Errors
/// `InvalidInput` with the name and the limit.
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

/// Refuses a write whose value is `null` or nests too deep.
///
/// # Errors
/// `InvalidInput` with the reason.
pub fn check_put(put: &PutConfig) -> Result<()> {
    check_key(&put.key)?;
    if put.value.is_null() || put.origin == ConfigOrigin::Deleted {
        return Err(Error::invalid(format!("configuration {} cannot be set to nothing; delete it instead", put.key)));
    }
    check_depth(&put.key.to_string(), &put.value)
}

/// Refuses JSON that nests so deep that it could be written but not parsed again.
///
/// # Errors
/// `InvalidInput` for more than 64 levels.
pub fn check_depth(what: &str, value: &Value) -> Result<()> {
    // Not by recursion: the depth that is refused here is the one that a stack does not bear.
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!("{what} nests deeper than {MAX_DEPTH} levels; flatten it")));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            _ => {}
        }
    }
    Ok(())
}

/// Clamps a page limit to 1,000 entries; the caller continues from `next`.
///
/// # Errors
/// `InvalidInput` for 0.
pub fn page_limit(limit: usize) -> Result<usize> {
    if limit == 0 {
        return Err(Error::invalid("a page of 0 entries never ends; give a limit of 1 or more"));
    }
    Ok(limit.min(MAX_PAGE))
}

/// Returns the number of the next version after checking the expected one.
///
/// # Errors
/// `Conflict` with the current version where the expectation does not hold.
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
    Error::of(
        ErrorCode::ConfigConflict,
        format!("configuration {key} changed: {wanted} was expected, {found}; read it again and repeat the change"),
    )
    .with_context("current_version", head.map_or(0, |head| head.version))
}

/// Returns the version number of a deletion after checking the expected version.
///
/// # Errors
/// `NotFound` where the key has no value; `Conflict` where the expectation does not hold.
pub fn deletion_version(key: &ConfigKey, expected: Expected, head: Option<Head>) -> Result<u64> {
    check_key(key)?;
    if !head.is_some_and(|head| head.has_value) {
        return Err(Error::of(
            ErrorCode::ConfigKeyUnknown,
            format!("configuration {key} holds no value; nothing to delete"),
        ));
    }
    next_version(key, expected, head)
}

/// Returns the entries that an import adds. `present` reads all stored versions of a key.
///
/// # Errors
/// `InvalidInput` for entries that do not form a gapless history from version 1; `Conflict` where the store holds a
/// version of the key that is missing from the entries or differs from them.
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
    Error::of(ErrorCode::ConfigConflict, message).with_context("current_version", version)
}
