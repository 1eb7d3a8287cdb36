//! The orchestrator: the steps of an optimization, in turn or in loops.

use super::{
    judge::AnnotationRequest,
    learn,
    lease::{Lease, Use},
    report::{OptimizationOptions, OptimizationReport, OptimizationStatus},
    state::StoredState,
    steps::{Steps, mean_live_reward},
};
use crate::experience::ExperienceRecorder;
use cogniverse_core::{
    models::ModelRegistry,
    tenants::{Gate, TenantGrant},
};
use cogniverse_foundation::{ConfigManager, telemetry::TraceId};
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Experience, ExperienceNote, Modality, Operation, Result, RouteAnnotation, RouteLabel,
    SearchId, TelemetryProvider, TenantId, telemetry_provider::AnnotatorKind,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// The number of judged searches whose reward is the recent one.
const RECENT: usize = 200;

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

/// The optimization of one tenant's routing. Cheap to clone; clones are one orchestrator.
///
/// Of several for one tenant, in whatever process, one runs and the others say so. Once the last clone is dropped, it
/// stops by itself. It is of one generation of the tenant: after an erasure it ends.
#[derive(Debug, Clone)]
pub struct OptimizationOrchestrator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) tenant: TenantId,
    pub(super) options: OptimizationOptions,
    pub(super) parts: OptimizationParts,
    pub(super) state: StoredState,
    pub(super) id: String,
    generation: Arc<AtomicU64>,
    lease: Arc<Lease>,
    running: tokio::sync::Mutex<Option<Running>>,
    /// One step at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// The failures of the last turns, by step.
    errors: Mutex<BTreeMap<&'static str, String>>,
}

