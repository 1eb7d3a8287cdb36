//! Access of callers to tenants that they do not belong to.

use cogniverse_sdk::{
    CallerId, ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ConfigStore, Error, ErrorCode, ErrorKind, Expected,
    Operation, Result, TenantId, Timestamp,
    config_store::{ListConfig, PutConfig},
};
use std::{collections::BTreeSet, sync::Arc};

/// Read access of one caller to one tenant that it does not belong to. It has a reason and an end, and can be revoked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SharedAccess {
    /// The caller.
    pub caller: CallerId,
    /// The tenant that may be read.
    pub tenant: TenantId,
    /// The generation of the tenant; the access ends with it.
    pub generation: u64,
    /// The operations, all of which change nothing.
    pub operations: BTreeSet<Operation>,
    /// The reason.
    pub reason: String,
    /// The end of the access.
    pub expires_at: Timestamp,
    /// The caller that shared it, as [`cogniverse_sdk::Caller::name`].
    pub shared_by: String,
    /// The time at which it was shared.
    pub shared_at: Timestamp,
}

impl SharedAccess {
    /// Returns whether the access covers an operation on a generation of the tenant at a time.
    #[must_use]
    pub fn covers(&self, operation: Operation, generation: u64, now: Timestamp) -> bool {
        self.generation == generation
            && operation.is_read()
            && self.operations.contains(&operation)
            && now < self.expires_at
    }
}

/// A request to share access.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareAccess {
    /// The caller to give access to.
    pub caller: CallerId,
    /// The operations.
    pub operations: BTreeSet<Operation>,
    /// The reason, which is recorded in the audit log.
    pub reason: String,
    /// The end of the access.
    pub expires_at: Timestamp,
}

impl ShareAccess {
    /// Creates a request without operations.
    #[must_use]
    pub fn new(caller: CallerId, reason: impl Into<String>, expires_at: Timestamp) -> Self {
        Self { caller, operations: BTreeSet::new(), reason: reason.into(), expires_at }
    }

    /// Adds an operation.
    #[must_use]
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.operations.insert(operation);
        self
    }

    /// Checks the request at a time.
    ///
    /// # Errors
    /// `InvalidInput` without an operation, for one that changes something, without a reason, or for an end in the past.
    pub fn check(&self, now: Timestamp) -> Result<()> {
        if self.operations.is_empty() {
            return Err(Error::invalid("access to no operation; name at least one, such as search"));
        }
        if let Some(operation) = self.operations.iter().find(|operation| !operation.is_read()) {
            return Err(Error::invalid(format!(
                "{operation} changes the tenant and cannot be shared; share reads only"
            )));
        }
        if self.reason.trim().is_empty() {
            return Err(Error::invalid("access without a reason; say what it is for"));
        }
        if self.expires_at <= now {
            let message = format!("the access would have ended at {}; give a time after {now}", self.expires_at);
            return Err(Error::invalid(message));
        }
        Ok(())
    }
}

/// The stored accesses, in the system's configuration.
#[derive(Debug, Clone)]
pub(crate) struct SharedAccesses {
    store: Arc<dyn ConfigStore>,
}

/// Each tenant's accesses are a service of their own, so that they can be listed without the others'.
fn service(tenant: &TenantId) -> String {
    format!("access:{tenant}")
}

fn key(tenant: &TenantId, caller: &CallerId) -> ConfigKey {
    ConfigKey::new(ConfigOwner::System, ConfigScope::System, service(tenant), caller.as_str())
}

fn parse(tenant: &TenantId, entry: ConfigEntry) -> Result<SharedAccess> {
    let caller = entry.key.key.clone();
    let access: Option<SharedAccess> = entry.value.and_then(|value| serde_json::from_value(value).ok());
    // Exact: an access that speaks of others is damage, whatever key it is under.
    access.filter(|access| access.tenant == *tenant && access.caller.as_str() == caller).ok_or_else(|| {
        let message =
            format!("the access of a caller to tenant \"{tenant}\" cannot be read; revoke it and share it again");
        Error::new(ErrorKind::Corrupt, message)
    })
}

impl SharedAccesses {
    pub(crate) fn new(store: Arc<dyn ConfigStore>) -> Self {
        Self { store }
    }

    pub(crate) async fn find(&self, tenant: &TenantId, caller: &CallerId) -> Result<Option<SharedAccess>> {
        let found = self.store.get(&key(tenant, caller), None).await?;
        found.filter(|entry| entry.value.is_some()).map(|entry| parse(tenant, entry)).transpose()
    }

    pub(crate) async fn put(&self, access: &SharedAccess) -> Result<()> {
        let value = serde_json::to_value(access)
            .map_err(|e| Error::unexpected("an access cannot be written").with_source(e))?;
        self.store.put(PutConfig::new(key(&access.tenant, &access.caller), value)).await.map(drop)
    }

    pub(crate) async fn remove(&self, tenant: &TenantId, caller: &CallerId) -> Result<()> {
        match self.store.delete(&key(tenant, caller), Expected::Any).await {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let message = format!("caller \"{caller}\" has no access to tenant \"{tenant}\"");
                Err(Error::of(ErrorCode::NotFound, message))
            }
            Err(e) => Err(e),
        }
    }

    /// Returns the callers that have access to a tenant, expired ones included, ordered by caller.
    pub(crate) async fn list(&self, tenant: &TenantId) -> Result<Vec<SharedAccess>> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let list = ListConfig::new(ConfigOwner::System).within(ConfigScope::System, service(tenant)).after(after);
            let page = self.store.list(list).await?;
            for entry in page.entries {
                found.push(parse(tenant, entry)?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}
