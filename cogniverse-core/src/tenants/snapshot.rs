//! A tenant as a gate knows it at one moment.

use super::record::TenantRecord;
use cogniverse_foundation::{ConfigSnapshot, QuotaConfig};
use cogniverse_sdk::{Error, Result};
use std::sync::Arc;

/// A tenant's record and configuration, read at one moment of the store where it has a change mark.
#[derive(Debug)]
pub(crate) struct TenantSnapshot {
    pub(crate) record: TenantRecord,
    pub(crate) config: ConfigSnapshot,
    /// The quotas; `None` where they cannot be read, which admits no call that they count.
    quotas: Option<Arc<QuotaConfig>>,
}

impl TenantSnapshot {
    pub(crate) fn new(record: TenantRecord, config: ConfigSnapshot) -> Self {
        let quotas = config.section::<QuotaConfig>().ok().map(|section| Arc::new(section.value));
        Self { record, config, quotas }
    }

    /// Returns the quotas.
    pub(crate) fn quotas(&self) -> Result<&Arc<QuotaConfig>> {
        self.quotas.as_ref().ok_or_else(|| match self.config.section::<QuotaConfig>() {
            Err(error) => error,
            Ok(_) => Error::unexpected("the quotas of a tenant were lost"),
        })
    }
}
