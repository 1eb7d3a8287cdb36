//! A tenant as a gate knows it at one moment.

use super::record::TenantRecord;
use cogniverse_foundation::{ConfigSnapshot, QuotaConfig, RoutingConfig, Versioned};
use cogniverse_sdk::{Error, Result};
use std::sync::{Arc, OnceLock};

/// A tenant's record and configuration, read at one moment of the store where it has a change mark.
#[derive(Debug)]
pub(crate) struct TenantSnapshot {
    pub(crate) record: TenantRecord,
    pub(crate) config: ConfigSnapshot,
    /// The quotas; `None` where they cannot be read, which admits no call that they count.
    quotas: Option<Arc<QuotaConfig>>,
    /// The routing configuration, once a search asked for it: what was learned makes it large.
    routing: OnceLock<Arc<Versioned<RoutingConfig>>>,
}

impl TenantSnapshot {
    pub(crate) fn new(record: TenantRecord, config: ConfigSnapshot) -> Self {
        let quotas = config.section::<QuotaConfig>().ok().map(|section| Arc::new(section.value));
        Self { record, config, quotas, routing: OnceLock::new() }
    }

    /// Returns the quotas.
    pub(crate) fn quotas(&self) -> Result<&Arc<QuotaConfig>> {
        self.quotas.as_ref().ok_or_else(|| match self.config.section::<QuotaConfig>() {
            Err(error) => error,
            Ok(_) => Error::unexpected("the quotas of a tenant were lost"),
        })
    }

    /// Returns the routing configuration, parsed once.
    pub(crate) fn routing(&self) -> Result<&Arc<Versioned<RoutingConfig>>> {
        if let Some(known) = self.routing.get() {
            return Ok(known);
        }
        let read = Arc::new(self.config.section::<RoutingConfig>()?);
        Ok(self.routing.get_or_init(|| read))
    }
}
