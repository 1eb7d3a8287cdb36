//! Recording of changes under a caller's name.

use cogniverse_sdk::{AuditEvent, AuditLog, Caller, Result, TenantId};
use std::sync::Arc;

/// A writer of audit entries in the name of one caller, or of none where there is no log.
#[derive(Debug, Clone)]
pub struct AuditRecorder {
    log: Option<Arc<dyn AuditLog>>,
    actor: Arc<str>,
}

impl Default for AuditRecorder {
    fn default() -> Self {
        Self { log: None, actor: Caller::embedder().name().into() }
    }
}

impl AuditRecorder {
    /// Creates a recorder in the name of the embedding service.
    #[must_use]
    pub fn new(log: Arc<dyn AuditLog>) -> Self {
        Self { log: Some(log), ..Self::default() }
    }

    /// Returns the same recorder for a caller.
    #[must_use]
    pub fn for_caller(&self, caller: &Caller) -> Self {
        Self { log: self.log.clone(), actor: caller.name().into() }
    }

    /// Appends an entry to a tenant's log.
    ///
    /// # Errors
    /// Any error of the log.
    pub async fn record(&self, tenant: &TenantId, event: AuditEvent) -> Result<()> {
        match &self.log {
            Some(log) => log.append(tenant, &self.actor, event).await.map(drop),
            None => Ok(()),
        }
    }
}
