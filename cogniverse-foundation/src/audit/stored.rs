//! An audit log beside the configuration.

use super::page_limit;
use async_trait::async_trait;
use cogniverse_sdk::audit_log::{AuditHead, AuditVerification, BrokenEntry};
use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, PutConfig};
use cogniverse_sdk::{
    AuditEntry, AuditEvent, AuditLog, AuditPage, Clock, ConfigOwner, ConfigScope, ConfigStore, Error, ErrorKind,
    Expected, Result, Retry, TenantId,
};
use dashmap::DashMap;
use std::{sync::Arc, time::Duration};

/// The service under which logs are stored, in the system's configuration, so that they outlive a tenant's.
const SERVICE: &str = "audit";
/// The number of times that an append is retried because another one came first.
const ATTEMPTS: u32 = 64;
/// The number of tenants whose last entry is remembered.
const REMEMBERED: usize = 4096;
/// The number of entries read together.
const PAGE: usize = 500;

/// An [`AuditLog`] in a [`ConfigStore`]: each entry is the next version of one value per tenant, so that the store's
/// compare-and-set numbers the entries, across processes and on whatever the configuration is kept.
#[derive(Debug, Clone)]
pub struct StoredAuditLog {
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
    /// The last entries that this process appended: the next append begins there, and reads only where another process
    /// came first.
    heads: Arc<DashMap<TenantId, AuditHead>>,
}

impl StoredAuditLog {
    /// Creates a log in a configuration store.
    #[must_use]
    pub fn new(store: Arc<dyn ConfigStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, heads: Arc::default() }
    }

    /// Returns the stored entries after a number, oldest first.
    async fn stored(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<Vec<ConfigEntry>> {
        let before = after.saturating_add(limit as u64).saturating_add(1);
        let page = self.store.history(&key(tenant), Some(before), limit).await?;
        let mut entries: Vec<ConfigEntry> = page.entries.into_iter().filter(|entry| entry.version > after).collect();
        entries.reverse();
        Ok(entries)
    }

    async fn newest(&self, tenant: &TenantId) -> Result<AuditHead> {
        let Some(newest) = self.store.get(&key(tenant), None).await? else { return Ok(AuditHead::default()) };
        let hash = newest.value.as_ref().and_then(|value| value.get("hash")?.as_str());
        let hash = hash.ok_or_else(|| {
            let message =
                format!("audit entry {} of tenant \"{tenant}\" cannot be read; verify the log", newest.version);
            Error::new(ErrorKind::Corrupt, message)
        })?;
        Ok(AuditHead { sequence: newest.version, hash: hash.to_owned() })
    }

    /// Returns the head that an entry must follow, from the entry before it.
    async fn head_before(&self, tenant: &TenantId, sequence: u64) -> Result<AuditHead> {
        if sequence <= 1 {
            return Ok(AuditHead::default());
        }
        let before = self.store.get(&key(tenant), Some(sequence - 1)).await?.and_then(|entry| entry.value);
        let hash = before.as_ref().and_then(|value| value.get("hash")?.as_str()).unwrap_or_default();
        Ok(AuditHead { sequence: sequence - 1, hash: hash.to_owned() })
    }
}

fn key(tenant: &TenantId) -> ConfigKey {
    ConfigKey::new(ConfigOwner::System, ConfigScope::System, SERVICE, tenant.as_str())
}

fn follow(head: &AuditHead, tenant: &TenantId, stored: &ConfigEntry) -> Result<AuditEntry> {
    let missing = || Error::new(ErrorKind::Corrupt, format!("audit entry {}: it was deleted", head.sequence + 1));
    if stored.version != head.sequence + 1 {
        return Err(Error::new(ErrorKind::Corrupt, format!("audit entry {}: it is missing", head.sequence + 1)));
    }
    head.follow(tenant, stored.value.as_ref().ok_or_else(missing)?)
}

#[async_trait]
impl AuditLog for StoredAuditLog {
    async fn append(&self, tenant: &TenantId, actor: &str, event: AuditEvent) -> Result<AuditEntry> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let remembered = if attempt == 0 { self.heads.get(tenant).map(|head| head.clone()) } else { None };
            let head = match remembered {
                Some(head) => head,
                None => self.newest(tenant).await?,
            };
            let entry = head.next(tenant, self.clock.now(), actor, event.clone())?;
            let expected = if head.sequence == 0 { Expected::Absent } else { Expected::Version(head.sequence) };
            match self.store.put(PutConfig::new(key(tenant), entry.to_json()?).expecting(expected)).await {
                Ok(_) => {
                    if self.heads.len() >= REMEMBERED {
                        self.heads.clear();
                    }
                    self.heads.insert(tenant.clone(), AuditHead::after(&entry));
                    return Ok(entry);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => last = Some(error),
                Err(error) => return Err(error.with_operation("append to the audit log")),
            }
            tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(10)))).await;
        }
        Err(last.unwrap_or_else(|| Error::unexpected("an audit entry was never tried")).with_retry(Retry::Exhausted))
    }

    async fn head(&self, tenant: &TenantId) -> Result<AuditHead> {
        self.newest(tenant).await
    }

    async fn read(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<AuditPage> {
        let limit = page_limit(limit)?;
        let mut head = self.head_before(tenant, after.saturating_add(1)).await?;
        let mut entries = Vec::new();
        for stored in self.stored(tenant, after, limit).await? {
            let entry = follow(&head, tenant, &stored)?;
            head = AuditHead::after(&entry);
            entries.push(entry);
        }
        let next = match entries.last() {
            Some(last) if entries.len() == limit => {
                let newest = self.store.get(&key(tenant), None).await?.map_or(0, |newest| newest.version);
                (newest > last.sequence).then_some(last.sequence)
            }
            _ => None,
        };
        Ok(AuditPage::new(entries, next))
    }

    async fn verify(&self, tenant: &TenantId) -> Result<AuditVerification> {
        let newest = match self.store.get(&key(tenant), None).await {
            Ok(newest) => newest.map_or(0, |newest| newest.version),
            // The newest row itself is damaged: what is before it is checked, and then it is named.
            Err(error) if error.kind() == ErrorKind::Corrupt => u64::MAX,
            Err(error) => return Err(error),
        };
        let mut head = AuditHead::default();
        while head.sequence < newest {
            let page = match self.stored(tenant, head.sequence, PAGE).await {
                Ok(page) if page.is_empty() && newest == u64::MAX => break,
                Ok(page) => page,
                // A row of the page is damaged below what an entry says: found one by one.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    match self.store.get(&key(tenant), Some(head.sequence + 1)).await {
                        Ok(entry) => entry.into_iter().collect(),
                        Err(error) if error.kind() == ErrorKind::Corrupt => {
                            let broken = BrokenEntry::new(head.sequence + 1, error.message());
                            return Ok(AuditVerification::new(head, Some(broken)));
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            };
            if page.is_empty() {
                let broken = BrokenEntry::new(head.sequence + 1, "it is missing");
                return Ok(AuditVerification::new(head, Some(broken)));
            }
            for stored in page {
                match follow(&head, tenant, &stored) {
                    Ok(entry) => head = AuditHead::after(&entry),
                    Err(error) => {
                        let broken = BrokenEntry::new(head.sequence + 1, error.chain());
                        return Ok(AuditVerification::new(head, Some(broken)));
                    }
                }
            }
        }
        Ok(AuditVerification::new(head, None))
    }
}
