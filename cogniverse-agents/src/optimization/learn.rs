//! What is learned from experiences: corrections of the classifier, thresholds, a strategy and weights of profiles.
//!
//! Experiences are split by their ids: most are learned from, the others are kept to measure on. A change is proposed
//! only where it wins on those.

use super::reward::{reward, slowness};
use crate::routing::classifier::{self, Corrections, LABELS, MODALITIES, Row, modality_place};
use cogniverse_foundation::{LearnedRouting, RoutingConfig};
use cogniverse_sdk::{
    Experience, Modality, ProfileName, RouteLabel, RouteTier, StrategyName, telemetry_provider::AnnotatorKind,
};
use std::collections::{BTreeMap, HashMap};

/// Of so many experiences one is kept to measure on.
const HELD_OUT: u64 = 4;
/// The number of newer judged searches with which one counts half: what people ask for changes. By their number and not by
/// time, so that a tenant of few searches keeps its few.
const HALF_LIFE: f64 = 120.0;
/// The number of passes over the experiences.
const PASSES: usize = 60;
/// The step of a correction.
const STEP: f32 = 0.4;
/// The factor by which corrections shrink in each pass, so that a few experiences do not overturn the classifier.
const SHRINK: f32 = 0.01;
/// The largest number of features that are corrected, the strongest first.
const KEPT: usize = 480;
/// A correction below this is none.
const SMALLEST: f32 = 0.02;
/// The number of experiences from which a strategy or the profiles of a fusion are compared.
const ENOUGH: usize = 20;
/// The votes that every profile of a fusion has before anybody was content with one.
const PRIOR: f64 = 5.0;
/// What is believed of the slow path where nothing is known: as many experiences, right in this share.
const SLOW_PRIOR: (f64, f64) = (5.0, 0.8);
/// The time of the slow path where nothing is known, in milliseconds.
const SLOW_TIME: f64 = 800.0;

/// A change of a tenant's configuration, with what was measured.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    /// The configuration, without its evidence.
    pub(crate) config: RoutingConfig,
    pub(crate) corrections: BTreeMap<String, BTreeMap<u32, f32>>,
    pub(crate) learned_from: u64,
    pub(crate) measured_on: u64,
    /// The mean reward that is expected of the held-out experiences under the configuration of now.
    pub(crate) before: f64,
    /// The same under the proposal.
    pub(crate) after: f64,
}

/// What is known of the right route of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Truth {
    /// This kind of content is right.
    Is(Modality),
    /// This kind is wrong.
    IsNot(Modality),
}

/// An experience that something can be learned from.
#[derive(Debug)]
struct Example<'e> {
    experience: &'e Experience,
    truth: Truth,
    /// How much it counts, by its age.
    weight: f32,
    /// How much it teaches, by who says so. It measures as much as any other: else those who are content, who say more,
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
    // What people do says less: results can be bad for other reasons than the route.
    match experience.feedback.satisfaction()? {
        share if share > 0.5 => Some((Truth::Is(decided), 0.5)),
        share if share < 0.5 => Some((Truth::IsNot(decided), 0.4)),
        _ => None,
    }
}

/// Returns whether anybody says, by words or by deeds, whether a route was right.
pub(crate) fn is_judged(experience: &Experience) -> bool {
    truth(experience).is_some()
}

