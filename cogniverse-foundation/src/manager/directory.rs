//! The directory of existing tenants.

use async_trait::async_trait;
use cogniverse_sdk::{Result, TenantId};
use std::fmt::Debug;

/// A directory of tenants. A [`ConfigManager`](super::ConfigManager) that has one writes only for tenants that it
/// knows.
#[async_trait]
pub trait TenantDirectory: Debug + Send + Sync + 'static {
    /// Checks that the tenant exists, suspended or not.
    ///
    /// # Errors
    /// `NotFound`, with the remedy, for a tenant that does not exist; any error that prevents the check, which is
    /// never reported as `NotFound`.
    async fn require_exists(&self, tenant: &TenantId) -> Result<()>;
}

const _: Option<&dyn TenantDirectory> = None;
