//! Leave to look across tenants, and who had it.

use cogniverse_sdk::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    fmt,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Leave to look across tenants: for whom, why, and until when. There is no other way to ask about more than one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrossTenantGrant {
    who: String,
    reason: String,
    expires: Timestamp,
}

impl CrossTenantGrant {
    /// Leave for a person, with a reason.
    ///
    /// # Errors
    /// `InvalidInput` without a person or a reason, or where it has expired.
    pub fn new(who: impl Into<String>, reason: impl Into<String>, expires: Timestamp) -> Result<Self> {
        let grant = Self { who: who.into(), reason: reason.into(), expires };
        if grant.who.trim().is_empty() || grant.reason.trim().is_empty() {
            return Err(Error::invalid("a look across tenants needs a person and a reason"));
        }
        grant.check().map(|()| grant)
    }

    /// Refuses what has expired.
    pub(crate) fn check(&self) -> Result<()> {
        if self.expires <= Timestamp::now() {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                format!(
                    "the leave of {} to look across tenants ended at {}; ask for a new one",
                    self.who, self.expires
                ),
            ));
        }
        Ok(())
    }
}

/// One line of an audit log.
#[derive(Debug, Serialize)]
pub struct AuditEntry<'a> {
    /// When.
    pub at: Timestamp,
    /// By whose leave.
    pub grant: &'a CrossTenantGrant,
    /// What was looked at.
    pub projects: Vec<&'a str>,
}

/// Keeps who looked across tenants. Written before the look: where it cannot be written, nothing is looked at.
pub trait AuditLog: fmt::Debug + Send + Sync + 'static {
    /// Keeps an entry, durably.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn record(&self, entry: &AuditEntry<'_>) -> Result<()>;
}

/// An audit log as a file of JSON lines, each brought to the disk before the look.
#[derive(Debug)]
pub struct FileAuditLog {
    path: PathBuf,
    /// One line at a time.
    writing: Mutex<()>,
}

impl FileAuditLog {
    /// Appends to a file, made where it does not exist.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), writing: Mutex::new(()) }
    }
}

impl AuditLog for FileAuditLog {
    fn record(&self, entry: &AuditEntry<'_>) -> Result<()> {
        let failed = |e: std::io::Error| {
            let file = self.path.display();
            Error::new(
                ErrorKind::Unavailable,
                format!("the audit log {file} cannot be written, so nothing was looked at"),
            )
            .with_source(e)
        };
        let mut line = serde_json::to_vec(entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        let _one = self.writing.lock().map_err(|_| Error::unexpected("an earlier audit entry failed half way"))?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)
    }
}
