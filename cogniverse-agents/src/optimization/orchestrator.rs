//! The orchestrator: the steps of an optimization, in turn or in loops.

use super::{
    judge::AnnotationRequest,
    learn,
    lease::{Lease, Use},
    report::{OptimizationOptions, OptimizationReport, OptimizationStatus},
    shared::{OptimizationParts, Shared},
    steps::{Steps, mean_live_reward},
};
use cogniverse_foundation::telemetry::TraceId;
use cogniverse_sdk::{
    Error, ErrorCode, Experience, ExperienceNote, Modality, Operation, Result, RouteAnnotation, RouteLabel, SearchId,
    TenantId, telemetry_provider::AnnotatorKind,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// The number of judged searches whose reward is the recent one.
const RECENT: usize = 200;

/// The optimization of one tenant's routing. Cheap to clone; clones are one orchestrator.
///
/// Of several for one tenant, in whatever process, one runs and the others say so. Once the last clone is dropped, it
/// stops by itself. It is of one generation of the tenant: after an erasure it ends.
#[derive(Debug, Clone)]
pub struct OptimizationOrchestrator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Shared,
    lease: Arc<Lease>,
    running: tokio::sync::Mutex<Option<Running>>,
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
        let shared = Shared::new(parts, tenant, options);
        let lease = Arc::new(Lease::new(shared.state.clone(), shared.id.clone()));
        let running = tokio::sync::Mutex::new(None);
        let inner = Inner { shared, lease, running, errors: Mutex::default() };
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
        inner.shared.options.check()?;
        drop(inner.shared.admit().await?);
        let mut running = inner.running.lock().await;
        if running.as_ref().is_some_and(|running| !running.task.is_finished()) {
            return Ok(());
        }
        let lease = inner.lease.take().await?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(Arc::downgrade(inner), lease, inner.shared.options, stopped));
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
        inner.shared.options.check()?;
        drop(inner.shared.admit().await?);
        let lease = inner.lease.take().await?;
        let steps = Steps(&inner.shared);
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
        let grant = inner.shared.parts.gate.admit(&inner.shared.tenant, Operation::ReadTelemetry).await?;
        let steps = Steps(&inner.shared);
        let experiences = steps.experiences(&grant).await?;
        let (state, _) = inner.shared.state.read().await?;
        let evidence = grant.routing()?.value.learned.as_ref().map(|learned| learned.evidence);
        let now = inner.shared.state.clock.now();
        let is_running = |holder: &super::state::Holder| holder.until > now;
        let judged: Vec<&Experience> = experiences.iter().filter(|found| learn::is_judged(found)).collect();
        let recent = judged.get(judged.len().saturating_sub(RECENT)..).unwrap_or_default();
        Ok(OptimizationStatus {
            tenant: inner.shared.tenant.clone(),
            running: inner.running.lock().await.as_ref().is_some_and(|running| !running.task.is_finished()),
            running_elsewhere: state
                .holder
                .as_ref()
                .is_some_and(|holder| is_running(holder) && holder.id != inner.shared.id),
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
        let grant = inner.shared.parts.gate.admit(&inner.shared.tenant, Operation::ReadTelemetry).await?;
        let steps = Steps(&inner.shared);
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
        let _grant = inner.shared.parts.gate.admit(&inner.shared.tenant, Operation::WriteConfig).await?;
        inner.shared.parts.experience.flush_tenant(&inner.shared.tenant).await?;
        let at = inner.shared.state.clock.now();
        let annotation = RouteAnnotation::new(label, AnnotatorKind::Human, at).with_suggested(suggested);
        let note = ExperienceNote::Annotation(annotation);
        match inner.shared.parts.experience.store().note(&inner.shared.tenant, search, note).await? {
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
            let steps = Steps(&inner.shared);
            let step = async {
                match name {
                    "spans" => steps.evaluate().await.map(drop),
                    "annotations" => steps.annotate().await.map(drop),
                    "feedback" => {
                        let read = steps.read_back().await;
                        // A change that does harm is taken back also while the trace store is away.
                        steps.learn().await?;
                        read.map(drop)
                    }
                    _ => steps.report().await,
                }
            };
            let outcome = lease.run(step).await;
            match outcome {
                Ok(()) => drop(inner.errors.lock().remove(name)),
                Err(error) => {
                    tracing::warn!(tenant.id = %inner.shared.tenant, step = name, "a step of the optimization failed: {}", error.chain());
                    inner.errors.lock().insert(name, error.code().to_string());
                    if is_final(&error) {
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

/// Returns whether a failure ends the loops: the tenant is gone or another one, or another process runs. A judge's model or a
/// span that is missing may be there the next time.
fn is_final(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::TenantUnknown | ErrorCode::TenantGenerationChanged | ErrorCode::OptimizationRunning
    )
}

/// Returns the time of a step's next turn: up to a tenth sooner or later, so that many tenants do not run at once.
fn next(interval: Duration) -> Instant {
    let fraction = TraceId::random().to_bytes().first().map_or(0.5, |byte| f64::from(*byte) / 255.0);
    cogniverse_sdk::deadline_in(interval.mul_f64(0.9 + 0.2 * fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_or_a_span_that_is_missing_ends_no_optimization() {
        for code in [ErrorCode::ModelUnknown, ErrorCode::TraceUnknown, ErrorCode::NotFound, ErrorCode::TenantSuspended]
        {
            assert!(!is_final(&Error::of(code, "absent")), "{code}");
        }
        for code in [ErrorCode::TenantUnknown, ErrorCode::TenantGenerationChanged, ErrorCode::OptimizationRunning] {
            assert!(is_final(&Error::of(code, "over")), "{code}");
        }
    }
}
