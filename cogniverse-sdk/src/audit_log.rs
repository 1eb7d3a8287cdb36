//! The role that records who did what to a tenant, and the chain of hashes that shows a later change.

use crate::{Error, ErrorKind, Operation, Result, SchemaName, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest reason that an event records, in characters; the rest is cut.
pub const MAX_REASON: usize = 500;
/// The largest number of entries in one page.
pub const MAX_PAGE: usize = 1000;

/// Something that happened to a tenant. Events hold ids, numbers and operators' reasons, never texts of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// The tenant moved to another state of its lifecycle.
    StateChanged {
        /// The former state; `None` where the tenant is new.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The new state.
        to: String,
        /// The version of the tenant's record that holds the new state.
        record_version: u64,
        /// The operator's reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A caller was denied an operation.
    Denied {
        /// The operation.
        operation: Operation,
        /// The number of denials of this caller that were not recorded since the last entry.
        suppressed: u64,
    },
    /// A caller got access to another tenant.
    AccessShared {
        /// The id of the caller.
        caller: String,
        /// The operations.
        operations: Vec<Operation>,
        /// The end of the access.
        expires_at: Timestamp,
        /// The reason.
        reason: String,
    },
    /// A caller lost access to another tenant.
    AccessRevoked {
        /// The id of the caller.
        caller: String,
    },
    /// A caller of another tenant read something.
    CrossTenantRead {
        /// The operation.
        operation: Operation,
    },
    /// A configuration value changed.
    ConfigChanged {
        /// The name of the value, without the tenant.
        key: String,
        /// The version before; 0 where there was none.
        from_version: u64,
        /// The new version.
        to_version: u64,
        /// The reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Schemas were deployed.
    SchemasDeployed {
        /// The base schemas that were added or changed.
        schemas: Vec<SchemaName>,
    },
    /// A schema was dropped with its documents.
    SchemaDropped {
        /// The base schema.
        schema: SchemaName,
    },
    /// The backend answered with something of another tenant, which was dropped.
    Leaked {
        /// The base schema that was asked for.
        schema: SchemaName,
        /// The number of hits or documents.
        count: u64,
    },
    /// A backup was made.
    BackedUp {
        /// The id of the backup.
        backup: String,
    },
    /// The tenant was erased; the last entry of its generation.
    Erased {
        /// The number of items erased, per surface.
        surfaces: Vec<(String, u64)>,
    },
}

impl AuditEvent {
    /// Cuts an operator's reason to [`MAX_REASON`] characters and removes control characters.
    #[must_use]
    pub fn reason(text: &str) -> String {
        text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
    }
}

/// One entry of a tenant's audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// The tenant.
    pub tenant: TenantId,
    /// The number of the entry, from 1 without gaps.
    pub sequence: u64,
    /// The time of the entry.
    pub at: Timestamp,
    /// The caller, as [`crate::Caller::name`].
    pub actor: String,
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// The hash of the previous entry, in hex; empty for the first.
    pub previous: String,
    /// The SHA-256 of all other fields, in hex.
    pub hash: String,
}

/// The last entry of a log, as far as the next one needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditHead {
    /// The number of the last entry; 0 where there is none.
    pub sequence: u64,
    /// Its hash; empty where there is none.
    pub hash: String,
}

impl AuditHead {
    /// Creates the entry that follows; for implementations.
    ///
    /// # Errors
    /// `Unexpected` where the event cannot be written as JSON.
    pub fn next(&self, tenant: &TenantId, at: Timestamp, actor: &str, event: AuditEvent) -> Result<AuditEntry> {
        let (sequence, previous) = (self.sequence + 1, self.hash.clone());
        let mut entry = AuditEntry {
            tenant: tenant.clone(),
            sequence,
            at,
            actor: actor.to_owned(),
            event,
            previous,
            hash: String::new(),
        };
        entry.hash = hash_of(&entry.to_json()?);
        Ok(entry)
    }

