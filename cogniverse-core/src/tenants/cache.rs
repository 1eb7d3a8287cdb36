//! The role of caches of tenants' data.

use cogniverse_sdk::TenantId;

/// A cache of tenants' data ([invariant 4](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#4)).
pub trait TenantCache: std::fmt::Debug + Send + Sync + 'static {
    /// Evicts everything of the tenant at once.
    fn forget_tenant(&self, tenant: &TenantId);

    /// Returns the number of entries of the tenant.
    fn holds(&self, tenant: &TenantId) -> u64;
}
