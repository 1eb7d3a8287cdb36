//! The steps of an optimization.

use super::{
    judge::{self, AnnotationRequest},
    learn,
    report::OptimizationOutcome,
    reward::live_reward,
    shared::Shared,
    spans::Project,
    state::{OptimizationCounts, State},
    undo::taken_back,
};
use cogniverse_core::tenants::TenantGrant;
use cogniverse_foundation::{Evidence, Recorded, RoutingConfig, TelemetryConfig, Versioned, worker};
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Expected, Experience, ExperienceNote, ProfileName, Result, RouteAnnotation,
    RouteLabel, SearchId, Timestamp,
    telemetry_provider::{AnnotatorKind, ProjectName},
};
use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    time::Duration,
};

/// The age up to which annotations of a search are read back.
const ANNOTATED: Duration = Duration::from_secs(7 * 86_400);
/// The confidence of a judge below which a person is asked.
const SURE: f64 = 0.6;
/// The number of failures of a judge in a row after which it is left alone until the next round.
const FAILURES: usize = 3;
/// The number of times that a judge is asked about one search.
const ASKED: u32 = 3;
/// The number of spans that are read for each wanted judgement, as not every span has a text.
const SPANS: usize = 4;
/// The number of searches with feedback after a change from which the change itself is judged.
const LIVE: usize = 30;
/// The number of searches before a change whose reward it is compared with.
const BEFORE: usize = 200;
/// The number of new judged searches from which something is learned again.
const NEW: u64 = 20;
/// The number of experiences that are read together.
const PAGE: usize = 500;
/// The number of versions of a configuration that are read together.
const HISTORY: usize = 20;

/// The steps of one orchestrator.
pub(super) struct Steps<'s>(pub(super) &'s Shared);

/// Returns the mean reward by what users did, its variance, and the number of searches; `None` without any.
pub(super) fn mean_live_reward<'e>(experiences: impl Iterator<Item = &'e Experience>) -> Option<(f64, f64, f64)> {
    let rewards: Vec<f64> = experiences.map(live_reward).collect();
    #[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
    let count = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / count.max(1.0);
    let variance = rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>() / count.max(1.0);
    (count > 0.0).then_some((mean, variance, count))
}

