//! Findings of an examination.

use crate::tenants::TenantState;
use cogniverse_sdk::TenantId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// A fact, with nothing to do.
    Info,
    /// The tenant is served, and something will or may go wrong.
    Warning,
    /// Something does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stable code, such as `schema_fields_differ`; `docs/doctor.md` lists all.
    pub code: String,
    /// The weight.
    pub severity: Severity,
    /// The fact.
    pub message: String,
    /// The remedy; empty for a fact with nothing to do.
    pub remedy: String,
}

impl Finding {
    /// Creates a fact.
    #[must_use]
    pub fn info(code: &str, message: impl Into<String>) -> Self {
        Self::of(Severity::Info, code, message, "")
    }

    /// Creates a warning.
    #[must_use]
    pub fn warning(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(Severity::Warning, code, message, remedy)
    }

    /// Creates an error.
    #[must_use]
    pub fn error(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(Severity::Error, code, message, remedy)
    }

    fn of(severity: Severity, code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: code.to_owned(), severity, message: message.into(), remedy: remedy.into() }
    }
}

/// The result of an examination, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The tenant.
    pub tenant: TenantId,
    /// Its state.
    pub state: TenantState,
    /// Its generation.
    pub generation: u64,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Returns whether nothing is wrong; warnings may be there.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }
}

/// A line for each finding, with its remedy below it.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is {} (generation {})", self.tenant, self.state, self.generation)?;
        for finding in &self.findings {
            writeln!(f, "{:<8} {:<28} {}", finding.severity, finding.code, finding.message)?;
            if !finding.remedy.is_empty() {
                writeln!(f, "{:<8} {:<28} -> {}", "", "", finding.remedy)?;
            }
        }
        Ok(())
    }
}
