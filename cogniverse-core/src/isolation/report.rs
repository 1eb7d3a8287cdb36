//! The report of a check of isolation.

use cogniverse_sdk::{TenantId, Timestamp, isolation::Attack};
use serde::Serialize;
use std::fmt;

/// The number of checks that held which a report lists; of more it keeps the number. Those that failed are all listed.
const LISTED: usize = 20_000;

/// One attempt to reach the canary of another tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IsolationCheck {
    /// The surface, such as `documents`.
    pub surface: String,
    /// The way that was tried, such as `video_text_minilm_mv_segment/search:bm25_only`.
    pub attack: String,
    /// The tenant whose canary was planted.
    pub from: TenantId,
    /// The tenant that tried to reach it.
    pub to: TenantId,
    /// Whether nothing was reached, by an attempt that would have reached something if it could.
    pub ok: bool,
    /// The observation. It holds no text of a tenant.
    pub evidence: String,
}

/// A surface whose isolation could not be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UncheckedSurface {
    /// The surface.
    pub surface: String,
    /// The reason.
    pub reason: String,
}

/// The result of a check of isolation: a table of surfaces and attacks with the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IsolationReport {
    /// Whether every check held.
    pub isolated: bool,
    /// The checks, in the order in which they were made.
    pub checks: Vec<IsolationCheck>,
    /// The number of checks that held and are not listed, beyond the first 20,000.
    pub not_listed: u64,
    /// The surfaces that were not checked, each with the reason.
    pub not_checked: Vec<UncheckedSurface>,
    /// The time at which the check began.
    pub began_at: Timestamp,
    /// The time at which it ended.
    pub ended_at: Timestamp,
}

impl IsolationReport {
    pub(super) fn begun(at: Timestamp) -> Self {
        let (checks, not_checked) = (Vec::new(), Vec::new());
        Self { isolated: true, checks, not_listed: 0, not_checked, began_at: at, ended_at: at }
    }

    pub(super) fn add(&mut self, surface: &str, from: &TenantId, to: &TenantId, attempt: Attack) {
        let Attack { name, ok, evidence, .. } = attempt;
        self.isolated &= ok;
        if ok && self.checks.len() >= LISTED {
            self.not_listed += 1;
            return;
        }
        let (surface, from, to) = (surface.to_owned(), from.clone(), to.clone());
        self.checks.push(IsolationCheck { surface, attack: name, from, to, ok, evidence });
    }

    pub(super) fn leave_out(&mut self, surface: &str, reason: String) {
        let unchecked = UncheckedSurface { surface: surface.to_owned(), reason };
        if !self.not_checked.contains(&unchecked) {
            self.not_checked.push(unchecked);
        }
    }

    /// Returns the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &IsolationCheck> {
        self.checks.iter().filter(|check| !check.ok)
    }
}

/// The verdict, and a line for each check that failed.
impl fmt::Display for IsolationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = (self.checks.len() as u64 + self.not_listed, self.failed().count());
        write!(f, "{failed} of {all} checks failed, {} surfaces not checked", self.not_checked.len())?;
        for IsolationCheck { surface, attack, from, to, evidence, .. } in self.failed() {
            write!(f, "\n{surface} {attack}, of {from} from {to}: {evidence}")?;
        }
        Ok(())
    }
}
