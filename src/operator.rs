//! The operator's view: the parts behind the gate.

use crate::Cogniverse;
use cogniverse_core::{
    fairness::FairScheduler,
    guarded_backend::GuardedBackend,
    health::{Health, HealthEvents, HealthMonitor},
    isolation::IsolationReport,
    lifecycle::{ErasureSweep, TenantLifecycle},
    metrics::ModalityMetricsTracker,
    models::ModelRegistry,
    quotas::Quotas,
    schemas::SchemaManager,
    tenants::{Gate, TenantRecord, TenantRegistry},
};
use cogniverse_foundation::ConfigManager;
use cogniverse_sdk::{AuditLog, PageCursor, Result, SearchBackend};
use std::{sync::Arc, time::Duration};

/// The parts behind the gate, for the service that embeds this library and for its operators.
///
/// **Nothing is checked here**: no caller, no policy, no state of a tenant. Whoever holds this can read and change every
/// tenant's data. Give customers' calls a handle of [`Cogniverse::for_caller`].
#[derive(Debug, Clone, Copy)]
pub struct Operator<'c>(&'c Cogniverse);

impl Cogniverse {
    /// Returns the parts behind the gate, where **nothing is checked**.
    #[must_use]
    pub fn operator(&self) -> Operator<'_> {
        Operator(self)
    }
}

impl<'c> Operator<'c> {
    /// Returns the backend. Its answers are verified against the tenant schema that was asked for, and nothing else is.
    #[must_use]
    pub fn backend(&self) -> &'c Arc<dyn SearchBackend> {
        &self.0.parts.dyn_backend
    }

    /// Returns the guard around the backend, over which services of one's own are built.
    #[must_use]
    pub fn guarded_backend(&self) -> &'c GuardedBackend {
        &self.0.parts.backend
    }

    /// Returns the manager of tenants' schemas.
    #[must_use]
    pub fn schemas(&self) -> &'c SchemaManager {
        &self.0.schemas
    }

    /// Returns the manager of tenants' configuration.
    #[must_use]
    pub fn config(&self) -> &'c ConfigManager {
        &self.0.config
    }

    /// Returns the registry of all tenants.
    #[must_use]
    pub fn tenants(&self) -> &'c TenantRegistry {
        self.0.gate.registry()
    }

    /// Returns the lifecycle of tenants, with the calls that span tenants.
    #[must_use]
    pub fn lifecycle(&self) -> &'c TenantLifecycle {
        &self.0.lifecycle
    }

    /// Returns the gate.
    #[must_use]
    pub fn gate(&self) -> &'c Gate {
        &self.0.gate
    }

    /// Returns the audit log.
    #[must_use]
    pub fn audit(&self) -> &'c Arc<dyn AuditLog> {
        self.0.gate.audit()
    }

    /// Returns the registry of tenants' language models.
    #[must_use]
    pub fn models(&self) -> &'c ModelRegistry {
        &self.0.parts.models
    }

    /// Returns what tenants used of their quotas, and the limits.
    #[must_use]
    pub fn quotas(&self) -> &'c Quotas {
        &self.0.parts.quotas
    }

    /// Returns the metrics of tenants' searches in this process.
    #[must_use]
    pub fn metrics(&self) -> &'c ModalityMetricsTracker {
        &self.0.parts.metrics
    }

    /// Returns the scheduler in front of the backend.
    #[must_use]
    pub fn scheduler(&self) -> &'c FairScheduler {
        &self.0.parts.scheduler
    }

    /// Asks every part of the service, and looks at the records of its tenants, whose ids are in the answer.
    pub async fn health(&self) -> Health {
        self.0.parts.health.health().await
    }

    /// Looks at the health of the service once every `interval`, and tells what changed until the monitor is dropped.
    #[must_use]
    pub fn watch_health(&self, interval: Duration) -> (HealthMonitor, HealthEvents) {
        HealthMonitor::start(self.0.parts.health.clone(), interval)
    }

    /// Checks the isolation of all tenants against each other.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::isolation::IsolationVerifier::verify_all`].
    pub async fn verify_isolation_of_all(&self) -> Result<IsolationReport> {
        self.0.parts.isolation.for_caller(self.0.gate.clone()).verify_all().await
    }

    /// Returns one page of the suspended tenants whose retention is over.
    ///
    /// # Errors
    /// Those of [`TenantLifecycle::expired`].
    pub async fn expired(&self, after: Option<PageCursor>) -> Result<(Vec<TenantRecord>, Option<PageCursor>)> {
        self.0.lifecycle.expired(after).await
    }

    /// Erases the suspended tenants whose retention is over.
    ///
    /// # Errors
    /// Those of [`TenantLifecycle::erase_expired`].
    pub async fn erase_expired(&self) -> Result<ErasureSweep> {
        self.0.lifecycle.erase_expired().await
    }
}
