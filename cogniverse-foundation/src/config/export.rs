//! A tenant's configuration with all its versions, as one value.

use cogniverse_sdk::config_store::ConfigEntry;
use cogniverse_sdk::{TenantId, Timestamp};

/// A tenant's configuration with all its versions, as one value that serde writes and reads.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConfigExport {
    /// The form of this value: [`ConfigExport::FORMAT`].
    pub format: u32,
    /// Whose.
    pub tenant: TenantId,
    /// When it was read.
    pub exported_at: Timestamp,
    /// Every version of every value, oldest first by key.
    pub entries: Vec<ConfigEntry>,
}

impl ConfigExport {
    /// The form this release writes, and the only one it reads.
    pub const FORMAT: u32 = 1;

    pub(crate) fn new(tenant: TenantId, exported_at: Timestamp, entries: Vec<ConfigEntry>) -> Self {
        Self { format: Self::FORMAT, tenant, exported_at, entries }
    }
}
