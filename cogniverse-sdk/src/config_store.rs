//! Append-only configuration versions.
//!
//! [`versioning`] and [`cursor`] hold the rules that all implementations share.

pub mod cursor;
pub mod versioning;

use crate::{PageCursor, Result, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;

/// The owner of a configuration value: one tenant or the system. There is no default tenant ([invariant 1](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#1)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigOwner {
    /// The system, apart from all tenants.
    System,
    /// One tenant.
    Tenant(TenantId),
}

/// The area that a configuration value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConfigScope {
    /// Models, addresses and the tenant record.
    System,
    /// Settings of one agent.
    Agent,
    /// Query routing.
    Routing,
    /// Traces and metrics.
    Telemetry,
    /// Schemas and their deployment.
    Schema,
    /// Profiles and backends.
    Backend,
}

impl ConfigScope {
    /// Returns the stored form, such as `"system"`.
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

/// The full name of a configuration value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ConfigKey {
    /// The owner of the value.
    pub owner: ConfigOwner,
    /// The scope of the value.
    pub scope: ConfigScope,
    /// The service within the scope, such as `system`.
    pub service: String,
    /// The key within the service, such as `system_config`.
    pub key: String,
}

impl ConfigKey {
    /// Creates a key from its four parts.
    #[must_use]
    pub fn new(owner: ConfigOwner, scope: ConfigScope, service: impl Into<String>, key: impl Into<String>) -> Self {
        Self { owner, scope, service: service.into(), key: key.into() }
    }

    /// Creates the key of a tenant's value.
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

/// The way a version came about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConfigOrigin {
    /// Written directly by a caller.
    Set,
    /// Written from the named template and its overrides.
    Template(String),
    /// Copied from the given older version ([invariant 13](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#13)).
    Rollback(u64),
    /// Deleted: the version holds no value.
    Deleted,
}

/// One version of a value.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConfigEntry {
    /// The key.
    pub key: ConfigKey,
    /// The version number, from 1 without gaps.
    pub version: u64,
    /// The value; `None` where this version is a deletion.
    pub value: Option<Value>,
    /// The origin of the version.
    pub origin: ConfigOrigin,
    /// The time of the write.
    pub created_at: Timestamp,
}

/// A precondition of a write, for compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// No precondition.
    Any,
    /// The key has no value: none was ever set, or it was deleted.
    Absent,
    /// The newest version has this number.
    Version(u64),
}

/// A request to append a version.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PutConfig {
    /// The key to write.
    pub key: ConfigKey,
    /// The value to store; `null` is refused.
    pub value: Value,
    /// The precondition (default [`Expected::Any`]).
    pub expected: Expected,
    /// The origin to record (default [`ConfigOrigin::Set`]).
    pub origin: ConfigOrigin,
}

impl PutConfig {
    /// Creates an unconditional write.
    #[must_use]
    pub fn new(key: ConfigKey, value: Value) -> Self {
        Self { key, value, expected: Expected::Any, origin: ConfigOrigin::Set }
    }

    /// Sets the precondition.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// Sets the recorded origin.
    #[must_use]
    pub fn from_origin(mut self, origin: ConfigOrigin) -> Self {
        self.origin = origin;
        self
    }
}

/// One page of a listing, in a stable order.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConfigPage {
    /// The entries of the page.
    pub entries: Vec<ConfigEntry>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<PageCursor>,
}

/// A page of the versions of one key, newest first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConfigVersions {
    /// The versions of the page.
    pub entries: Vec<ConfigEntry>,
    /// The `before` of the next page; `None` on the last one.
    pub next: Option<u64>,
}

/// A request to list the newest version of each value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListConfig {
    /// The owner of the values.
    pub owner: ConfigOwner,
    /// The scope to list; `None` lists all scopes.
    pub scope: Option<ConfigScope>,
    /// The service to list; `None` lists all services.
    pub service: Option<String>,
    /// The cursor of the page to return; `None` for the first.
    pub after: Option<PageCursor>,
    /// The largest number of entries in a page (default 100).
    pub limit: usize,
}

impl ListConfig {
    /// Lists the values of an owner, 100 a page.
    #[must_use]
    pub fn new(owner: ConfigOwner) -> Self {
        Self { owner, scope: None, service: None, after: None, limit: 100 }
    }

    /// Restricts the listing to one scope and service.
    #[must_use]
    pub fn within(mut self, scope: ConfigScope, service: impl Into<String>) -> Self {
        self.scope = Some(scope);
        self.service = Some(service.into());
        self
    }

    /// Sets the cursor of the page to return.
    #[must_use]
    pub fn after(mut self, after: Option<PageCursor>) -> Self {
        self.after = after;
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// A store of append-only configuration versions, keyed by (owner, scope, service, key).
///
/// # Contract
/// - Versions of a key count from 1 without gaps; of two writers that expect the same version one wins and the other
///   gets `Conflict` with the version that is there ([invariant 13](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#13)). This holds across processes.
/// - `delete` appends a version without a value; history stays. Only `erase_tenant` removes versions.
/// - `import` keeps version numbers, and refuses a key that already has other versions, or whose history has gaps.
/// - JSON `null` is not a value; it is refused.
/// - A page holds at most `limit` entries and never more than 1,000; a limit of 0 is `InvalidInput`. The next page of
///   `history` starts below the last version of the previous one. A cursor is valid only for the listing that
///   returned it.
///
/// # Errors
/// `Conflict` where a precondition fails; `Unavailable` where the store cannot be read or written, which is never
/// reported as "no value" ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
///
/// # Cancellation
/// A write whose future is dropped is applied in full or not at all.
#[async_trait]
pub trait ConfigStore: fmt::Debug + Send + Sync + 'static {
    /// Appends a version.
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry>;

    /// Returns the newest version, or the given one. `None` where it does not exist; a deletion is an entry without a
    /// value.
    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>>;

    /// Returns versions newest first: at most `limit`, and only those older than `before` where it is given.
    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions>;

    /// Lists the newest version of each value, ordered by key. Deleted values are left out.
    async fn list(&self, list: ListConfig) -> Result<ConfigPage>;

    /// Appends a deletion. `NotFound` where the key has no value.
    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry>;

    /// Removes every version of every value of a tenant and returns the number of versions removed.
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64>;

    /// Returns a page of every version of every value of an owner, by key and then oldest first.
    async fn export(&self, owner: &ConfigOwner, after: Option<PageCursor>, limit: usize) -> Result<ConfigPage>;

    /// Imports exported versions under their original numbers, all or none. Entries that the store already holds
    /// unchanged are accepted.
    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64>;

    /// Returns a mark that is another one whenever anything in the store may have changed, by this process or another,
    /// so that a reader of the same mark may keep what it read before. `None` where the store cannot tell at less cost
    /// than a read.
    async fn change_mark(&self) -> Result<Option<u64>>;
}

const _: fn(&dyn ConfigStore) = |_| {};
