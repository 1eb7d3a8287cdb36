//! A tenant as a gate knows it at one moment.

use super::record::TenantRecord;
use cogniverse_foundation::ConfigSnapshot;

/// A tenant's record and configuration, read at one moment of the store where it has a change mark.
#[derive(Debug)]
pub(crate) struct TenantSnapshot {
    pub(crate) record: TenantRecord,
    pub(crate) config: ConfigSnapshot,
}
