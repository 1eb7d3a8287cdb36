//! Exports of a tenant's configuration.

use cogniverse_sdk::config_store::ConfigEntry;
use cogniverse_sdk::{TenantId, Timestamp};

/// The complete configuration of a tenant, with all versions, as one serializable value.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConfigExport {
    /// The format of the export: [`ConfigExport::FORMAT`].
    pub format: u32,
    /// The exported tenant.
    pub tenant: TenantId,
    /// The time of the export.
    pub exported_at: Timestamp,
    /// Every version of every value, by key and then oldest first.
    pub entries: Vec<ConfigEntry>,
}

impl ConfigExport {
    /// The format that this release writes, and the only one that it reads.
    pub const FORMAT: u32 = 1;

    /// Creates an export from the entries of one tenant, by key and then oldest first.
    #[must_use]
    pub fn new(tenant: TenantId, exported_at: Timestamp, entries: Vec<ConfigEntry>) -> Self {
        Self { format: Self::FORMAT, tenant, exported_at, entries }
    }
}
