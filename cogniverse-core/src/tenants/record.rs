//! Tenant records.

use cogniverse_sdk::{Error, ErrorCode, Result, TenantId, Timestamp};
use std::fmt;

/// The lifecycle state of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenantState {
    /// The tenant is being created and not served yet.
    Provisioning,
    /// The tenant is served.
    Active,
    /// The tenant is not served; its data is kept.
    Suspended,
    /// The tenant's data is being erased; there is no way back.
    Erasing,
    /// The tenant's data is erased. The id can be created again, as a new generation.
    Erased,
}

impl TenantState {
    /// Returns whether there is a tenant in this state, served or not; only an erased one is gone.
    #[must_use]
    pub fn exists(self) -> bool {
        self != Self::Erased
    }

    /// Returns the stored form, such as `"active"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Erasing => "erasing",
            Self::Erased => "erased",
        }
    }
}

impl fmt::Display for TenantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The record of a tenant: the one truth of whether it exists and is served.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TenantRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// The lifecycle state.
    pub state: TenantState,
    /// The number of tenants of this id so far, this one included; from 1.
    #[serde(default = "first")]
    pub generation: u64,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change of state.
    pub changed_at: Timestamp,
    /// The reason of the suspension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The end of the retention of a suspended tenant's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
    /// The digest of what the creation was asked for, so that only the same call finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation: Option<String>,
    /// The journal of the erasure, and its receipt once the tenant is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erasure: Option<ErasureReceipt>,
    /// Counts the signs of life of the call that erases the tenant, so that another call can tell whether it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<u64>,
    /// The number of parts of a backup that are stored while the tenant is being restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_parts: Option<u64>,
    /// The last generation of the tenant that was erased after it had been active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_generation: Option<u64>,
}

fn first() -> u64 {
    1
}

impl TenantRecord {
    /// Creates the record of a tenant whose creation begins.
    #[must_use]
    pub fn provisioning(tenant: TenantId, generation: u64, now: Timestamp) -> Self {
        Self {
            tenant,
            state: TenantState::Provisioning,
            generation,
            created_at: now,
            changed_at: now,
            reason: None,
            retain_until: None,
            creation: None,
            erasure: None,
            heartbeat: None,
            restored_parts: None,
            erased_generation: None,
        }
    }

    /// Returns whether the tenant of this generation was ever served: not while it is being restored, and not where a restore
    /// was given up.
    #[must_use]
    pub fn was_active(&self) -> bool {
        self.restored_parts.is_none()
    }

    /// Returns the last generation that was erased after it had been active; 0 where none was.
    #[must_use]
    pub fn last_erased(&self) -> u64 {
        let is_gone = matches!(self.state, TenantState::Erasing | TenantState::Erased) && self.was_active();
        match (is_gone, self.erased_generation) {
            (true, _) => self.generation,
            (false, Some(erased)) => erased,
            (false, None) => self.generation.saturating_sub(1),
        }
    }

    /// Refuses a tenant that may not be served.
    ///
    /// # Errors
    /// `FailedPrecondition` with the state, the time and the way out; `NotFound` for an erased tenant.
    pub fn require_active(&self) -> Result<()> {
        let (tenant, since) = (&self.tenant, self.changed_at);
        match self.state {
            TenantState::Active => Ok(()),
            TenantState::Provisioning => Err(Error::of(
                ErrorCode::TenantNotReady,
                format!(
                    "tenant \"{tenant}\" is being created since {since}; create it again with the same input to finish"
                ),
            )),
            TenantState::Suspended => Err(Error::of(
                ErrorCode::TenantSuspended,
                format!(
                    "tenant \"{tenant}\" is suspended since {since} ({}); reactivate it first",
                    self.reason.as_deref().unwrap_or("no reason given")
                ),
            )),
            TenantState::Erasing => Err(Error::of(
                ErrorCode::TenantErasing,
                format!("tenant \"{tenant}\" is being erased since {since}; erase it again to finish"),
            )),
            TenantState::Erased => Err(unknown(tenant)),
        }
    }
}

/// Returns the one answer for a tenant that does not exist and for one that the caller may not know of. It names no
/// other tenant ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
pub(crate) fn unknown(tenant: &TenantId) -> Error {
    let message = format!(
        "tenant \"{tenant}\" is not found or not allowed; create it by create_tenant, or give an id that you have access to"
    );
    Error::of(ErrorCode::TenantUnknown, message).with_context("tenant", tenant)
}

/// The outcome of an erasure, per surface. It holds no personal data and stays after the tenant is gone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ErasureReceipt {
    /// The state of the tenant after the call: `erased`, or `erasing` while a surface is not clean.
    pub state: TenantState,
    /// The generation that was erased.
    pub generation: u64,
    /// The time at which the erasure began.
    pub began_at: Timestamp,
    /// The time at which every surface was clean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
    /// The outcome for each surface, in the order of erasure.
    pub surfaces: Vec<SurfaceReceipt>,
}

impl ErasureReceipt {
    /// Creates the journal of an erasure that begins.
    #[must_use]
    pub fn begun(generation: u64, now: Timestamp) -> Self {
        Self { state: TenantState::Erasing, generation, began_at: now, erased_at: None, surfaces: Vec::new() }
    }

    /// Returns whether every surface is clean.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == TenantState::Erased
    }
}

/// The outcome of an erasure on one surface.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SurfaceReceipt {
    /// The name of the surface.
    pub name: String,
    /// The number of items erased, over all calls.
    pub erased: u64,
    /// The number of items left, as the read path shows; `None` where it could not be checked.
    pub remaining: Option<u64>,
    /// The time after which what was retained on purpose is gone.
    pub retained_until: Option<Timestamp>,
    /// The part retained on purpose, or why the surface could not be checked.
    pub reason: Option<String>,
    /// The error that kept the surface from being erased or checked; the tenant stays `erasing`.
    pub error: Option<String>,
}

impl SurfaceReceipt {
    /// Creates the entry of a surface of which nothing is known yet.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Returns whether the surface holds nothing of the tenant any more, except what was retained on purpose.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.error.is_none() && self.remaining == Some(0)
    }
}
