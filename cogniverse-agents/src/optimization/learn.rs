//! Learning from experiences: corrections of the classifier and thresholds, and what `preferences` says beside them.
//!
//! Everything is measured on searches that it was not learned from: experiences are divided into parts by their queries,
//! and each part is measured by what was learned from the others. A change is proposed only where it wins by a margin and
//! beyond chance, each by itself.

use super::{
    preferences::{fusion, strategy},
    reward::{reward, slowness},
    sample::{NEWEST, PARTS, SURE, part},
};
use crate::routing::{
    classifier::{self, Corrections, Row},
    decision::{Verdict, of_path},
    labels::{LABELS, MODALITIES, label_at, modality_place},
    router::{alone, together},
};
use cogniverse_foundation::{Changed, Evidence, LearnedRouting, RoutingConfig};
use cogniverse_sdk::{
    Experience, Modality, PathVerdict, ProfileName, RouteLabel, RouteTier, telemetry_provider::AnnotatorKind,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The number of newer judged searches with which one counts half: what people ask for changes. By their number and not by
/// time, so that a tenant of few searches keeps its few.
const HALF_LIFE: f64 = 150.0;
/// The number of passes over the experiences.
const PASSES: usize = 40;
/// The step of a correction.
const STEP: f32 = 0.4;
/// The factor by which corrections shrink in each pass, so that a few experiences do not overturn the classifier.
const SHRINK: f32 = 0.01;
/// The largest number of features that are corrected, the strongest first.
const KEPT: usize = 480;
/// A correction below this is none.
const SMALLEST: f32 = 0.02;
/// The weight in learning of a search of which only the discontent of its users is known.
const DISCONTENT: f32 = 0.4;
/// The prior belief about the slow path: a number of experiences, and the share of right ones.
const SLOW_PRIOR: (f64, f64) = (5.0, 0.8);
/// The time of the slow path where nothing is known, in milliseconds.
const SLOW_TIME: f64 = 800.0;

/// A change of a tenant's configuration, with what was measured.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    config: RoutingConfig,
    corrections: BTreeMap<String, BTreeMap<u32, f32>>,
    pub(crate) learned_from: u64,
    pub(crate) changed: Changed,
    /// The mean reward that is expected of held-out experiences now.
    pub(crate) before: f64,
    /// The same with the proposal.
    pub(crate) after: f64,
}

/// The knowledge about the right route of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Truth {
    /// This kind of content is right.
    Is(Modality),
    /// This kind is wrong: somebody says so.
    IsNot(Modality),
    /// Users were not content, which may have other reasons.
    Discontent(Modality),
}

/// An experience that something can be learned from.
#[derive(Debug, Clone, Copy)]
struct Example<'e> {
    experience: &'e Experience,
    truth: Truth,
    /// The weight in means, by its age.
    weight: f32,
    /// The weight in learning, by the source of the judgement. It measures as much as any other: else those who are content, who say more,
    /// would hide those who are not.
    trust: f32,
}

/// Returns the kind of content that a search should have been routed to, as far as anybody says.
fn truth(experience: &Experience) -> Option<(Truth, f32)> {
    let decided = experience.modality;
    if let Some(annotation) = &experience.annotation {
        let trust = if annotation.annotator == AnnotatorKind::Human { 1.0 } else { 0.7 };
        match (annotation.label, annotation.suggested) {
            (RouteLabel::CorrectRouting, _) => return Some((Truth::Is(decided), trust)),
            (RouteLabel::WrongRouting, Some(right)) if right != decided => return Some((Truth::Is(right), trust)),
            (RouteLabel::WrongRouting, _) => return Some((Truth::IsNot(decided), trust)),
            _ => {}
        }
    }
    match experience.feedback.satisfaction()? {
        share if share > 0.5 => Some((Truth::Is(decided), 0.5)),
        share if share < 0.5 => Some((Truth::Discontent(decided), DISCONTENT)),
        _ => None,
    }
}

