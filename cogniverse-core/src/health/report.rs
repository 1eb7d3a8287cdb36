//! The report of a service's health.

use crate::fairness::FairnessStats;
use cogniverse_sdk::Error;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// Whether a service can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthStatus {
    /// Every part works.
    Ready,
    /// Tenants are served, and a part that is not required does not work, or a backend answered another tenant's documents.
    Degraded,
    /// A required part does not work.
    Unavailable,
}

impl HealthStatus {
    /// Returns the HTTP status of a readiness endpoint: 200, or 503 where nobody can be served.
    #[must_use]
    pub fn http_status(self) -> u16 {
        if self == Self::Unavailable { 503 } else { 200 }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        })
    }
}

/// The health of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartHealth {
    /// The name of the part.
    pub name: String,
    /// Whether nobody can be served without it.
    pub required: bool,
    /// The time that the answer took, in milliseconds.
    pub took_ms: u64,
    /// The detail of a part that works, such as a version.
    pub detail: Option<String>,
    /// The reason why it does not work; `None` where it does.
    pub error: Option<String>,
}

impl PartHealth {
    pub(super) fn working(name: &str, required: bool, took: Duration, detail: String) -> Self {
        let detail = Some(detail).filter(|detail| !detail.is_empty());
        Self { name: name.to_owned(), required, took_ms: milliseconds(took), detail, error: None }
    }

    pub(super) fn failed(name: &str, required: bool, took: Duration, error: &Error) -> Self {
        let error = Some(error.chain().to_string());
        Self { name: name.to_owned(), required, took_ms: milliseconds(took), detail: None, error }
    }

    /// Returns whether the part works.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.error.is_none()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A tenant that an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TenantInTrouble {
    /// The id of the tenant, as its record is stored.
    pub tenant: String,
    /// The code of the finding, as the doctor has it.
    pub code: String,
    /// The reason.
    pub why: String,
}

/// The health of a service. It names tenants: show it to operators, and the status to everybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether it can serve.
    pub status: HealthStatus,
    /// The parts, those that do not work first.
    pub parts: Vec<PartHealth>,
    /// The number of tenants by state.
    pub tenants: BTreeMap<String, u64>,
    /// The tenants in trouble, at most 100 of them.
    pub in_trouble: Vec<TenantInTrouble>,
    /// The number of all tenants in trouble.
    pub in_trouble_count: u64,
    /// The hits and documents of other tenants that the backend answered since the start. Any number above 0 is a bug of
    /// the backend.
    pub leaked: u64,
    /// The calls at the backend and those that wait.
    pub scheduler: FairnessStats,
}

impl Health {
    pub(super) fn judged(&self) -> HealthStatus {
        let fails = |required: bool| self.parts.iter().any(|part| !part.is_ok() && part.required == required);
        match () {
            () if fails(true) => HealthStatus::Unavailable,
            () if fails(false) || self.leaked > 0 => HealthStatus::Degraded,
            () => HealthStatus::Ready,
        }
    }
}
