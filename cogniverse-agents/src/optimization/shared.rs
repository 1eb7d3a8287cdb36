//! The parts of one orchestrator that its steps share.

use super::{report::OptimizationOptions, state::StoredState};
use crate::experience::ExperienceRecorder;
use cogniverse_core::{
    models::ModelRegistry,
    tenants::{Gate, TenantGrant},
};
use cogniverse_foundation::{ConfigManager, telemetry::TraceId};
use cogniverse_sdk::{Operation, Result, TelemetryProvider, TenantId};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The parts that an optimization works with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OptimizationParts {
    /// The gate that admits each step.
    pub gate: Gate,
    /// The configuration that is optimized.
    pub config: ConfigManager,
    /// The experiences that it learns from.
    pub experience: ExperienceRecorder,
    /// The models, one of which is the judge.
    pub models: ModelRegistry,
    /// The trace store; without it nothing is asked of people there, and what users do is all there is.
    pub traces: Option<Arc<dyn TelemetryProvider>>,
}

impl OptimizationParts {
    /// Creates parts without a trace store.
    #[must_use]
    pub fn new(gate: Gate, config: ConfigManager, experience: ExperienceRecorder, models: ModelRegistry) -> Self {
        Self { gate, config, experience, models, traces: None }
    }

    /// Sets the trace store.
    #[must_use]
    pub fn with_traces(mut self, traces: Option<Arc<dyn TelemetryProvider>>) -> Self {
        self.traces = traces;
        self
    }
}

/// One orchestrator, as its steps see it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tenant: TenantId,
    pub(super) options: OptimizationOptions,
    pub(super) parts: OptimizationParts,
    pub(super) state: StoredState,
    pub(super) id: String,
    generation: Arc<AtomicU64>,
    /// One step at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(parts: OptimizationParts, tenant: TenantId, options: OptimizationOptions) -> Self {
        let store = Arc::clone(parts.experience.store());
        let (clock, generation) = (Arc::clone(parts.gate.clock()), Arc::new(AtomicU64::new(0)));
        let state = StoredState { store, tenant: tenant.clone(), clock, generation: Arc::clone(&generation) };
        let (id, turn) = (TraceId::random().to_string(), tokio::sync::Mutex::default());
        Self { tenant, options, parts, state, id, generation, turn }
    }

    /// Admits a step, for the generation of the tenant that the first one was admitted for.
    pub(super) async fn admit(&self) -> Result<TenantGrant> {
        let grant = self.parts.gate.admit(&self.tenant, Operation::WriteConfig).await?;
        let first = self.generation.compare_exchange(0, grant.generation(), Ordering::AcqRel, Ordering::Acquire);
        if let Err(generation) = first {
            grant.require_generation(generation)?;
        }
        Ok(grant)
    }
}