/// Returns whether anybody says, by words or by deeds, whether a route was right.
pub(crate) fn is_judged(experience: &Experience) -> bool {
    truth(experience).is_some()
}

/// Learns from experiences, oldest first, and proposes what gains at least `margin`; `has_model` says whether the slow path
/// can be asked, and `own_strategies` names the profiles that have a default strategy of their own. `None` where there is too little to measure on.
pub(crate) fn learn(
    config: &RoutingConfig,
    experiences: &[Experience],
    has_model: bool,
    margin: f64,
    own_strategies: &BTreeSet<ProfileName>,
) -> Option<Proposal> {
    let judged = experiences.iter().rev().filter_map(|experience| Some((experience, truth(experience)?)));
    let mut examples: Vec<Example<'_>> = judged
        .take(NEWEST)
        .enumerate()
        .map(|(newer, (experience, (truth, trust)))| Example { experience, truth, weight: age_weight(newer), trust })
        .collect();
    // The newest last: what is seen last is learned best.
    examples.reverse();
    let known = config.learned.as_ref().map(Corrections::of).unwrap_or_default();
    let mut trials = Vec::with_capacity(examples.len());
    for held_out in 0..PARTS {
        let (measured, learned): (Vec<Example<'_>>, Vec<Example<'_>>) =
            examples.iter().partition(|example| part(example.experience) == held_out);
        let world = World::of(&learned, has_model);
        let (candidate, corrections) = best(&world, config, &known, &learned);
        let (now, then) = (world.verdicts(&measured, &known), world.verdicts(&measured, &corrections));
        for ((example, now), then) in measured.into_iter().zip(now).zip(then) {
            let now = world.decide(&example, config, now);
            let then = world.decide(&example, &candidate, then);
            trials.push(Trial { example, now, then });
        }
    }
    let (before, gain, is_sure) = measure(&World::of(&examples, has_model), &trials)?;
    let world = World::of(&examples, has_model);
    let (candidate, corrections) = best(&world, config, &known, &examples);
    let is_better = is_sure && gain >= margin && differs(config, &candidate, &known, &corrections);
    let mut proposal = Proposal {
        config: if is_better { candidate } else { config.clone() },
        corrections: as_stored(if is_better { &corrections } else { &known }),
        learned_from: examples.len() as u64,
        changed: Changed::new(is_better, false, false),
        before,
        after: before + gain,
    };
    // Each of the others is a change by itself, in a measure of its own.
    if let Some((strategy, before, after)) =
        strategy(experiences, config, own_strategies).filter(|(_, now, then)| then - now >= margin)
    {
        proposal.config.default_strategy = Some(strategy);
        proposal.take_in(before, after, |changed| changed.strategy = true);
    }
    if let Some((weights, before, after)) = fusion(experiences, config, margin) {
        proposal.config.fusion_weights = weights;
        proposal.take_in(before, after, |changed| changed.fusion = true);
    }
    Some(proposal)
}

fn differs(config: &RoutingConfig, candidate: &RoutingConfig, known: &Corrections, corrections: &Corrections) -> bool {
    candidate != config || as_stored(known) != as_stored(corrections)
}

/// A held-out search under the configuration of now and under what was learned from others.
#[derive(Debug)]
struct Trial<'e> {
    example: Example<'e>,
    now: Decided,
    then: Decided,
}

/// The decision of the router, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Decided {
    /// This kind of content, with the time that the slow path takes, where it is asked.
    Kind(Modality, f64),
    /// The slow path's, which is not known for this query; this kind where it does not answer.
    BySlowPath(Modality),
}

/// The knowledge about searches with discontent users, of those that are decided otherwise after learning.
#[derive(Debug, Clone, Copy)]
struct Discontent {
    /// The share of them that were routed wrong.
    was_wrong: f64,
    /// The share that would be routed right.
    is_right: f64,
}

