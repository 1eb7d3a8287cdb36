//! The roles of a backup: where it is put, the keys it is encrypted with, and what is read for it.

use crate::{Error, ErrorCode, Result, TenantId, TenantSnapshot};
use async_trait::async_trait;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// One thing in a backup: JSON that says what it is, and bytes where it has some.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackupRecord {
    /// The description, as the surface that exported it reads it again.
    pub head: Value,
    /// Its bytes, such as vectors; may be empty.
    pub body: Vec<u8>,
}

impl BackupRecord {
    /// Creates a record.
    #[must_use]
    pub fn new(head: Value, body: Vec<u8>) -> Self {
        Self { head, body }
    }
}

/// The request for an export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Export {
    /// The tenant.
    pub tenant: TenantId,
    /// The documents of one moment, where the backend can show them.
    pub snapshot: Option<Arc<dyn TenantSnapshot>>,
}

impl Export {
    /// Creates an export of a tenant.
    #[must_use]
    pub fn new(tenant: TenantId, snapshot: Option<Arc<dyn TenantSnapshot>>) -> Self {
        Self { tenant, snapshot }
    }
}

/// A page of an export.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ExportPage {
    /// The records; may be empty before the last page.
    pub records: Vec<BackupRecord>,
    /// The number of items among them, as an inventory counts.
    pub items: u64,
    /// The place where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

impl ExportPage {
    /// Creates a page.
    #[must_use]
    pub fn new(records: Vec<BackupRecord>, items: u64, next: Option<String>) -> Self {
        Self { records, items, next }
    }
}

/// The request for an import.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// The tenant to import to, of which nothing is there yet but what was imported before.
    pub tenant: TenantId,
    /// The tenant that was exported.
    pub from: TenantId,
}

impl Import {
    /// Creates an import of what one tenant had to another, or the same.
    #[must_use]
    pub fn new(tenant: TenantId, from: TenantId) -> Self {
        Self { tenant, from }
    }
}

/// A place for backups: a folder, or a bucket.
///
/// # Contract
/// - A path has parts of letters, digits, `.`, `_`, `-` and `%`, separated by `/`.
/// - `put` stores all bytes or none, replaces what was there, and is durable as it returns.
/// - `list` answers every path that begins with a prefix, in whatever order.
/// - `get` of a path that is not there is `None`; what cannot be read is an error
///   ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
///
/// # Errors
/// `Unavailable` where it cannot be reached, read or written, as for a lack of space.
#[async_trait]
pub trait BackupTarget: fmt::Debug + Send + Sync + 'static {
    /// Returns the place, as an operator would write it. It holds no secret.
    fn location(&self) -> String;

    /// Stores bytes.
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;

    /// Reads bytes.
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Lists paths.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes what is at a path. What is not there is removed.
    async fn remove(&self, path: &str) -> Result<()>;
}

/// A key that encrypts the backups of one tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupKey {
    /// The name by which a backup says which key it needs. It says nothing of the key.
    pub name: String,
    /// The key.
    bytes: [u8; 32],
}

impl BackupKey {
    /// Creates a key.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: [u8; 32]) -> Self {
        Self { name: name.into(), bytes }
    }

    /// Returns the key itself.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// Shows the name alone.
impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupKey({})", self.name)
    }
}

/// The keys of tenants' backups. They are kept apart from the backups: without its keys, all backups of a
/// tenant are unreadable at once.
///
/// # Errors
/// `backup_key_wrong` for a key that is there and cannot be unwrapped.
#[async_trait]
pub trait BackupKeys: fmt::Debug + Send + Sync + 'static {
    /// Returns the key for new backups of a tenant, and makes one where there is none.
    async fn current(&self, tenant: &TenantId) -> Result<BackupKey>;

    /// Returns a key of a tenant by its name; `None` where it was destroyed or never was here.
    async fn find(&self, tenant: &TenantId, name: &str) -> Result<Option<BackupKey>>;

    /// Counts the keys of a tenant.
    async fn count(&self, tenant: &TenantId) -> Result<u64>;

    /// Destroys every key of a tenant, and returns how many.
    async fn destroy(&self, tenant: &TenantId) -> Result<u64>;
}

/// Checks a path of a backup, so that no target is asked for anything outside of itself.
///
/// # Errors
/// `InvalidInput` for a path that has an empty part, `..`, or another character.
pub fn check_path(path: &str) -> Result<()> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'%'))
    };
    match path.split('/').all(plain) {
        true => Ok(()),
        false => Err(Error::of(ErrorCode::InvalidInput, format!("{path:?} is no path of a backup"))),
    }
}

const _: fn(&dyn BackupTarget, &dyn BackupKeys) = |_, _| {};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_its_target() {
        for fine in ["acme/20261127T213000Z-00ff/manifest.json", "a%3Ab/x"] {
            check_path(fine).unwrap();
        }
        for wrong in ["", "/etc/passwd", "../x", "a//b", "a/../b", "a\\b", "a b", "a/\u{e9}"] {
            assert!(check_path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", BackupKey::new("k1", [7; 32])), "BackupKey(k1)");
    }
}