impl Steps<'_> {
    /// Reads all experiences, oldest first; those that were planted by a check of isolation are nobody's.
    pub(super) async fn experiences(&self, grant: &TenantGrant) -> Result<Vec<Experience>> {
        let inner = self.0;
        inner.parts.experience.flush_tenant(&inner.tenant).await?;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            grant.check()?;
            let page = inner.state.store.page(&inner.tenant, after, PAGE).await?;
            found.extend(page.experiences.into_iter().filter(|experience| experience.canary.is_none()));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// The moment from which on searches are annotated: what is said of older ones is not read back.
    fn annotated_since(&self) -> Timestamp {
        self.0.state.clock.now().saturating_sub(ANNOTATED).unwrap_or(Timestamp::MIN)
    }

    pub(super) fn queue(&self, experiences: &[Experience]) -> Vec<AnnotationRequest> {
        let (threshold, since) = (self.0.options.confidence_threshold, self.annotated_since());
        let recent = experiences.iter().filter(|experience| experience.at >= since);
        let mut queue: Vec<AnnotationRequest> =
            recent.filter_map(|experience| AnnotationRequest::of(experience, threshold)).collect();
        queue.sort_by(|a, b| a.priority.cmp(&b.priority).then(a.at.cmp(&b.at)));
        queue
    }

    fn project(&self, grant: &TenantGrant) -> Result<Option<Project>> {
        let Some(provider) = self.0.parts.traces.clone() else { return Ok(None) };
        let name = grant.config().section::<TelemetryConfig>()?.value.project_name(&self.0.tenant);
        Ok(Some(Project { provider, name: ProjectName::parse(name)? }))
    }

    async fn count(&self, change: impl Fn(&mut OptimizationCounts) + Send + Sync) -> Result<()> {
        let count = |state: &mut State| {
            change(&mut state.counts);
            Ok(())
        };
        self.0.state.change(count).await
    }

    async fn in_turn<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        let _turn = self.0.turn.lock().await;
        step.await
    }

    /// Looks at the spans of searches since the last look.
    pub(super) async fn evaluate(&self) -> Result<u64> {
        let inner = self.0;
        self.in_turn(async {
            let grant = inner.admit().await?;
            inner.parts.experience.flush_tenant(&inner.tenant).await?;
            let Some(project) = self.project(&grant)? else { return Ok(0) };
            let (state, _) = inner.state.read().await?;
            let look = project.look(&*inner.state.store, &inner.tenant, state.read_until, inner.state.clock.now());
            let seen = grant.run(look).await?;
            let see = |state: &mut State| {
                state.counts.spans_evaluated += seen.new;
                state.read_until = state.read_until.max(seen.read_until);
                Ok(())
            };
            inner.state.change(see).await?;
            Ok(seen.new)
        })
        .await
    }

    /// Asks the judge about routes that need it; returns how many were asked about, and how many were judged.
    pub(super) async fn annotate(&self) -> Result<(u64, u64)> {
        self.in_turn(async {
            let inner = self.0;
            let grant = inner.admit().await?;
            let (Some(project), wanted) = (self.project(&grant)?, inner.options.max_judgements) else {
                return Ok((0, 0));
            };
            // A tenant that keeps its texts out of telemetry is judged by people and by what users do alone.
            if !grant.config().section::<TelemetryConfig>()?.value.record_query_text {
                return Ok((0, 0));
            }
            let experiences = self.experiences(&grant).await?;
            let by_id: HashMap<&SearchId, &Experience> = experiences.iter().map(|known| (&known.id, known)).collect();
            let mut queue = self.queue(&experiences);
            queue.retain(|request| {
                let known = by_id.get(&request.search);
                request.span.is_some()
                    && known.is_some_and(|known| known.annotation.is_none() && known.judge_failures < ASKED)
            });
            queue.truncate(wanted.saturating_mul(SPANS).min(1000));
            if queue.is_empty() {
                return Ok((0, 0));
            }
            let Some(judge) = inner.parts.models.of(&inner.tenant).await? else { return Ok((0, 0)) };
            let spans: Vec<_> = queue.iter().filter_map(|request| request.span.clone()).collect();
            let Some(queries) = grant.run(project.queries(&spans)).await? else { return Ok((0, 0)) };
            // What has no text, or no span any more, would stand before the others for ever.
            for request in &queue {
                let note = match request.span.as_ref().and_then(|span| queries.get(span)) {
                    Some(Some(_)) => continue,
                    Some(None) => ExperienceNote::JudgeFailed,
                    None => ExperienceNote::SpanGone,
                };
                inner.state.store.note(&inner.tenant, &request.search, note).await?;
            }
            queue.retain(|request| {
                request.span.as_ref().and_then(|span| queries.get(span)).is_some_and(Option::is_some)
            });
            queue.truncate(wanted);
            let (mut asked, mut judged, mut failures) = (0, 0, 0);
            let mut outcome = Ok(());
            for request in queue {
                let text = request.span.as_ref().and_then(|span| queries.get(span)?.as_ref());
                let (Some(span), Some(query)) = (&request.span, text) else { continue };
                asked += 1;
                let judged_one = async {
                    grant.renew().await?;
                    judge::judge(&*judge.model, query, request.modality).await
                };
                let judgement = match grant.run(judged_one).await {
                    Ok(judgement) => judgement,
                    // What the model cannot answer, or refuses, it will not answer the next time.
                    Err(error) if is_of_the_query(&error) => {
                        tracing::warn!(tenant.id = %inner.tenant, "a route was not judged: {}", error.chain());
                        let note = ExperienceNote::JudgeFailed;
                        outcome = inner.state.store.note(&inner.tenant, &request.search, note).await.map(drop);
                        failures += 1;
                        if failures >= FAILURES || outcome.is_err() {
                            break;
                        }
                        continue;
                    }
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                };
                let noted = async {
                    let for_review = judgement.confidence < SURE;
                    project.annotate(span, judgement, for_review).await?;
                    let label = if for_review { RouteLabel::InsufficientInfo } else { judgement.label };
                    let now = inner.state.clock.now();
                    let note = RouteAnnotation::new(label, AnnotatorKind::Llm, now).with_suggested(judgement.suggested);
                    inner.state.store.note(&inner.tenant, &request.search, ExperienceNote::Annotation(note)).await
                };
                match grant.run(noted).await {
                    Ok(noted) => {
                        failures = 0;
                        judged += u64::from(noted);
                    }
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            let counted = self
                .count(|counts| {
                    counts.annotations_requested += asked;
                    counts.annotations_completed += judged;
                })
                .await;
            outcome.and(counted)?;
            Ok((asked, judged))
        })
        .await
    }

    /// Reads back what people and others said in the trace store.
    pub(super) async fn read_back(&self) -> Result<u64> {
        let inner = self.0;
        self.in_turn(async {
            let grant = inner.admit().await?;
            let Some(project) = self.project(&grant)? else { return Ok(0) };
            let experiences = self.experiences(&grant).await?;
            let since = self.annotated_since();
            let annotated: Vec<&Experience> =
                experiences.iter().filter(|found| found.span.is_some() && found.at >= since).collect();
            let read = project.read_annotations(&*inner.state.store, &inner.tenant, &annotated);
            let read = grant.run(read).await?;
            if read > 0 {
                self.count(|counts| counts.annotations_read += read).await?;
            }
            Ok(read)
        })
        .await
    }

    pub(super) async fn report(&self) -> Result<()> {
        let counts = self.0.state.read().await?.0.counts;
        tracing::info!(
            tenant.id = %self.0.tenant,
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
    pub(super) async fn learn(&self) -> Result<OptimizationOutcome> {
        let inner = self.0;
        self.in_turn(async {
            let grant = inner.admit().await?;
            // The newest, not one that was read for a search a moment ago.
            let config = inner.parts.config.get::<RoutingConfig>(&inner.tenant).await?;
            if !config.value.enable_auto_optimization {
                return Ok(OptimizationOutcome::Disabled);
            }
            let experiences = self.experiences(&grant).await?;
            let (state, _) = inner.state.read().await?;
            if let Some(outcome) = self.watch(&config, &state, &experiences).await? {
                return Ok(outcome);
            }
            let now = inner.state.clock.now();
            if let Some(until) = self.not_before(&state, &config.value).filter(|until| now < *until) {
                return Ok(OptimizationOutcome::TooSoon { until });
            }
            let have = experiences.iter().filter(|found| learn::is_judged(found)).count() as u64;
            let before = state.last_learned.map_or(0, |(_, judged)| judged.min(have));
            let need = inner.options.min_annotations.max(if before == 0 { 0 } else { before + NEW });
            // A full buffer has as many judged searches as ever, and other ones.
            if have < need && !(before > 0 && experiences.len() >= cogniverse_sdk::experience::MAX_EXPERIENCES) {
                return Ok(OptimizationOutcome::TooFew { have, need });
            }
            let has_model = config.value.enable_slow_path && inner.parts.models.of(&inner.tenant).await?.is_some();
            let (current, margin) = (config.value.clone(), inner.options.improvement_threshold);
            // A profile that has a strategy of its own is none of the tenant's default.
            let own: BTreeSet<ProfileName> = grant
                .config()
                .each_profile()
                .0
                .filter(|profile| profile.config.value.default_strategy.is_some())
                .map(|profile| profile.name.clone())
                .collect();
            let live = live_before(&experiences);
            let proposal = worker::blocking(move || Ok(learn::learn(&current, &experiences, has_model, margin, &own)));
            let proposal = grant.run(proposal).await?;
            let learned = |state: &mut State| {
                state.last_learned = Some((now, have));
                Ok(())
            };
            let Some(proposal) = proposal else {
                inner.state.change(learned).await?;
                return Ok(OptimizationOutcome::TooFew { have, need: have + NEW });
            };
            let (before, after, changed) = (proposal.before, proposal.after, proposal.changed);
            if !changed.any() {
                inner.state.change(learned).await?;
                return Ok(OptimizationOutcome::NoGain { before, after });
            }
            let learned = proposal.learned_from;
            let evidence = Evidence::new(now, config.version).with_counts(learned, learned, have).with_change(live, changed);
            let reason = format!(
                "optimization: a reward of {after:.3} is expected in place of {before:.3}, by {learned} searches, each measured by what was learned from others"
            );
            let version = self.write(&config, proposal.with_evidence(evidence), &reason, (now, have)).await?;
            self.count(|counts| counts.optimizations += 1).await?;
            Ok(OptimizationOutcome::Changed { version, before, after })
        })
        .await
    }

    /// Returns the moment before which nothing is learned.
    fn not_before(&self, state: &State, config: &RoutingConfig) -> Option<Timestamp> {
        let after = |at: Option<Timestamp>, time: Duration| at?.saturating_add(time).ok();
        let changed = state.last_change.max(config.learned.as_ref().map(|learned| learned.evidence.at));
        let changed = after(changed, self.0.options.between_changes);
        let interval = Duration::from_secs(config.optimization_interval_seconds);
        changed.max(after(state.last_learned.map(|(at, _)| at), interval))
    }

    /// Writes a configuration in place of the one that was read. That it is about to is noted before, so that a crash in
    /// between costs a day and no rule.
    async fn write(
        &self,
        config: &Versioned<RoutingConfig>,
        value: RoutingConfig,
        reason: &str,
        (now, judged): (Timestamp, u64),
    ) -> Result<u64> {
        let inner = self.0;
        inner.state.require_held(&inner.id).await?;
        let mut before = (None, None);
        let intend = |state: &mut State| {
            before = (state.last_change, state.last_learned);
            (state.last_change, state.last_learned) = (Some(now), Some((now, judged)));
            Ok(())
        };
        inner.state.change(intend).await?;
        let expected = if config.is_set() { Expected::Version(config.version) } else { Expected::Absent };
        let manager = inner.parts.config.for_caller(inner.parts.gate.caller()).because(reason);
        match manager.compare_and_set(&inner.tenant, value, expected).await {
            Ok(set) => Ok(set.version),
            // Somebody else was faster, and nothing was changed: the next turn may.
            Err(error) if error.code() == ErrorCode::ConfigConflict => {
                let undo = |state: &mut State| {
                    (state.last_change, state.last_learned) = before;
                    Ok(())
                };
                inner.state.change(undo).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Compares the reward since the change that is in force with the one before it, and takes the change back where it
    /// fell. What else was changed in the configuration meanwhile stays.
    async fn watch(
        &self,
        config: &Versioned<RoutingConfig>,
        state: &State,
        experiences: &[Experience],
    ) -> Result<Option<OptimizationOutcome>> {
        let inner = self.0;
        let Some(evidence) = config.value.learned.as_ref().map(|learned| learned.evidence) else { return Ok(None) };
        let has_feedback = |found: &&Experience| found.feedback.satisfaction().is_some();
        // What a change brought that was taken back meanwhile does not count against the one before it.
        let from = state.last_change.map_or(evidence.at, |change| change.max(evidence.at));
        let since: Vec<&Experience> = experiences.iter().filter(|found| found.at > from).filter(has_feedback).collect();
        let Some((found, variance, count)) = mean_live_reward(since.iter().copied()) else { return Ok(None) };
        let is_sure = found + 1.64 * (variance / count).sqrt() < evidence.live_reward;
        let has_fallen = found < evidence.live_reward - inner.options.improvement_threshold;
        if since.len() < LIVE || !has_fallen || !is_sure {
            return Ok(None);
        }
        let (before, written) = self.around(&evidence).await?;
        let reason = format!(
            "optimization: the change of {} is taken back to version {}, as the reward fell from {:.3} to {found:.3}",
            evidence.at, evidence.replaces, evidence.live_reward
        );
        let restored = taken_back(&config.value, &before, written.as_ref());
        let judged = experiences.iter().filter(|found| learn::is_judged(found)).count() as u64;
        let version = self.write(config, restored, &reason, (inner.state.clock.now(), judged)).await?;
        self.count(|counts| counts.rollbacks += 1).await?;
        Ok(Some(OptimizationOutcome::RolledBack { version, expected: evidence.live_reward, found }))
    }

    /// Returns the configuration that a change replaced, the default for version 0, and the one that it wrote, where the history
    /// still has it.
    ///
    /// # Errors
    /// `Corrupt` where the history has no readable version to go back to: then a person has to say what is right.
    async fn around(&self, evidence: &Evidence) -> Result<(RoutingConfig, Option<RoutingConfig>)> {
        let inner = self.0;
        let (mut written, mut from) = (None, None);
        loop {
            let page = inner.parts.config.history::<RoutingConfig>(&inner.tenant, from, HISTORY).await?;
            for entry in page.entries {
                match entry.recorded {
                    Recorded::Value(value) if entry.version > evidence.replaces => {
                        let is_its = value.learned.as_ref().is_some_and(|learned| learned.evidence.at == evidence.at);
                        // The oldest of those that hold its evidence is the one that it wrote.
                        written = if is_its { Some(value) } else { written };
                    }
                    Recorded::Value(before) if entry.version == evidence.replaces => return Ok((before, written)),
                    Recorded::Deleted if entry.version == evidence.replaces => {
                        return Ok((RoutingConfig::new(inner.tenant.clone()), written));
                    }
                    _ => {}
                }
            }
            from = page.next;
            if from.is_none_or(|from| from <= evidence.replaces) {
                break;
            }
        }
        if evidence.replaces == 0 {
            return Ok((RoutingConfig::new(inner.tenant.clone()), written));
        }
        let message = format!(
            "version {} of the routing configuration of tenant \"{}\" cannot be read, and a change does harm; set the routing \
             configuration that is right",
            evidence.replaces, inner.tenant
        );
        Err(Error::new(ErrorKind::Corrupt, message).with_context("tenant", &inner.tenant))
    }
}

/// Returns whether a judge's failure is this query's: another one may be judged.
fn is_of_the_query(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unexpected | ErrorKind::Timeout | ErrorKind::InvalidInput)
}

/// Returns the mean reward of the last searches by what users did.
fn live_before(experiences: &[Experience]) -> f64 {
    let recent = experiences.iter().rev().filter(|found| found.feedback.satisfaction().is_some()).take(BEFORE);
    mean_live_reward(recent).map_or(0.0, |(mean, ..)| mean)
}
