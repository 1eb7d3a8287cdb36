//! The builder of the gate.

use super::{Gate, Inner, TenantRegistry};
use crate::{fairness::FairScheduler, quotas::Quotas, tenants::shared_access::SharedAccesses};
use cogniverse_foundation::{ConfigManager, telemetry::TelemetryManager};
use cogniverse_sdk::{AccessPolicy, AuditLog, Caller, Clock, SameTenant};
use dashmap::DashMap;
use parking_lot::RwLock;
use std::{sync::Arc, time::Duration};

/// The time for which a snapshot is used where the store cannot tell cheaply whether it changed.
const STALENESS: Duration = Duration::from_secs(1);

/// A builder of a [`Gate`].
#[derive(Debug)]
pub struct GateBuilder {
    quotas: Option<Quotas>,
    scheduler: Option<FairScheduler>,
    config: ConfigManager,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    policy: Arc<dyn AccessPolicy>,
    staleness: Duration,
    telemetry: Option<TelemetryManager>,
}

impl GateBuilder {
    /// Sets the policy for named callers (default [`SameTenant`]).
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn AccessPolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how long a snapshot is used where the store has no change mark (default 1 s).
    #[must_use]
    pub fn with_staleness(mut self, staleness: Duration) -> Self {
        self.staleness = staleness;
        self
    }

    /// Applies each tenant's telemetry configuration to a pipeline, before its first span.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TelemetryManager) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Counts calls against the quotas of tenants, and refuses what is beyond them.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = Some(quotas);
        self
    }

    /// Tells a scheduler the weights of tenants.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: FairScheduler) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// Builds the gate, whose caller is the embedding service.
    #[must_use]
    pub fn build(self) -> Gate {
        let Self { quotas, scheduler, config, audit, clock, policy, staleness, telemetry } = self;
        let store = Arc::clone(config.store());
        let inner = Inner {
            quotas,
            scheduler,
            registry: TenantRegistry::new(Arc::clone(&store)),
            accesses: SharedAccesses::new(store),
            config,
            policy,
            audit,
            clock,
            staleness,
            telemetry,
            tenants: DashMap::new(),
            denials: DashMap::new(),
            caches: RwLock::default(),
        };
        Gate {
            inner: Arc::new(inner),
            caller: Arc::new(Caller::embedder()),
            name: Caller::embedder().name().into(),
            is_counted: true,
        }
    }
}

impl Gate {
    /// Creates a builder over the configuration, in whose store the tenants' records lie, and an audit log.
    #[must_use]
    pub fn builder(config: ConfigManager, audit: Arc<dyn AuditLog>, clock: Arc<dyn Clock>) -> GateBuilder {
        GateBuilder {
            quotas: None,
            scheduler: None,
            config,
            audit,
            clock,
            policy: Arc::new(SameTenant),
            staleness: STALENESS,
            telemetry: None,
        }
    }
}