/// Learns from experiences, oldest first, and returns the best change with what is expected of it; `None` where there is nothing to
/// measure on.
pub(crate) fn learn(config: &RoutingConfig, experiences: &[Experience]) -> Option<Proposal> {
    let mut examples = Vec::new();
    let judged = experiences.iter().rev().filter_map(|experience| Some((experience, truth(experience)?)));
    for (newer, (experience, (truth, trust))) in judged.enumerate() {
        examples.push(Example { experience, truth, weight: age_weight(newer), trust });
    }
    let (held_out, learned): (Vec<Example<'_>>, Vec<Example<'_>>) =
        examples.into_iter().partition(|example| is_held_out(example.experience));
    if held_out.is_empty() || learned.is_empty() {
        return None;
    }
    let known = config.learned.as_ref().map(Corrections::of).unwrap_or_default();
    let world = World::of(experiences);
    let before = world.expected(&held_out, config, &known);
    let fitted = [fit(&learned, &known), fit(&learned, &Corrections::default())];
    // Thresholds are chosen on what was learned from, and measured on what was not.
    let mut best = (f64::NEG_INFINITY, config.clone(), &known);
    for corrections in std::iter::once(&known).chain(&fitted) {
        for (fast, slow) in thresholds(config) {
            let candidate = config.clone().with_confidence_thresholds(fast, slow);
            let expected = world.expected(&learned, &candidate, corrections);
            // A change needs a reason: of equal ones the configuration of now stays.
            if expected > best.0 + 1e-6 {
                best = (expected, candidate, corrections);
            }
        }
    }
    let (_, mut candidate, corrections) = best;
    let mut after = world.expected(&held_out, &candidate, corrections);
    if let Some((strategy, gain)) = strategy(experiences, config) {
        candidate.default_strategy = Some(strategy);
        after += gain;
    }
    if let Some((weights, gain)) = fusion(experiences, config) {
        candidate.fusion_weights = weights;
        after += gain;
    }
    Some(Proposal {
        config: candidate,
        corrections: as_stored(corrections),
        learned_from: learned.len() as u64,
        measured_on: held_out.len() as u64,
        before,
        after: after.min(1.0),
    })
}

/// Returns whether an experience is kept to measure on: by its id, so that it is the same at every look.
fn is_held_out(experience: &Experience) -> bool {
    let sum =
        experience.id.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    sum % HELD_OUT == 0
}

fn age_weight(newer: usize) -> f32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "from 0 to 1")]
    let weight = 0.5_f64.powf(newer as f64 / HALF_LIFE) as f32;
    weight
}