/// The number of judged searches from which their judgements stand for the others.
const JUDGED: f64 = 5.0;
/// Of several other kinds one is right.
const OTHER: f64 = 0.25;
/// The assumption about a correction while it is chosen; held-out searches decide about it.
const HOPED: Discontent = Discontent { was_wrong: 0.7, is_right: 0.5 };

impl Discontent {
    /// Learns from trials in which something else is decided: by judgements where there are some, else by how much more
    /// often users are not content with what would change than with what would stay.
    fn of(trials: &[Trial<'_>]) -> Self {
        let (mut judged, mut was_wrong, mut is_right) = (0.0, 0.0, 0.0);
        let mut rates = [(0.0, 0.0); 2];
        for Trial { example, now, then } in trials {
            let (Decided::Kind(now, _), Decided::Kind(then, _)) = (now, then) else { continue };
            let changes = now != then;
            if let Truth::Is(right) = example.truth
                && example.experience.annotation.is_some()
                && changes
            {
                judged += 1.0;
                was_wrong += f64::from(u8::from(example.experience.modality != right));
                is_right += f64::from(u8::from(*then == right));
            }
            if let (Some(share), Some(rate)) =
                (example.experience.feedback.satisfaction(), rates.get_mut(usize::from(changes)))
            {
                *rate = (rate.0 + 1.0 - share, rate.1 + 1.0);
            }
        }
        if judged >= JUDGED {
            return Self { was_wrong: (was_wrong + 1.0) / (judged + 2.0), is_right: (is_right + 0.5) / (judged + 2.0) };
        }
        let [stays, changes] = rates.map(|(discontent, all)| (discontent + 0.5) / (all + 2.0));
        let was_wrong = ((changes - stays) / changes).clamp(0.0, 1.0);
        Self { was_wrong, is_right: was_wrong * OTHER }
    }
}

/// Returns the mean expected reward of trials now, the mean gain, and whether it is beyond chance; `None` for fewer than 30.
fn measure(world: &World, trials: &[Trial<'_>]) -> Option<(f64, f64, bool)> {
    if trials.len() < 30 {
        return None;
    }
    let discontent = Discontent::of(trials);
    let expected = |trial: &Trial<'_>, decided| world.expected(&trial.example, decided, discontent);
    let of =
        |trial: &Trial<'_>| (f64::from(trial.example.weight), expected(trial, trial.now), expected(trial, trial.then));
    let rewards: Vec<(f64, f64, f64)> = trials.iter().map(of).collect();
    let weights: f64 = rewards.iter().map(|(weight, ..)| weight).sum();
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        rewards.iter().map(|(weight, before, after)| weight * of(*before, *after)).sum::<f64>() / weights
    };
    let (before, gain) = (mean(&|before, _| before), mean(&|before, after| after - before));
    let squares: f64 = rewards.iter().map(|(weight, ..)| weight * weight).sum();
    let variance = mean(&|before, after| (after - before - gain).powi(2));
    // The standard error of a weighted mean, by the number of equally weighted ones that would say as much.
    let error = (variance * squares / (weights * weights)).sqrt();
    Some((before, gain, gain > SURE * error && gain > 0.0))
}

/// Returns the thresholds and corrections that win on examples that something was learned from.
fn best(
    world: &World,
    config: &RoutingConfig,
    known: &Corrections,
    learned: &[Example<'_>],
) -> (RoutingConfig, Corrections) {
    let fitted = [fit(learned, known), fit(learned, &Corrections::default())];
    let mut best = (f64::NEG_INFINITY, config.clone(), known.clone());
    for corrections in std::iter::once(known).chain(&fitted) {
        let verdicts = world.verdicts(learned, corrections);
        for (fast, slow) in thresholds(config, world.has_model) {
            let candidate = config.clone().with_confidence_thresholds(fast, slow);
            let (mut sum, mut weights) = (0.0, 0.0);
            for (example, verdict) in learned.iter().zip(&verdicts) {
                let weight = f64::from(example.weight);
                let decided = world.decide(example, &candidate, verdict.clone());
                sum += weight * world.expected(example, decided, HOPED);
                weights += weight;
            }
            let expected = sum / f64::max(weights, f64::MIN_POSITIVE);
            // A change needs a reason: of equal ones the first stays.
            if expected > best.0 + 1e-6 {
                best = (expected, candidate, corrections.clone());
            }
        }
    }
    (best.1, best.2)
}

fn age_weight(newer: usize) -> f32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "from 0 to 1")]
    let weight = 0.5_f64.powf(newer as f64 / HALF_LIFE) as f32;
    weight
}

