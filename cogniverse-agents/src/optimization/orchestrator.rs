//! The orchestrator: the steps of an optimization, in turn or in loops.

use super::{
    judge::{self, AnnotationRequest},
    learn,
    report::{OptimizationOptions, OptimizationOutcome, OptimizationReport, OptimizationStatus},
    reward::reward,
    spans::Project,
    state::{AppliedChange, OptimizationCounts, State, StoredState},
};
use crate::experience::ExperienceRecorder;
use cogniverse_core::{
    models::ModelRegistry,
    tenants::{Gate, TenantGrant},
};
use cogniverse_foundation::{ConfigManager, Evidence, RoutingConfig, TelemetryConfig, telemetry::TraceId};
use cogniverse_sdk::{
    Error, ErrorCode, Expected, Experience, ExperienceNote, Modality, Operation, Result, RouteAnnotation, RouteLabel,
    SearchId, TelemetryProvider, TenantId, Timestamp,
    telemetry_provider::{AnnotatorKind, ProjectName},
};
use parking_lot::Mutex;
use std::{
    future::Future,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The time for which a running orchestrator counts as running without a sign of life.
const LEASE: Duration = Duration::from_secs(90);
/// The interval between signs of life.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The age up to which annotations of a search are read back.
const ANNOTATED: Duration = Duration::from_secs(7 * 86_400);
/// The confidence of a judge below which a person is asked.
const SURE: f64 = 0.6;
/// The number of failures of a judge in a row after which it is left alone until the next round.
const FAILURES: usize = 3;
/// The number of judged searches after a change from which the change itself is judged.
const LIVE: usize = 30;
/// The number of judged searches whose reward is the recent one.
const RECENT: usize = 200;
/// The number of experiences that are read together.
const PAGE: usize = 500;

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
/// stops by itself.
#[derive(Debug, Clone)]
pub struct OptimizationOrchestrator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tenant: TenantId,
    options: OptimizationOptions,
    parts: OptimizationParts,
    state: StoredState,
    id: String,
    /// Told to end the loops, which also end once this is dropped.
    running: Mutex<Option<watch::Sender<bool>>>,
    /// One step at a time.
    turn: tokio::sync::Mutex<()>,
    last_error: Mutex<Option<String>>,
}

