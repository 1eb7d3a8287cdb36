//! The doctor: everything that can be wrong with a tenant, found in one call.

mod checks;
mod finding;

pub use finding::{Diagnosis, Finding, Severity};

use crate::{quotas::QuotaBackend, schemas::SchemaManager, tenants::Gate};
use cogniverse_foundation::ConfigManager;
use cogniverse_sdk::{EncoderInfo, Operation, Result, TenantId, TenantSurface};
use std::{collections::BTreeMap, sync::Arc};

/// Examines tenants: their records, configuration, schemas, encoders, quotas and what is kept of them.
#[derive(Debug, Clone)]
pub struct Doctor {
    gate: Gate,
    config: ConfigManager,
    schemas: SchemaManager,
    quotas: QuotaBackend,
    surfaces: Vec<Arc<dyn TenantSurface>>,
    encoders: Arc<BTreeMap<String, Vec<EncoderInfo>>>,
}

impl Doctor {
    /// Creates a doctor over the parts that it examines.
    #[must_use]
    pub fn new(gate: Gate, config: ConfigManager, schemas: SchemaManager, quotas: QuotaBackend) -> Self {
        Self { gate, config, schemas, quotas, surfaces: Vec::new(), encoders: Arc::default() }
    }

    /// Sets the surfaces whose holdings are counted.
    #[must_use]
    pub fn with_surfaces(mut self, surfaces: Vec<Arc<dyn TenantSurface>>) -> Self {
        self.surfaces = surfaces;
        self
    }

    /// Sets the registered encoders of queries and of segments, by the names that profiles use.
    #[must_use]
    pub fn with_encoders(mut self, encoders: impl IntoIterator<Item = (String, EncoderInfo)>) -> Self {
        let mut known: BTreeMap<String, Vec<EncoderInfo>> = BTreeMap::new();
        for (name, info) in encoders {
            let of_name = known.entry(name).or_default();
            if !of_name.contains(&info) {
                of_name.push(info);
            }
        }
        self.encoders = Arc::new(known);
        self
    }

    /// Returns the same doctor for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        Self { gate, ..self.clone() }
    }

    /// Examines a tenant in whatever state it is. What cannot be examined is a finding too; nothing is changed.
    ///
    /// # Errors
    /// `NotFound` for a tenant that does not exist; those of [`Gate::permit`] for administering it; any error of the store
    /// of tenants' records.
    pub async fn diagnose(&self, tenant: &TenantId) -> Result<Diagnosis> {
        self.gate.permit(tenant, Operation::Administer).await?;
        let record = self.gate.registry().get(tenant).await?;
        let mut findings = checks::of_record(&record, self.gate.clock().now());
        if record.state.exists() {
            findings.extend(checks::of_config(&self.config, tenant).await);
            findings.extend(checks::of_schemas(&self.config, &self.schemas, &self.encoders, tenant).await);
            findings.extend(checks::of_quotas(&self.quotas, tenant).await);
            findings.push(checks::of_backup(&self.gate, tenant).await);
        }
        findings.extend(checks::of_surfaces(&self.surfaces, &record).await);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(Diagnosis { tenant: tenant.clone(), state: record.state, generation: record.generation, findings })
    }
}
