//! Tenants' telemetry configuration, brought to the pipeline before their spans begin.

use super::manager::TelemetryManager;
use crate::manager::ConfigManager;
use cogniverse_sdk::TenantId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a tenant's configuration is believed: the time within which a change of another process is seen.
const BELIEVED: Duration = Duration::from_secs(5);
/// Tenants whose last look is remembered; beyond it all are looked at again.
const REMEMBERED: usize = 100_000;

/// Brings tenants' [`crate::TelemetryConfig`] to the pipeline. Cheap to clone.
///
/// Whoever begins a tenant's first span of a request calls [`TenantTelemetry::apply`] before. Where telemetry is off that is a
/// branch.
#[derive(Debug, Clone)]
pub struct TenantTelemetry {
    telemetry: TelemetryManager,
    config: ConfigManager,
    looked_at: Arc<Mutex<HashMap<TenantId, Instant>>>,
}

impl TenantTelemetry {
    /// For a pipeline and the configuration of its tenants.
    #[must_use]
    pub fn new(telemetry: TelemetryManager, config: ConfigManager) -> Self {
        Self { telemetry, config, looked_at: Arc::default() }
    }

    /// The pipeline.
    #[must_use]
    pub fn manager(&self) -> &TelemetryManager {
        &self.telemetry
    }

    /// Takes the tenant's configuration over where the last look is older than 5 s. A configuration that cannot be read
    /// leaves the one before in force: telemetry never fails its caller.
    pub async fn apply(&self, tenant: &TenantId) {
        if !self.telemetry.is_enabled() || self.looked_at.lock().get(tenant).is_some_and(|at| at.elapsed() < BELIEVED) {
            return;
        }
        let applied = match self.config.get_telemetry_config(tenant).await {
            Ok(config) => self.telemetry.configure_tenant(tenant, &config.value),
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => {
                let mut looked_at = self.looked_at.lock();
                if looked_at.len() >= REMEMBERED {
                    looked_at.clear();
                }
                looked_at.insert(tenant.clone(), Instant::now());
            }
            Err(error) => tracing::warn!("the telemetry configuration of {tenant} is not in force: {}", error.chain()),
        }
    }

    /// Looks again at the next call.
    pub fn forget(&self, tenant: &TenantId) {
        self.looked_at.lock().remove(tenant);
    }
}
