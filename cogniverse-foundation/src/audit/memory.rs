//! An audit log in memory.

use super::page_limit;
use async_trait::async_trait;
use cogniverse_sdk::audit_log::{AuditHead, AuditVerification};
use cogniverse_sdk::{AuditEntry, AuditEvent, AuditLog, AuditPage, Clock, Result, TenantId};
use dashmap::DashMap;
use std::sync::Arc;

/// An [`AuditLog`] in memory, for tests and trials. It grows with every entry and ends with the process.
#[derive(Debug)]
pub struct InMemoryAuditLog {
    logs: DashMap<TenantId, Vec<AuditEntry>>,
    clock: Arc<dyn Clock>,
}

impl InMemoryAuditLog {
    /// Creates an empty log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { logs: DashMap::new(), clock }
    }
}

#[async_trait]
impl AuditLog for InMemoryAuditLog {
    async fn append(&self, tenant: &TenantId, actor: &str, event: AuditEvent) -> Result<AuditEntry> {
        let mut log = self.logs.entry(tenant.clone()).or_default();
        let head = log.last().map(AuditHead::after).unwrap_or_default();
        let entry = head.next(tenant, self.clock.now(), actor, event)?;
        log.push(entry.clone());
        Ok(entry)
    }

    async fn head(&self, tenant: &TenantId) -> Result<AuditHead> {
        Ok(self.logs.get(tenant).and_then(|log| log.last().map(AuditHead::after)).unwrap_or_default())
    }

    async fn read(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<AuditPage> {
        let limit = page_limit(limit)?;
        let Some(log) = self.logs.get(tenant) else { return Ok(AuditPage::new(Vec::new(), None)) };
        let entries: Vec<AuditEntry> = log.iter().filter(|entry| entry.sequence > after).take(limit).cloned().collect();
        let last = log.last().map_or(0, |last| last.sequence);
        let next = entries.last().map(|entry| entry.sequence).filter(|sequence| *sequence < last);
        Ok(AuditPage::new(entries, next))
    }

    async fn verify(&self, tenant: &TenantId) -> Result<AuditVerification> {
        // Nobody else has these entries: what was appended is what is there.
        Ok(AuditVerification::new(self.head(tenant).await?, None))
    }
}
