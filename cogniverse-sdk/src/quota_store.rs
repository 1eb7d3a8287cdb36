//! The role that keeps what tenants have used of their quotas.

use crate::{Error, Result, TenantId, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A quota of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quota {
    /// Calls in a window of time.
    ApiCalls,
    /// Megabytes (10^6 bytes) of documents with their vectors.
    StorageMb,
    /// Documents, memories not counted.
    Documents,
    /// Calls at one moment.
    ConcurrentRequests,
    /// Minutes of video ingested in a window of time.
    IngestMinutes,
}

impl Quota {
    /// Every quota.
    pub const ALL: [Self; 5] =
        [Self::ApiCalls, Self::StorageMb, Self::Documents, Self::ConcurrentRequests, Self::IngestMinutes];

    /// Returns the stored form, such as `"api_calls"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiCalls => "api_calls",
            Self::StorageMb => "storage_mb",
            Self::Documents => "documents",
            Self::ConcurrentRequests => "concurrent_requests",
            Self::IngestMinutes => "ingest_minutes",
        }
    }

    /// Returns the number of counted units in one unit of the limit: bytes in a megabyte, seconds in a minute.
    #[must_use]
    pub fn units(self) -> u64 {
        match self {
            Self::StorageMb => 1_000_000,
            Self::IngestMinutes => 60,
            Self::ApiCalls | Self::Documents | Self::ConcurrentRequests => 1,
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Quota {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|quota| quota.as_str() == text);
        found.ok_or_else(|| Error::invalid(Error::unknown("quota", text, Self::ALL).message().to_owned()))
    }
}

/// An amount that one process reserved of a quota, so that it can hand it out without asking the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLease {
    /// The process, by an id that no other process has.
    pub holder: String,
    /// The reserved amount, in the counted units of the quota.
    pub amount: u64,
    /// The time from which the process counts as gone.
    pub expires_at: Timestamp,
}

/// The stored state of one quota of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QuotaState {
    /// The start of the window in seconds since 1970; 0 for quotas without a window.
    pub window: i64,
    /// The amount that is used for certain, in the counted units of the quota: calls, bytes, documents or seconds.
    pub used: u64,
    /// Whether `used` was counted. Where it is `false` the amount is an upper bound, to be counted before it refuses
    /// anything.
    pub counted: bool,
    /// The amounts that processes reserved beyond `used`.
    pub leases: Vec<QuotaLease>,
}

/// A store of the use of quotas, shared by the processes that serve the same tenants.
///
/// # Contract
/// - `replace` is compare-and-set over processes: of two writers that expect the same version one wins, and the other
///   is answered `None`.
/// - Versions of a key never repeat, also not after an erasure.
///
/// # Errors
/// `Unavailable` where the store cannot be read or written, which is never "nothing used".
#[async_trait]
pub trait QuotaStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the state of a quota with its version; `None` where nothing was ever stored.
    async fn get(&self, tenant: &TenantId, quota: Quota) -> Result<Option<(QuotaState, u64)>>;

    /// Replaces a state and returns the new version; `None` where the stored version is another one than `expected`,
    /// whose `None` stands for a state that was never stored.
    async fn replace(
        &self,
        tenant: &TenantId,
        quota: Quota,
        expected: Option<u64>,
        state: &QuotaState,
    ) -> Result<Option<u64>>;

    /// Returns the number of stored states of a tenant.
    async fn count(&self, tenant: &TenantId) -> Result<u64>;

    /// Removes every state of a tenant and returns their number.
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64>;
}

const _: fn(&dyn QuotaStore) = |_| {};