impl OptimizationOrchestrator {
    /// Creates the orchestrator of a tenant, which does not run yet.
    #[must_use]
    pub fn new(parts: OptimizationParts, tenant: TenantId, options: OptimizationOptions) -> Self {
        let store = Arc::clone(parts.experience.store());
        let clock = Arc::clone(parts.gate.clock());
        let state = StoredState { store, tenant: tenant.clone(), clock };
        let inner = Inner {
            tenant,
            options,
            parts,
            state,
            id: TraceId::random().to_string(),
            running: Mutex::new(None),
            turn: tokio::sync::Mutex::default(),
            last_error: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins to run the steps at their intervals, in a task of its own, until [`OptimizationOrchestrator::stop`]. A step
    /// that fails is tried again at its next turn.
    ///
    /// # Errors
    /// `Conflict` where another orchestrator runs for the tenant; those of the gate for changing the configuration.
    pub async fn start(&self) -> Result<()> {
        let inner = &self.inner;
        drop(inner.admit().await?);
        if inner.running.lock().as_ref().is_some_and(|running| !running.is_closed()) {
            return Ok(());
        }
        inner.state.hold(&inner.id, LEASE).await?;
        let (stop, stopped) = watch::channel(false);
        *inner.running.lock() = Some(stop);
        tokio::spawn(run(Arc::downgrade(inner), inner.options, stopped));
        Ok(())
    }

    /// Ends the loops once the step under way has ended, and lets another orchestrator run.
    ///
    /// # Errors
    /// Any error of the store; the loops end all the same.
    pub async fn stop(&self) -> Result<()> {
        let inner = &self.inner;
        if let Some(running) = inner.running.lock().take() {
            let _ = running.send(true);
        }
        let _turn = inner.turn.lock().await;
        inner.state.release(&inner.id).await
    }

    /// Runs every step once: looks at spans, asks the judge, reads annotations back, and learns.
    ///
    /// # Errors
    /// `Conflict` where another orchestrator runs for the tenant; those of the gate; any error of a store. A trace store
    /// or a judge that fails ends the run, as it may have more to say.
    pub async fn run_once(&self) -> Result<OptimizationReport> {
        let inner = &self.inner;
        drop(inner.admit().await?);
        inner.state.hold(&inner.id, LEASE).await?;
        let report = async {
            let spans_evaluated = inner.evaluate().await?;
            let (annotations_requested, annotations_completed) = inner.annotate().await?;
            let annotations_read = inner.read_back().await?;
            let outcome = inner.learn().await?;
            Ok(OptimizationReport {
                spans_evaluated,
                annotations_requested,
                annotations_completed,
                annotations_read,
                outcome,
            })
        };
        let report = report.await;
        if inner.running.lock().is_none() {
            inner.state.release(&inner.id).await?;
        }
        report
    }

    /// Returns the state of the optimization.
    ///
    /// # Errors
    /// Those of the gate for reading telemetry; any error of the store.
    pub async fn status(&self) -> Result<OptimizationStatus> {
        let inner = &self.inner;
        let grant = inner.parts.gate.admit(&inner.tenant, Operation::ReadTelemetry).await?;
        let experiences = inner.experiences(&grant).await?;
        let (state, _) = inner.state.read().await?;
        let now = inner.state.clock.now();
        let is_running = |holder: &super::state::Holder| holder.until > now;
        let judged: Vec<&Experience> = experiences.iter().filter(|found| learn::is_judged(found)).collect();
        let recent = judged.get(judged.len().saturating_sub(RECENT)..).unwrap_or_default();
        Ok(OptimizationStatus {
            tenant: inner.tenant.clone(),
            running: inner.running.lock().as_ref().is_some_and(|running| !running.is_closed()),
            running_elsewhere: state.holder.as_ref().is_some_and(|holder| is_running(holder) && holder.id != inner.id),
            experiences: experiences.len() as u64,
            judged: judged.len() as u64,
            queued: inner.queue(&experiences).len() as u64,
            counts: state.counts,
            recent_reward: mean(recent.iter().copied()),
            applied: state.applied,
            last_optimization: state.last_optimization,
            last_error: inner.last_error.lock().clone(),
        })
    }

    /// Returns the searches whose route needs a judgement, the most urgent first.
    ///
    /// # Errors
    /// Those of [`OptimizationOrchestrator::status`].
    pub async fn annotation_queue(&self, limit: usize) -> Result<Vec<AnnotationRequest>> {
        let inner = &self.inner;
        let grant = inner.parts.gate.admit(&inner.tenant, Operation::ReadTelemetry).await?;
        let mut queue = inner.queue(&inner.experiences(&grant).await?);
        queue.truncate(limit);
        Ok(queue)
    }

    /// Records a person's judgement of the route of a search, with the kind of content that would have been right.
    ///
    /// # Errors
    /// `NotFound` for a search that the tenant has no experience of; those of the gate for changing the configuration.
    pub async fn annotate(&self, search: &SearchId, label: RouteLabel, suggested: Option<Modality>) -> Result<()> {
        let inner = &self.inner;
        let _grant = inner.admit().await?;
        inner.parts.experience.flush().await?;
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

/// Runs the steps at their intervals until told to stop, or until nobody has the orchestrator any more.
async fn run(inner: Weak<Inner>, options: OptimizationOptions, mut stopped: watch::Receiver<bool>) {
    let mut due = [options.span_evaluation, options.annotation, options.feedback, options.report, HEARTBEAT].map(next);
    loop {
        let soonest = due.iter().copied().min().unwrap_or_else(Instant::now);
        tokio::select! {
            changed = stopped.changed() => if changed.is_err() || *stopped.borrow() { return },
            () = tokio::time::sleep_until(soonest.into()) => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        let now = Instant::now();
        for (step, at) in due.iter_mut().enumerate() {
            if *at > now {
                continue;
            }
            let interval = match step {
                0 => options.span_evaluation,
                1 => options.annotation,
                2 => options.feedback,
                3 => options.report,
                _ => HEARTBEAT,
            };
            *at = next(interval);
            let outcome = match step {
                0 => inner.evaluate().await.map(drop),
                1 => inner.annotate().await.map(drop),
                2 => inner.read_and_learn().await,
                3 => inner.report().await,
                _ => inner.state.hold(&inner.id, LEASE).await,
            };
            match outcome {
                Ok(()) => *inner.last_error.lock() = None,
                Err(error) => {
                    tracing::warn!(tenant.id = %inner.tenant, "a step of the optimization failed: {}", error.chain());
                    *inner.last_error.lock() = Some(error.code().to_string());
                    if error.code() == ErrorCode::OptimizationRunning {
                        // It was taken for gone, and another one runs.
                        return;
                    }
                }
            }
        }
    }
}

/// Returns the time of a step's next turn: up to a tenth sooner or later, so that many tenants do not run at once.
fn next(interval: Duration) -> Instant {
    let fraction = TraceId::random().to_bytes().first().map_or(0.5, |byte| f64::from(*byte) / 255.0);
    cogniverse_sdk::deadline_in(interval.mul_f64(0.9 + 0.2 * fraction))
}

fn mean<'e>(experiences: impl Iterator<Item = &'e Experience>) -> Option<f64> {
    let (sum, count) = experiences.fold((0.0, 0.0), |(sum, count), found| (sum + reward(found), count + 1.0));
    (count > 0.0).then(|| sum / count)
}

impl Inner {
    async fn admit(&self) -> Result<TenantGrant> {
        self.parts.gate.admit(&self.tenant, Operation::WriteConfig).await
    }

    /// Reads all experiences, oldest first; those that were planted by a check of isolation are nobody's.
    async fn experiences(&self, grant: &TenantGrant) -> Result<Vec<Experience>> {
        self.parts.experience.flush().await?;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            grant.check()?;
            let page = self.state.store.page(&self.tenant, after, PAGE).await?;
            found.extend(page.experiences.into_iter().filter(|experience| experience.canary.is_none()));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    fn queue(&self, experiences: &[Experience]) -> Vec<AnnotationRequest> {
        let threshold = self.options.confidence_threshold;
        let mut queue: Vec<AnnotationRequest> =
            experiences.iter().filter_map(|experience| AnnotationRequest::of(experience, threshold)).collect();
        queue.sort_by(|a, b| a.priority.cmp(&b.priority).then(a.at.cmp(&b.at)));
        queue
    }

    fn project(&self, grant: &TenantGrant) -> Result<Option<Project>> {
        let Some(provider) = self.parts.traces.clone() else { return Ok(None) };
        let name = grant.config().section::<TelemetryConfig>()?.value.project_name(&self.tenant);
        let name = ProjectName::parse(name)?;
        Ok(Some(Project { provider, name }))
    }

    async fn count(&self, change: impl Fn(&mut OptimizationCounts) + Send + Sync) -> Result<()> {
        self.state
            .change(|state| {
                change(&mut state.counts);
                Ok(())
            })
            .await
    }

    async fn in_turn<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        let _turn = self.turn.lock().await;
        step.await
    }

    /// Looks at the spans of searches since the last look.
    async fn evaluate(&self) -> Result<u64> {
        self.in_turn(async {
            let grant = self.admit().await?;
            self.parts.experience.flush().await?;
            let Some(project) = self.project(&grant)? else { return Ok(0) };
            let (state, _) = self.state.read().await?;
            let now = self.state.clock.now();
            let look = project.look(&*self.state.store, &self.tenant, state.read_until, now);
            let seen = grant.run(look).await?;
            self.state
                .change(|state| {
                    state.counts.spans_evaluated += seen.new;
                    state.read_until = state.read_until.max(seen.read_until);
                    Ok(())
                })
                .await?;
            Ok(seen.new)
        })
        .await
    }

    /// Asks the judge about routes that need it; returns how many were asked about, and how many were judged.
    async fn annotate(&self) -> Result<(u64, u64)> {
        self.in_turn(async {
            let grant = self.admit().await?;
            let Some(project) = self.project(&grant)? else { return Ok((0, 0)) };
            let experiences = self.experiences(&grant).await?;
            let unjudged = |request: &AnnotationRequest| {
                let known = experiences.iter().find(|known| known.id == request.search);
                known.is_some_and(|known| known.annotation.is_none())
            };
            let mut queue = self.queue(&experiences);
            queue.retain(|request| request.span.is_some() && unjudged(request));
            queue.truncate(self.options.max_judgements);
            if queue.is_empty() {
                return Ok((0, 0));
            }
            let Some(judge) = self.parts.models.of(&self.tenant).await? else { return Ok((0, 0)) };
            let spans: Vec<_> = queue.iter().filter_map(|request| request.span.clone()).collect();
            let queries = grant.run(project.queries(&spans)).await?;
            let (mut asked, mut judged, mut failures) = (0, 0, 0);
            for request in queue {
                grant.renew().await?;
                // A tenant that keeps its texts out of telemetry is judged by people and by what users do alone.
                let Some((span, query)) = request.span.and_then(|span| Some((span.clone(), queries.get(&span)?)))
                else {
                    continue;
                };
                asked += 1;
                match grant.run(judge::judge(&*judge.model, query, request.modality)).await {
                    Ok(judgement) => {
                        failures = 0;
                        let for_review = judgement.confidence < SURE;
                        grant.run(project.annotate(&span, judgement, for_review)).await?;
                        let label = if for_review { RouteLabel::InsufficientInfo } else { judgement.label };
                        let now = self.state.clock.now();
                        let note =
                            RouteAnnotation::new(label, AnnotatorKind::Llm, now).with_suggested(judgement.suggested);
                        let note = ExperienceNote::Annotation(note);
                        judged += u64::from(self.state.store.note(&self.tenant, &request.search, note).await?);
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(tenant.id = %self.tenant, "a route was not judged: {}", error.chain());
                        if failures >= FAILURES {
                            break;
                        }
                    }
                }
            }
            self.count(|counts| {
                counts.annotations_requested += asked;
                counts.annotations_completed += judged;
            })
            .await?;
            Ok((asked, judged))
        })
        .await
    }

    /// Reads back what people and others said in the trace store.
    async fn read_back(&self) -> Result<u64> {
        self.in_turn(async {
            let grant = self.admit().await?;
            let Some(project) = self.project(&grant)? else { return Ok(0) };
            let experiences = self.experiences(&grant).await?;
            let since = self.state.clock.now().saturating_sub(ANNOTATED).unwrap_or(Timestamp::MIN);
            let annotated: Vec<&Experience> =
                experiences.iter().filter(|found| found.span.is_some() && found.at >= since).collect();
            let read = project.read_annotations(&*self.state.store, &self.tenant, &annotated);
            let read = grant.run(read).await?;
            if read > 0 {
                self.count(|counts| counts.annotations_read += read).await?;
            }
            Ok(read)
        })
        .await
    }

    async fn read_and_learn(&self) -> Result<()> {
        self.read_back().await?;
        self.learn().await.map(drop)
    }

    async fn report(&self) -> Result<()> {
        let (state, _) = self.state.read().await?;
        let counts = state.counts;
        tracing::info!(
            tenant.id = %self.tenant,
            spans_evaluated = counts.spans_evaluated,
            annotations_completed = counts.annotations_completed,
            annotations_read = counts.annotations_read,
            optimizations = counts.optimizations,
            rollbacks = counts.rollbacks,
            "optimization of routing"
        );
        Ok(())
    }

    /// Takes a change back where the reward fell, else learns from experiences and changes the configuration where that
    /// wins.
    async fn learn(&self) -> Result<OptimizationOutcome> {
        self.in_turn(async {
            let grant = self.admit().await?;
            let config = grant.config().section::<RoutingConfig>()?;
            if !config.value.enable_auto_optimization {
                return Ok(OptimizationOutcome::Disabled);
            }
            let experiences = self.experiences(&grant).await?;
            let (state, _) = self.state.read().await?;
            if let Some(applied) = state.applied
                && let Some(outcome) = self.watch(applied, config.version, &experiences).await?
            {
                return Ok(outcome);
            }
            let now = self.state.clock.now();
            if let Some(until) = self.not_before(&state, config.value.optimization_interval_seconds)
                && now < until
            {
                return Ok(OptimizationOutcome::TooSoon { until });
            }
            let have = experiences.iter().filter(|found| learn::is_judged(found)).count() as u64;
            if have < self.options.min_annotations {
                return Ok(OptimizationOutcome::TooFew { have, need: self.options.min_annotations });
            }
            let (learned_from, current) = (experiences.clone(), config.value.clone());
            let proposal = cogniverse_foundation::worker::blocking(move || {
                Ok(learn::learn(&current, &learned_from))
            });
            let proposal = grant.run(proposal).await?;
            self.state
                .change(|state| {
                    state.last_learned = Some(now);
                    Ok(())
                })
                .await?;
            let Some(proposal) = proposal else {
                return Ok(OptimizationOutcome::TooFew { have, need: have + 1 });
            };
            let (before, after) = (proposal.before, proposal.after);
            if proposal.gain() < self.options.improvement_threshold {
                return Ok(OptimizationOutcome::NoGain { before, after });
            }
            let (learned, measured) = (proposal.learned_from, proposal.measured_on);
            let evidence = Evidence::new(now, config.version).with_counts(learned, measured, have);
            let reason = format!(
                "optimization: a reward of {after:.3} is expected in place of {before:.3}, learned from {learned} searches and measured on {measured} others"
            );
            let changed = proposal.with_evidence(evidence);
            let expected = if config.is_set() { Expected::Version(config.version) } else { Expected::Absent };
            let manager = self.parts.config.for_caller(self.parts.gate.caller()).because(&reason);
            let set = manager.compare_and_set(&self.tenant, changed, expected).await?;
            let recent = experiences.iter().rev().filter(|found| learn::is_judged(found)).take(RECENT);
            let applied = AppliedChange {
                version: set.version,
                replaces: config.version,
                at: now,
                reward_before: mean(recent).unwrap_or(before),
            };
            self.state
                .change(|state| {
                    (state.applied, state.last_optimization) = (Some(applied), Some(now));
                    state.counts.optimizations += 1;
                    Ok(())
                })
                .await?;
            Ok(OptimizationOutcome::Changed { version: set.version, before, after })
        })
        .await
    }

    /// Returns the moment before which nothing is learned.
    fn not_before(&self, state: &State, interval_seconds: u64) -> Option<Timestamp> {
        let after = |at: Option<Timestamp>, time: Duration| at?.saturating_add(time).ok();
        let changed = after(state.last_optimization, self.options.between_changes);
        changed.max(after(state.last_learned, Duration::from_secs(interval_seconds)))
    }

    /// Compares the reward since a change with the one before it, and takes the change back where it fell.
    async fn watch(
        &self,
        applied: AppliedChange,
        version: u64,
        experiences: &[Experience],
    ) -> Result<Option<OptimizationOutcome>> {
        if applied.version != version {
            // Somebody else has changed the configuration since: what they changed is theirs.
            return self
                .state
                .change(|state| {
                    state.applied = None;
                    Ok(None)
                })
                .await;
        }
        let since: Vec<&Experience> =
            experiences.iter().filter(|found| found.at > applied.at && learn::is_judged(found)).collect();
        let found = mean(since.iter().copied()).unwrap_or(applied.reward_before);
        if since.len() < LIVE || found >= applied.reward_before - self.options.improvement_threshold {
            return Ok(None);
        }
        let reason = format!(
            "optimization: version {} is taken back, as the reward fell from {:.3} to {found:.3}",
            applied.version, applied.reward_before
        );
        let manager = self.parts.config.for_caller(self.parts.gate.caller()).because(&reason);
        let restored = match applied.replaces {
            0 => {
                let default = RoutingConfig::new(self.tenant.clone());
                manager.compare_and_set(&self.tenant, default, Expected::Version(version)).await?
            }
            older => manager.rollback::<RoutingConfig>(&self.tenant, older).await?,
        };
        let now = self.state.clock.now();
        self.state
            .change(|state| {
                (state.applied, state.last_optimization) = (None, Some(now));
                state.counts.rollbacks += 1;
                Ok(())
            })
            .await?;
        Ok(Some(OptimizationOutcome::RolledBack { version: restored.version, expected: applied.reward_before, found }))
    }
}