/// The loops of an orchestrator, which also end once the sender is dropped.
#[derive(Debug)]
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl OptimizationOrchestrator {
    /// Creates the orchestrator of a tenant, which does not run yet.
    #[must_use]
    pub fn new(parts: OptimizationParts, tenant: TenantId, options: OptimizationOptions) -> Self {
        let store = Arc::clone(parts.experience.store());
        let (clock, generation) = (Arc::clone(parts.gate.clock()), Arc::new(AtomicU64::new(0)));
        let state = StoredState { store, tenant: tenant.clone(), clock, generation: Arc::clone(&generation) };
        let id = TraceId::random().to_string();
        let lease = Arc::new(Lease::new(state.clone(), id.clone()));
        let inner = Inner {
            tenant,
            options,
            parts,
            state,
            id,
            generation,
            lease,
            running: tokio::sync::Mutex::new(None),
            turn: tokio::sync::Mutex::default(),
            errors: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins to run the steps at their intervals, in a task of its own, until [`OptimizationOrchestrator::stop`]. A step
    /// that fails is tried again at its next turn.
    ///
    /// # Errors
    /// `Conflict` where another orchestrator runs for the tenant; `InvalidInput` for options out of bounds; those of the
    /// gate for changing the configuration.
    pub async fn start(&self) -> Result<()> {
        let inner = &self.inner;
        inner.options.check()?;
        drop(inner.admit().await?);
        let mut running = inner.running.lock().await;
        if running.as_ref().is_some_and(|running| !running.task.is_finished()) {
            return Ok(());
        }
        let lease = inner.lease.take().await?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(Arc::downgrade(inner), lease, inner.options, stopped));
        *running = Some(Running { stop, task });
        Ok(())
    }

    /// Ends the loops and waits until the step under way has ended. Then another orchestrator may run.
    ///
    /// # Errors
    /// Any error of the store; the loops end all the same.
    pub async fn stop(&self) -> Result<()> {
        let Some(Running { stop, task }) = self.inner.running.lock().await.take() else { return Ok(()) };
        let _ = stop.send(true);
        task.await.map_err(|e| Error::unexpected("the loops of an optimization ended early").with_source(e))
    }

    /// Runs every step once: looks at spans, asks the judge, reads annotations back, and learns.
    ///
    /// # Errors
    /// `Conflict` where another orchestrator runs for the tenant; those of the gate; any error of a store. A trace store
    /// or a judge that fails ends the run, as it may have more to say.
    pub async fn run_once(&self) -> Result<OptimizationReport> {
        let inner = &self.inner;
        inner.options.check()?;
        drop(inner.admit().await?);
        let lease = inner.lease.take().await?;
        let steps = Steps(inner);
        let report = lease.run(async {
            let spans_evaluated = steps.evaluate().await?;
            let (annotations_requested, annotations_completed) = steps.annotate().await?;
            let annotations_read = steps.read_back().await?;
            let outcome = steps.learn().await?;
            Ok(OptimizationReport {
                spans_evaluated,
                annotations_requested,
                annotations_completed,
                annotations_read,
                outcome,
            })
        });
        let report = report.await;
        let ended = lease.end().await;
        let report = report?;
        ended?;
        Ok(report)
    }

    /// Returns the state of the optimization.
    ///
    /// # Errors
    /// Those of the gate for reading telemetry; any error of the store.
    pub async fn status(&self) -> Result<OptimizationStatus> {
        let inner = &self.inner;
        let grant = inner.parts.gate.admit(&inner.tenant, Operation::ReadTelemetry).await?;
        let steps = Steps(inner);
        let experiences = steps.experiences(&grant).await?;
        let (state, _) = inner.state.read().await?;
        let evidence = grant.routing()?.value.learned.as_ref().map(|learned| learned.evidence);
        let now = inner.state.clock.now();
        let is_running = |holder: &super::state::Holder| holder.until > now;
        let judged: Vec<&Experience> = experiences.iter().filter(|found| learn::is_judged(found)).collect();
        let recent = judged.get(judged.len().saturating_sub(RECENT)..).unwrap_or_default();
        Ok(OptimizationStatus {
            tenant: inner.tenant.clone(),
            running: inner.running.lock().await.as_ref().is_some_and(|running| !running.task.is_finished()),
            running_elsewhere: state.holder.as_ref().is_some_and(|holder| is_running(holder) && holder.id != inner.id),
            experiences: experiences.len() as u64,
            judged: judged.len() as u64,
            queued: steps.queue(&experiences).len() as u64,
            counts: state.counts,
            recent_reward: mean_live_reward(recent.iter().copied()).map(|(mean, ..)| mean),
            in_force: evidence,
            last_optimization: state.last_change.max(evidence.map(|evidence| evidence.at)),
            last_error: inner.errors.lock().values().next().cloned(),
        })
    }

    /// Returns the searches whose route needs a judgement, the most urgent first.
    ///
    /// # Errors
    /// Those of [`OptimizationOrchestrator::status`].
    pub async fn annotation_queue(&self, limit: usize) -> Result<Vec<AnnotationRequest>> {
        let inner = &self.inner;
        let grant = inner.parts.gate.admit(&inner.tenant, Operation::ReadTelemetry).await?;
        let steps = Steps(inner);
        let mut queue = steps.queue(&steps.experiences(&grant).await?);
        queue.truncate(limit);
        Ok(queue)
    }

    /// Records a person's judgement of the route of a search, with the kind of content that would have been right.
    ///
    /// # Errors
    /// `NotFound` for a search that the tenant has no experience of; those of the gate for changing the configuration.
    pub async fn annotate(&self, search: &SearchId, label: RouteLabel, suggested: Option<Modality>) -> Result<()> {
        let inner = &self.inner;
        let _grant = inner.parts.gate.admit(&inner.tenant, Operation::WriteConfig).await?;
        inner.parts.experience.flush_tenant(&inner.tenant).await?;
        let at = inner.state.clock.now();
        let annotation = RouteAnnotation::new(label, AnnotatorKind::Human, at).with_suggested(suggested);
        let note = ExperienceNote::Annotation(annotation);
        match inner.parts.experience.store().note(&inner.tenant, search, note).await? {
            true => Ok(()),
            false => Err(Error::of(
                ErrorCode::NotFound,
                format!(
                    "there is no experience of search {search}: it was not routed, it is too old, or another tenant's"
                ),
            )),
        }
    }
}

/// Runs the steps at their intervals until told to stop, or until the last handle of the orchestrator is dropped.
async fn run(inner: Weak<Inner>, lease: Use, options: OptimizationOptions, mut stopped: watch::Receiver<bool>) {
    let intervals = [
        ("spans", options.span_evaluation),
        ("annotations", options.annotation),
        ("feedback", options.feedback),
        ("report", options.report),
    ];
    let mut due = intervals.map(|(_, interval)| next(interval));
    'loops: loop {
        let soonest = due.iter().copied().min().unwrap_or_else(Instant::now);
        tokio::select! {
            changed = stopped.changed() => if changed.is_err() || *stopped.borrow() { break },
            () = tokio::time::sleep_until(soonest.into()) => {}
        }
        let now = Instant::now();
        for ((name, interval), at) in intervals.into_iter().zip(&mut due) {
            if *at > now {
                continue;
            }
            *at = next(interval);
            let Some(inner) = inner.upgrade().filter(|_| !*stopped.borrow()) else { break 'loops };
            let steps = Steps(&inner);
            let step = async {
                match name {
                    "spans" => steps.evaluate().await.map(drop),
                    "annotations" => steps.annotate().await.map(drop),
                    "feedback" => {
                        steps.read_back().await?;
                        steps.learn().await.map(drop)
                    }
                    _ => steps.report().await,
                }
            };
            let outcome = lease.run(step).await;
            match outcome {
                Ok(()) => drop(inner.errors.lock().remove(name)),
                Err(error) => {
                    tracing::warn!(tenant.id = %inner.tenant, step = name, "a step of the optimization failed: {}", error.chain());
                    inner.errors.lock().insert(name, error.code().to_string());
                    // The tenant is gone or another one, or another process runs: nothing here mends that.
                    if error.kind() == ErrorKind::NotFound
                        || matches!(error.code(), ErrorCode::OptimizationRunning | ErrorCode::TenantGenerationChanged)
                    {
                        break 'loops;
                    }
                }
            }
        }
    }
    if let Err(error) = lease.end().await {
        tracing::warn!("the lease of an optimization was not given back: {}", error.chain());
    }
}

/// Returns the time of a step's next turn: up to a tenth sooner or later, so that many tenants do not run at once.
fn next(interval: Duration) -> Instant {
    let fraction = TraceId::random().to_bytes().first().map_or(0.5, |byte| f64::from(*byte) / 255.0);
    cogniverse_sdk::deadline_in(interval.mul_f64(0.9 + 0.2 * fraction))
}

impl Inner {
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
