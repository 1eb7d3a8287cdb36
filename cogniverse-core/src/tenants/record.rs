//! A tenant's record.

use cogniverse_sdk::{TenantId, Timestamp};
use std::fmt;

/// Where a tenant stands. Erasing and erased come with the erase flow (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenantState {
    /// It is served.
    Active,
    /// It is not served; its data is kept.
    Suspended,
}

impl fmt::Display for TenantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        })
    }
}

/// What is known of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TenantRecord {
    /// Who.
    pub tenant: TenantId,
    /// Where it stands.
    pub state: TenantState,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// Since when it stands there.
    pub changed_at: Timestamp,
    /// Why it was suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when the data of a suspended tenant is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
}

impl TenantRecord {
    /// A tenant that was just made.
    #[must_use]
    pub fn active(tenant: TenantId, now: Timestamp) -> Self {
        Self { tenant, state: TenantState::Active, created_at: now, changed_at: now, reason: None, retain_until: None }
    }
}
