//! Append-only configuration versions.
//!
//! [`versioning`] and [`cursor`] are for those who write a store: the rules that all stores share.

pub mod cursor;
pub mod versioning;

use crate::{Result, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;

/// Whose configuration: a tenant's, or the system's own. There is no default tenant (invariant 1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigOwner {
    /// Belongs to no tenant.
    System,
    /// Belongs to one.
    Tenant(TenantId),
}

/// What a configuration is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConfigScope {
    /// Models, addresses, the tenant itself.
    System,
    /// One agent.
    Agent,
    /// Routing of queries.
    Routing,
    /// Traces and metrics.
    Telemetry,
    /// Schemas.
    Schema,
    /// Profiles and backends.
    Backend,
}

impl ConfigScope {
    /// The stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Agent => "agent",
            Self::Routing => "routing",
            Self::Telemetry => "telemetry",
            Self::Schema => "schema",
            Self::Backend => "backend",
        }
    }
}

/// The name of a configuration value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ConfigKey {
    /// Whose.
    pub owner: ConfigOwner,
    /// About what.
    pub scope: ConfigScope,
    /// Which part, such as `system`.
    pub service: String,
    /// Which value, such as `system_config`.
    pub key: String,
}

impl ConfigKey {
    /// The name of a value.
    #[must_use]
    pub fn new(owner: ConfigOwner, scope: ConfigScope, service: impl Into<String>, key: impl Into<String>) -> Self {
        Self { owner, scope, service: service.into(), key: key.into() }
    }

    /// A tenant's value.
    #[must_use]
    pub fn tenant(tenant: &TenantId, scope: ConfigScope, service: &str, key: &str) -> Self {
        Self::new(ConfigOwner::Tenant(tenant.clone()), scope, service, key)
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            ConfigOwner::System => f.write_str("system")?,
            ConfigOwner::Tenant(tenant) => write!(f, "tenant {tenant}")?,
        }
        write!(f, " / {} / {} / {}", self.scope.as_str(), self.service, self.key)
    }
}

/// Where a version came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConfigOrigin {
    /// Somebody set it.
    Set,
    /// A template and its overrides.
    Template(String),
    /// A copy of an older version (invariant 13).
    Rollback(u64),
    /// It was deleted: the version holds no value.
    Deleted,
}

/// One version of a value.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConfigEntry {
    /// The name.
    pub key: ConfigKey,
    /// From 1, without gaps.
    pub version: u64,
    /// The value; none where this version is a deletion.
    pub value: Option<Value>,
    /// Where it came from.
    pub origin: ConfigOrigin,
    /// When.
    pub created_at: Timestamp,
}

/// What must be true for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// There is no value: none was ever set, or it was deleted.
    Absent,
    /// The newest version is this.
    Version(u64),
}

/// A new version.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PutConfig {
    /// The name.
    pub key: ConfigKey,
    /// The value.
    pub value: Value,
    /// What must be true (default: nothing).
    pub expected: Expected,
    /// Where it comes from (default: set).
    pub origin: ConfigOrigin,
}

impl PutConfig {
    /// Sets a value, whatever was there.
    #[must_use]
    pub fn new(key: ConfigKey, value: Value) -> Self {
        Self { key, value, expected: Expected::Any, origin: ConfigOrigin::Set }
    }

    /// What must be true.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// Where it comes from.
    #[must_use]
    pub fn from_origin(mut self, origin: ConfigOrigin) -> Self {
        self.origin = origin;
        self
    }
}

/// A page of something, in an order that stays the same.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigPage {
    /// The entries.
    pub entries: Vec<ConfigEntry>,
    /// Give this back for the next page; none at the end.
    pub next: Option<String>,
}

/// Which values to list, at their newest version.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListConfig {
    /// Whose.
    pub owner: ConfigOwner,
    /// About what; none for all.
    pub scope: Option<ConfigScope>,
    /// Which part; none for all.
    pub service: Option<String>,
    /// Where the page before ended.
    pub after: Option<String>,
    /// At most so many (default 100).
    pub limit: usize,
}

impl ListConfig {
    /// The first hundred of an owner.
    #[must_use]
    pub fn new(owner: ConfigOwner) -> Self {
        Self { owner, scope: None, service: None, after: None, limit: 100 }
    }

    /// Only of one scope and service.
    #[must_use]
    pub fn within(mut self, scope: ConfigScope, service: impl Into<String>) -> Self {
        self.scope = Some(scope);
        self.service = Some(service.into());
        self
    }

    /// The page after one.
    #[must_use]
    pub fn after(mut self, after: Option<String>) -> Self {
        self.after = after;
        self
    }

    /// Another size of page.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// Append-only versions per (owner, scope, service, key).
///
/// # Contract
/// - Versions of a key count from 1 without gaps; of two writers that expect the same version one wins and the other
///   gets `Conflict` with the version that is there (invariant 13). This holds across processes.
/// - `delete` appends a version without a value; history stays. Only `erase_tenant` removes versions.
/// - `import` keeps version numbers, and refuses a key that already has other versions, or whose history has gaps.
/// - JSON `null` is not a value; it is refused.
/// - A page holds at most `limit` entries and never more than 1,000; a limit of 0 is `InvalidInput`. The page after one of
///   `history` begins below its last version. A place in a listing belongs to that listing.
///
/// # Errors
/// `Conflict`; `Unavailable` where the store cannot be read or written, which is never "no value" (invariant 9).
///
/// # Cancellation
/// A dropped write either happened or did not.
#[async_trait]
pub trait ConfigStore: fmt::Debug + Send + Sync + 'static {
    /// Appends a version.
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry>;

    /// The newest version, or the given one. None where it does not exist; a deletion is an entry without a value.
    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>>;

    /// All versions, newest first, at most `limit`, older than `before` where given.
    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigPage>;

    /// Newest versions, by key. Deleted values are left out.
    async fn list(&self, list: ListConfig) -> Result<ConfigPage>;

    /// Appends a version without a value. `NotFound` where there is no value.
    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry>;

    /// Removes every version of every value of a tenant; returns how many versions.
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64>;

    /// Every version of every value of an owner, oldest first by key: a page.
    async fn export(&self, owner: &ConfigOwner, after: Option<String>, limit: usize) -> Result<ConfigPage>;

    /// Takes over exported versions with their numbers, all or none. Entries that are already here, equal, are no error.
    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64>;
}

const _: fn(&dyn ConfigStore) = |_| {};