    /// Checks that a stored entry follows, and returns it; for implementations.
    ///
    /// # Errors
    /// `Corrupt` with what is wrong: the form, the tenant, the number, the link or the hash.
    pub fn follow(&self, tenant: &TenantId, stored: &Value) -> Result<AuditEntry> {
        let damaged = |what: &str| Error::new(ErrorKind::Corrupt, format!("audit entry {}: {what}", self.sequence + 1));
        let entry: AuditEntry =
            serde_json::from_value(stored.clone()).map_err(|e| damaged("it cannot be read").with_source(e))?;
        if entry.tenant != *tenant {
            return Err(damaged("it is of another tenant"));
        }
        if entry.sequence != self.sequence + 1 {
            return Err(damaged(&format!("it has the number {}", entry.sequence)));
        }
        if entry.previous != self.hash {
            return Err(damaged("it does not follow the entry before it"));
        }
        if entry.hash != hash_of(stored) {
            return Err(damaged("its content does not match its hash"));
        }
        Ok(entry)
    }

    /// Returns the head after an entry.
    #[must_use]
    pub fn after(entry: &AuditEntry) -> Self {
        Self { sequence: entry.sequence, hash: entry.hash.clone() }
    }
}

impl AuditEntry {
    /// Returns the stored form; for implementations.
    ///
    /// # Errors
    /// `Unexpected` where the entry cannot be written as JSON.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| Error::unexpected("an audit entry cannot be written").with_source(e))
    }
}

/// Returns the hash of a stored entry without its `hash`. Object keys are sorted, so that equal content has one form.
fn hash_of(stored: &Value) -> String {
    let mut content = stored.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.remove("hash");
    }
    content.sort_all_objects();
    let digest = Sha256::digest(content.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One page of an audit log, oldest entry first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// The `after` of the next page; `None` on the last one.
    pub next: Option<u64>,
}

impl AuditPage {
    /// Creates a page; for implementations.
    #[must_use]
    pub fn new(entries: Vec<AuditEntry>, next: Option<u64>) -> Self {
        Self { entries, next }
    }
}

/// The result of checking a whole log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditVerification {
    /// The number of entries that hold, up to the first broken one.
    pub entries: u64,
    /// The hash of the last entry that holds; empty where there is none. Kept elsewhere, it also shows that entries at
    /// the end were removed, which the chain alone cannot.
    pub head: String,
    /// The first broken entry, if any.
    pub broken: Option<BrokenEntry>,
}

impl AuditVerification {
    /// Returns whether every entry holds.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.broken.is_none()
    }

    /// Creates the result of a check; for implementations.
    #[must_use]
    pub fn new(head: AuditHead, broken: Option<BrokenEntry>) -> Self {
        Self { entries: head.sequence, head: head.hash, broken }
    }
}

/// An entry that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BrokenEntry {
    /// The number of the entry.
    pub sequence: u64,
    /// The damage.
    pub reason: String,
}

impl BrokenEntry {
    /// Creates the report on an entry; for implementations.
    #[must_use]
    pub fn new(sequence: u64, reason: impl Into<String>) -> Self {
        Self { sequence, reason: reason.into() }
    }
}

/// A log per tenant of what was done to it, append-only and chained by hash.
///
/// # Contract
/// - Numbers count from 1 without gaps, also where several processes append at once.
/// - An acknowledged entry is durable, where the implementation keeps anything.
/// - The log outlives the tenant, and goes on where its id is created again.
/// - `read` fails with `Corrupt` on the first entry that does not follow; `verify` reports it.
///
/// # Errors
/// `Unavailable` where the log cannot be read or written, which is never reported as an empty log.
///
/// # Cancellation
/// An append whose future is dropped is applied in full or not at all.
#[async_trait]
pub trait AuditLog: fmt::Debug + Send + Sync + 'static {
    /// Appends an entry by an actor.
    async fn append(&self, tenant: &TenantId, actor: &str, event: AuditEvent) -> Result<AuditEntry>;

    /// Returns the last entry's number and hash.
    async fn head(&self, tenant: &TenantId) -> Result<AuditHead>;

    /// Returns at most `limit` entries with numbers above `after`, oldest first. A limit of 0 is `InvalidInput`; a page
    /// never has more than [`MAX_PAGE`] entries.
    async fn read(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<AuditPage>;

    /// Checks every entry of a tenant against the chain.
    async fn verify(&self, tenant: &TenantId) -> Result<AuditVerification>;
}

const _: fn(&dyn AuditLog) = |_| {};