/// The thresholds to try: those of now first. Without a slow path they decide next to nothing.
fn thresholds(config: &RoutingConfig, has_model: bool) -> Vec<(f64, f64)> {
    let now = (config.fast_path_confidence_threshold, config.slow_path_confidence_threshold);
    let mut all = vec![now];
    if has_model && config.enable_slow_path {
        for fast in 6..=19 {
            let fast = f64::from(fast) * 0.05;
            all.extend([now.1, 0.3, 0.5, 0.7, 0.9].map(|slow| (fast, slow)));
        }
    }
    all
}

/// Fits corrections to examples by stochastic gradient descent on the logistic loss, from those of now.
fn fit(examples: &[Example<'_>], known: &Corrections) -> Corrections {
    let mut rows: HashMap<u32, Row> = known.rows().clone();
    for _ in 0..PASSES {
        for Example { experience, truth, weight, trust } in examples {
            let Some(evidence) = &experience.fast else { continue };
            let Some(found) = classifier::of_evidence(evidence, &rows) else { continue };
            let errors = errors(found.row(), *truth);
            for (feature, amount) in &evidence.features {
                let row = rows.entry(*feature).or_default();
                for (correction, error) in row.iter_mut().zip(errors) {
                    *correction -= STEP * weight * trust * error * amount;
                }
            }
        }
        rows.values_mut().flatten().for_each(|correction| *correction *= 1.0 - SHRINK);
    }
    let mut strongest: Vec<(u32, Row)> = rows.into_iter().collect();
    let strength = |row: &Row| row.iter().fold(0.0_f32, |most, correction| most.max(correction.abs()));
    strongest.sort_by(|a, b| strength(&b.1).total_cmp(&strength(&a.1)).then(a.0.cmp(&b.0)));
    strongest.truncate(KEPT);
    strongest.retain(|(_, row)| strength(row) >= SMALLEST);
    Corrections::from_rows(strongest.into_iter().collect())
}

/// The slope of the loss at each label; that of generations is 0, as they are not judged.
fn errors(found: &Row, truth: Truth) -> Row {
    let mut errors = [0.0; LABELS];
    let slots = errors.iter_mut().zip(found).take(MODALITIES.len()).enumerate();
    match truth {
        Truth::Is(right) => {
            let right = modality_place(right);
            slots.for_each(|(place, (error, share))| *error = share - f32::from(u8::from(place == right)));
        }
        Truth::IsNot(wrong) | Truth::Discontent(wrong) => {
            // What the wrong one loses, the others gain by their shares.
            let wrong = modality_place(wrong);
            let lost = found.get(wrong).copied().unwrap_or_default();
            slots.for_each(|(place, (error, share))| {
                *error = if place == wrong { lost * (1.0 - lost) } else { -lost * share };
            });
        }
    }
    errors
}

/// The statistics of a tenant's paths, and of right and wrong routes.
#[derive(Debug)]
struct World {
    /// The mean reward of a right route, and of a wrong one, without the penalty for time.
    right: f64,
    wrong: f64,
    /// The share of right answers of the slow path, the share of its answers of all times that it was asked, and its time.
    slow_is_right: f64,
    slow_answers: f64,
    slow_ms: f64,
    has_model: bool,
}

impl World {
    fn of(examples: &[Example<'_>], has_model: bool) -> Self {
        let (mut right, mut wrong) = ((2.0 * 0.95, 2.0), (2.0 * 0.35, 2.0));
        let (mut slow, mut times) = ((SLOW_PRIOR.0 * SLOW_PRIOR.1, SLOW_PRIOR.0), (SLOW_TIME, 1.0));
        let mut answers = (1.0, 1.0);
        for Example { experience, truth, .. } in examples {
            let said = experience.paths.iter().find(|path| path.tier == RouteTier::SlowPath);
            if said.is_some() || experience.slow_failed {
                times = (times.0 + experience.route_ms, times.1 + 1.0);
                answers = (answers.0 + f64::from(u8::from(said.is_some())), answers.1 + 1.0);
            }
            let slow_is_right = said.and_then(|said| match truth {
                Truth::Is(kind) => Some(said.modality == *kind),
                Truth::IsNot(kind) if said.modality == *kind => Some(false),
                _ => None,
            });
            if let Some(is_right) = slow_is_right {
                slow = (slow.0 + f64::from(u8::from(is_right)), slow.1 + 1.0);
            }
            let is_right = match truth {
                Truth::Is(kind) => *kind == experience.modality,
                Truth::IsNot(_) => false,
                // It shows neither what is right nor what is wrong.
                Truth::Discontent(_) => continue,
            };
            let sum = if is_right { &mut right } else { &mut wrong };
            *sum = (sum.0 + reward(experience) + slowness(experience.took_ms), sum.1 + 1.0);
        }
        Self {
            right: right.0 / right.1,
            wrong: wrong.0 / wrong.1,
            slow_is_right: slow.0 / slow.1,
            slow_answers: answers.0 / answers.1,
            slow_ms: times.0 / times.1,
            has_model,
        }
    }

    /// Returns what the fast path would say of each example; `None` where that is not known.
    fn verdicts(&self, examples: &[Example<'_>], corrections: &Corrections) -> Vec<Option<Verdict>> {
        let fast = |example: &Example<'_>| {
            let found = classifier::of_evidence(example.experience.fast.as_ref()?, corrections.rows())?;
            let ((modality, sure), (generation, as_sure)) = found.best();
            Some(of_path(&PathVerdict::new(RouteTier::FastPath, modality, generation, sure.min(as_sure))))
        };
        examples.iter().map(fast).collect()
    }

    /// Returns what a configuration decides about an example, by the same rules as the router.
    fn decide(&self, example: &Example<'_>, config: &RoutingConfig, fast: Option<Verdict>) -> Decided {
        let fast = fast.filter(|_| config.enable_fast_path);
        if let Some(sure) = alone(config, fast.as_ref()) {
            return Decided::Kind(sure.modality, 0.0);
        }
        let path = |tier| example.experience.paths.iter().find(|path| path.tier == tier).map(of_path);
        let asks = config.enable_slow_path && self.has_model;
        let slow = path(RouteTier::SlowPath).filter(|_| asks);
        match path(RouteTier::Keyword) {
            Some(words) if asks && slow.is_none() => Decided::BySlowPath(together(config, fast, None, words).modality),
            Some(words) => {
                let time = if asks { self.slow_ms } else { 0.0 };
                Decided::Kind(together(config, fast, slow, words).modality, time)
            }
            None => Decided::Kind(example.experience.modality, 0.0),
        }
    }

    /// Returns the reward that is expected of an example for which this is decided.
    fn expected(&self, example: &Example<'_>, decided: Decided, discontent: Discontent) -> f64 {
        let experience = example.experience;
        let own_ms = (experience.took_ms - experience.route_ms).clamp(0.0, 2000.0);
        let share_of = |kind| match example.truth {
            Truth::Is(right) => f64::from(u8::from(kind == right)),
            Truth::IsNot(wrong) if kind == wrong => 0.0,
            Truth::IsNot(_) => OTHER,
            Truth::Discontent(same) if kind == same => 1.0 - discontent.was_wrong,
            Truth::Discontent(_) => discontent.is_right,
        };
        let (share, routing_ms) = match decided {
            Decided::BySlowPath(otherwise) => {
                let share = self.slow_answers * self.slow_is_right + (1.0 - self.slow_answers) * share_of(otherwise);
                (share, self.slow_ms)
            }
            Decided::Kind(kind, time) => (share_of(kind), time),
        };
        share * self.right + (1.0 - share) * self.wrong - slowness(own_ms + routing_ms)
    }
}

/// Returns corrections in the form of a configuration, by label.
fn as_stored(corrections: &Corrections) -> BTreeMap<String, BTreeMap<u32, f32>> {
    let mut stored: BTreeMap<String, BTreeMap<u32, f32>> = BTreeMap::new();
    for (feature, row) in corrections.rows() {
        for (place, correction) in row.iter().enumerate() {
            // A thousandth more or less decides nothing and makes a configuration hard to read.
            let rounded = (correction * 1000.0).round() / 1000.0;
            if rounded != 0.0 {
                let label = label_at(place).to_owned();
                stored.entry(label).or_default().insert(*feature, rounded.clamp(-20.0, 20.0));
            }
        }
    }
    stored
}

impl Proposal {
    /// Takes in another change; what is told of the whole is the largest win.
    fn take_in(&mut self, before: f64, after: f64, mark: impl FnOnce(&mut Changed)) {
        if !self.changed.any() || after - before > self.gain() {
            (self.before, self.after) = (before, after);
        }
        mark(&mut self.changed);
    }

    /// Returns the configuration with the evidence for it.
    pub(crate) fn with_evidence(self, evidence: Evidence) -> RoutingConfig {
        let evidence = evidence.with_rewards(self.before, self.after);
        self.config.with_learned(LearnedRouting::new(classifier::VERSION, self.corrections, evidence))
    }

    /// Returns the expected gain.
    fn gain(&self) -> f64 {
        self.after - self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{ExperienceNote, Generation, RouteAnnotation, SearchId, TenantId, Timestamp};

    /// A search of which a person says that it was routed right, whose slow path answered or failed.
    fn judged(number: u64, slow_answers: bool) -> Experience {
        let (id, asked) = (SearchId::parse(format!("{number:x}")).unwrap(), (Modality::Video, Generation::RawResults));
        let mut new = Experience::new(id, Timestamp::UNIX_EPOCH, asked, RouteTier::Keyword);
        let path = |tier| PathVerdict::new(tier, Modality::Video, Generation::RawResults, 0.9);
        new.paths.push(path(RouteTier::Keyword));
        match slow_answers {
            true => new.paths.push(path(RouteTier::SlowPath)),
            false => (new.slow_failed, new.route_ms) = (true, 1000.0),
        }
        let annotation = RouteAnnotation::new(RouteLabel::CorrectRouting, AnnotatorKind::Human, Timestamp::UNIX_EPOCH);
        new.note(&ExperienceNote::Annotation(annotation));
        new
    }

    #[test]
    fn a_slow_path_that_never_answers_is_believed_nothing() {
        let config = RoutingConfig::new(TenantId::parse("acme").unwrap());
        let expected = |answers: bool| {
            let experiences: Vec<Experience> = (0..200).map(|number| judged(number, answers)).collect();
            let of = |experience| Example { experience, truth: Truth::Is(Modality::Video), weight: 1.0, trust: 1.0 };
            let examples: Vec<Example<'_>> = experiences.iter().map(of).collect();
            let world = World::of(&examples, true);
            // Whose slow path was not asked, and which another kind than the right one is left to otherwise.
            let mut open = judged(1000, false);
            open.paths[0].modality = Modality::Image;
            let decided = world.decide(&of(&open), &config, None);
            assert_eq!(decided, Decided::BySlowPath(Modality::Image));
            let open = of(&open);
            world.expected(&open, decided, HOPED) - world.expected(&open, Decided::Kind(Modality::Image, 0.0), HOPED)
        };
        assert!(expected(true) > 0.4, "it is right for all");
        assert!(expected(false) < 0.0, "it costs a second and says nothing");
    }
}
