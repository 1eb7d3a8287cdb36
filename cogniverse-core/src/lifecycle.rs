//! The lifecycle of tenants: creation, suspension, reactivation and erasure.
//!
//! ```text
//! provisioning -> active <-> suspended -> erasing -> erased -> (created again, as the next generation)
//!       \________________________________/
//! ```
//!
//! Every move is a compare-and-set of the tenant's record, so that of two calls at once, in whatever processes, one
//! wins. A call that a crash interrupts is finished by making it again.

mod create;
mod erase;
mod journal;
mod moves;
mod restore;

pub use create::NewTenant;
pub use erase::{ErasurePlan, ErasureSweep, PlannedSurface};
pub use moves::{Suspend, Suspension};
pub(crate) use restore::RestoreTurn;

use crate::{memory::MemoryService, schemas::SchemaManager, tenants::Gate};
use cogniverse_foundation::{ConfigManager, telemetry::TelemetryManager};
use cogniverse_sdk::{TenantId, TenantSurface};
use dashmap::DashMap;
use std::{sync::Arc, time::Duration};

/// The time that a suspension waits for calls in flight.
const SETTLE: Duration = Duration::from_secs(1);
/// The time without a sign of life after which another process's erasure is taken over.
const LEASE: Duration = Duration::from_secs(10);

/// The moves of tenants between states. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TenantLifecycle {
    gate: Gate,
    config: ConfigManager,
    schemas: SchemaManager,
    memory: Option<MemoryService>,
    telemetry: Option<TelemetryManager>,
    surfaces: Arc<Vec<Arc<dyn TenantSurface>>>,
    settle: Duration,
    lease: Duration,
    /// One move of a tenant at a time in this process.
    moving: Arc<DashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>,
}

impl TenantLifecycle {
    /// Creates a lifecycle over a gate, the configuration and the schemas, without surfaces.
    #[must_use]
    pub fn new(gate: Gate, config: ConfigManager, schemas: SchemaManager) -> Self {
        Self {
            gate,
            config,
            schemas,
            memory: None,
            telemetry: None,
            surfaces: Arc::default(),
            settle: SETTLE,
            lease: LEASE,
            moving: Arc::default(),
        }
    }

    /// Sets the memory service, whose schema [`NewTenant::with_memories`] deploys.
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryService) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Sets the telemetry pipeline, which accepts the spans of a tenant again that is created anew.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TelemetryManager) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Sets the surfaces, in the order of their erasure. What an earlier one needs to know comes later.
    #[must_use]
    pub fn with_surfaces(mut self, surfaces: Vec<Arc<dyn TenantSurface>>) -> Self {
        self.surfaces = Arc::new(surfaces);
        self
    }

    /// Sets how long a suspension waits for calls in flight (default 1 s).
    #[must_use]
    pub fn with_settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Sets how long another process may show no sign of life before its erasure is taken over (default 10 s). Zero
    /// where no other process can use the backend.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns the same lifecycle for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        let (config, schemas) = (self.config.for_caller(gate.caller()), self.schemas.for_caller(gate.caller()));
        Self { gate, config, schemas, ..self.clone() }
    }

    /// Returns the surfaces, in the order of their erasure.
    #[must_use]
    pub fn surfaces(&self) -> &[Arc<dyn TenantSurface>] {
        &self.surfaces
    }

    /// Waits until no other call of this process moves the tenant, and keeps others from it.
    async fn alone(&self, tenant: &TenantId) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = Arc::clone(&self.moving.entry(tenant.clone()).or_default());
        let guard = lock.lock_owned().await;
        // Kept small: whoever waits holds the lock's own reference.
        if self.moving.len() > 1024 {
            self.moving.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        guard
    }
}