/// The thresholds to try: those of now first.
fn thresholds(config: &RoutingConfig) -> Vec<(f64, f64)> {
    let mut all = vec![(config.fast_path_confidence_threshold, config.slow_path_confidence_threshold)];
    for fast in 6..=19 {
        let fast = f64::from(fast) * 0.05;
        all.push((fast, config.slow_path_confidence_threshold));
        all.push((fast, 0.5));
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

/// The slope of the loss at each label; that of generations is 0, as nobody says which would be right.
fn errors(found: &Row, truth: Truth) -> Row {
    let mut errors = [0.0; LABELS];
    let slots = errors.iter_mut().zip(found).take(MODALITIES.len()).enumerate();
    match truth {
        Truth::Is(right) => {
            let right = modality_place(right);
            slots.for_each(|(place, (error, share))| *error = share - f32::from(u8::from(place == right)));
        }
        Truth::IsNot(wrong) => {
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

/// What the tenant's experiences say of its paths and of right and wrong routes.
#[derive(Debug)]
struct World {
    /// The mean reward of a right route, and of a wrong one, without the penalty for time.
    right: f64,
    wrong: f64,
    /// The share of right routes of the slow path, and its time.
    slow_is_right: f64,
    slow_ms: f64,
    has_slow: bool,
}

impl World {
    fn of(experiences: &[Experience]) -> Self {
        let (mut right, mut wrong) = ((2.0 * 0.95, 2.0), (2.0 * 0.35, 2.0));
        let (mut slow, mut times) = ((SLOW_PRIOR.0 * SLOW_PRIOR.1, SLOW_PRIOR.0), (SLOW_TIME, 1.0));
        let mut has_slow = false;
        for experience in experiences {
            let is_slow = matches!(experience.tier, RouteTier::SlowPath);
            if is_slow {
                has_slow = true;
                times = (times.0 + experience.route_ms, times.1 + 1.0);
            }
            let Some((truth, _)) = truth(experience) else { continue };
            let is_right = truth == Truth::Is(experience.modality);
            let gained = reward(experience) + slowness(experience.took_ms);
            let sum = if is_right { &mut right } else { &mut wrong };
            *sum = (sum.0 + gained, sum.1 + 1.0);
            if is_slow {
                slow = (slow.0 + f64::from(u8::from(is_right)), slow.1 + 1.0);
            }
        }
        Self {
            right: right.0 / right.1,
            wrong: wrong.0 / wrong.1,
            slow_is_right: slow.0 / slow.1,
            slow_ms: times.0 / times.1,
            has_slow,
        }
    }

    /// Returns the mean reward that is expected of examples under a configuration.
    fn expected(&self, examples: &[Example<'_>], config: &RoutingConfig, corrections: &Corrections) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for example in examples {
            let weight = f64::from(example.weight);
            sum += weight * self.expected_of(example, config, corrections);
            weights += weight;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    }

    fn expected_of(&self, example: &Example<'_>, config: &RoutingConfig, corrections: &Corrections) -> f64 {
        let is_right = |decided: Modality| match example.truth {
            Truth::Is(right) => f64::from(u8::from(decided == right)),
            Truth::IsNot(wrong) if decided == wrong => 0.0,
            // Another one than the wrong one: one of four.
            Truth::IsNot(_) => 0.25,
        };
        let experience = example.experience;
        let fast = experience.fast.as_ref().filter(|_| config.enable_fast_path);
        let fast = fast.and_then(|evidence| classifier::of_evidence(evidence, corrections.rows())).map(|found| {
            let ((modality, sure), (_, as_sure)) = found.best();
            (modality, sure.min(as_sure))
        });
        let asks_slow = config.enable_slow_path && self.has_slow;
        let (share, time) = match fast {
            Some((modality, confidence)) if confidence >= config.fast_path_confidence_threshold || !asks_slow => {
                (is_right(modality), 0.0)
            }
            // What the slow path said of this very query is known where it was asked.
            _ if experience.tier == RouteTier::SlowPath => (is_right(experience.modality), self.slow_ms),
            _ if asks_slow => (self.slow_is_right, self.slow_ms),
            _ => (is_right(experience.modality), 0.0),
        };
        share * self.right + (1.0 - share) * self.wrong - slowness(experience.took_ms.min(1000.0) + time)
    }
}

/// Returns the strategy whose searches had the best rewards, and the gain on held-out experiences, where it is not the one
/// of now.
fn strategy(experiences: &[Experience], config: &RoutingConfig) -> Option<(StrategyName, f64)> {
    let mut of: BTreeMap<&StrategyName, [(f64, f64); 2]> = BTreeMap::new();
    for experience in experiences.iter().filter(|experience| experience.feedback.satisfaction().is_some()) {
        let mut strategies: Vec<&StrategyName> = experience.profiles.values().collect();
        strategies.dedup();
        if let [one] = strategies.as_slice() {
            let part = usize::from(is_held_out(experience));
            if let Some(sum) = of.entry(one).or_default().get_mut(part) {
                *sum = (sum.0 + reward(experience), sum.1 + 1.0);
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let enough = |sums: &[(f64, f64); 2]| sums.iter().map(|(_, count)| count).sum::<f64>() >= ENOUGH as f64;
    of.retain(|_, sums| enough(sums) && sums.iter().all(|(_, count)| *count > 0.0));
    let mean = |sums: &[(f64, f64); 2], part: usize| sums.get(part).map_or(0.0, |(sum, count)| sum / count);
    let (best, sums) = of.iter().max_by(|a, b| mean(a.1, 0).total_cmp(&mean(b.1, 0)))?;
    let now = of.iter().find(|(name, _)| Some(**name) == config.default_strategy.as_ref());
    // Without one of its own, a tenant has a mixture of the strategies of its profiles.
    let (mut sum, mut count) = (0.0, 0.0);
    for (_, [_, held_out]) in now.into_iter().chain(of.iter().filter(|_| now.is_none())) {
        (sum, count) = (sum + held_out.0, count + held_out.1);
    }
    let gain = mean(sums, 1) - sum / count;
    (of.len() > 1 && Some(*best) != config.default_strategy.as_ref() && gain > 0.0).then(|| ((*best).clone(), gain))
}

/// Returns weights of profiles by how often users were content with a result of each, and the gain: by how much more
/// probable they make the choices of held-out users.
fn fusion(experiences: &[Experience], config: &RoutingConfig) -> Option<(BTreeMap<ProfileName, f64>, f64)> {
    let fused = experiences.iter().filter(|e| e.profiles.len() > 1 && !e.feedback.profiles.is_empty());
    let (held_out, learned): (Vec<&Experience>, Vec<&Experience>) = fused.partition(|e| is_held_out(e));
    if learned.len() < ENOUGH || held_out.is_empty() {
        return None;
    }
    let mut votes: BTreeMap<&ProfileName, (f64, f64)> = BTreeMap::new();
    for experience in &learned {
        let all: f64 = experience.feedback.profiles.values().map(|count| f64::from(*count)).sum();
        #[expect(clippy::cast_precision_loss, reason = "at most 16")]
        let fair = all / experience.profiles.len() as f64;
        for profile in experience.profiles.keys() {
            let own = experience.feedback.profiles.get(profile).map_or(0.0, |count| f64::from(*count));
            let vote = votes.entry(profile).or_default();
            *vote = (vote.0 + own, vote.1 + fair);
        }
    }
    let weights: BTreeMap<ProfileName, f64> = votes
        .into_iter()
        .map(|(profile, (own, fair))| (profile.clone(), ((own + PRIOR) / (fair + PRIOR)).clamp(0.1, 5.0)))
        .collect();
    let gain = choice_probability(&held_out, &weights) - choice_probability(&held_out, &config.fusion_weights);
    (gain > 0.0).then_some((weights, gain))
}

/// The mean probability of the choices of users, by the weights of the profiles.
fn choice_probability(experiences: &[&Experience], weights: &BTreeMap<ProfileName, f64>) -> f64 {
    let weight = |profile: &ProfileName| weights.get(profile).copied().unwrap_or(1.0);
    let (mut sum, mut count) = (0.0, 0.0);
    for experience in experiences {
        let all: f64 = experience.profiles.keys().map(weight).sum();
        for (profile, times) in &experience.feedback.profiles {
            sum += f64::from(*times) * weight(profile) / all.max(f64::MIN_POSITIVE);
            count += f64::from(*times);
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Returns corrections in the form of a configuration, by label.
fn as_stored(corrections: &Corrections) -> BTreeMap<String, BTreeMap<u32, f32>> {
    let mut stored: BTreeMap<String, BTreeMap<u32, f32>> = BTreeMap::new();
    for (feature, row) in corrections.rows() {
        for (place, correction) in row.iter().enumerate() {
            // A thousandth more or less decides nothing and makes a configuration hard to read.
            let rounded = (correction * 1000.0).round() / 1000.0;
            if rounded != 0.0 {
                let label = classifier::label_at(place).to_owned();
                stored.entry(label).or_default().insert(*feature, rounded.clamp(-20.0, 20.0));
            }
        }
    }
    stored
}

impl Proposal {
    /// Returns the configuration with the evidence for it.
    pub(crate) fn with_evidence(self, evidence: cogniverse_foundation::Evidence) -> RoutingConfig {
        let evidence = evidence.with_rewards(self.before, self.after);
        self.config.with_learned(LearnedRouting::new(classifier::VERSION, self.corrections, evidence))
    }

    /// Returns the expected gain.
    pub(crate) fn gain(&self) -> f64 {
        self.after - self.before
    }
}
