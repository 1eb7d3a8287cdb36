//! The fast path: a linear classifier of queries by modality and generation.
//!
//! Two softmax regressions over hashed text features, trained in this process from the examples that ship with the
//! library: what a release knows can be read in `examples.tsv`, and no binary stands beside it.

use super::{
    decision::Verdict,
    features::{FEATURES, Features},
    labels::{LABELS, MODALITIES, modality_place, place_of},
};
use cogniverse_foundation::{LearnedRouting, worker};
use cogniverse_sdk::{FastEvidence, Generation, Modality, Result, RouteTier};
use std::{
    collections::HashMap,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// The version of features and labels. Corrections that were learned for another version are not used.
pub(crate) const VERSION: u32 = 1;
const EXAMPLES: &str = include_str!("examples.tsv");
/// The number of passes over the examples.
const PASSES: usize = 12;
/// The step of a weight at its first change.
const STEP: f32 = 0.2;
/// The factor by which weights that are rarely needed shrink.
const DECAY: f32 = 1e-4;
/// The factor that makes probabilities as sure as they are right, measured on queries apart from the examples.
const CALIBRATION: f32 = 1.5;

/// A weight for each label.
pub(crate) type Row = [f32; LABELS];

/// A trained classifier.
#[derive(Debug)]
pub(crate) struct Classifier {
    rows: Vec<Row>,
}

/// The corrections of a classifier for one tenant.
#[derive(Debug, Default, Clone)]
pub(crate) struct Corrections(HashMap<u32, Row>);

impl Corrections {
    /// Reads what was learned for this version of the classifier.
    pub(crate) fn of(learned: &LearnedRouting) -> Self {
        let mut rows: HashMap<u32, Row> = HashMap::new();
        if learned.classifier == VERSION {
            for (label, corrections) in &learned.corrections {
                let Some(place) = place_of(label) else { continue };
                for (feature, by) in corrections {
                    if let Some(slot) = rows.entry(*feature).or_default().get_mut(place) {
                        *slot = *by;
                    }
                }
            }
        }
        Self(rows)
    }

    /// Creates corrections from weights by feature.
    pub(crate) fn from_rows(rows: HashMap<u32, Row>) -> Self {
        Self(rows)
    }

    /// Returns the weights by feature.
    pub(crate) fn rows(&self) -> &HashMap<u32, Row> {
        &self.0
    }
}

/// Returns the probabilities that the classifier would give a query of which this evidence was kept; `None` for the
/// evidence of another version.
pub(crate) fn of_evidence(evidence: &FastEvidence, corrections: &HashMap<u32, Row>) -> Option<Probabilities> {
    let mut sums: Row = <[f32; LABELS]>::try_from(evidence.scores.as_slice()).ok()?;
    if evidence.classifier != VERSION {
        return None;
    }
    for (feature, amount) in &evidence.features {
        if let Some(row) = corrections.get(feature) {
            sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight * amount);
        }
    }
    Some(probabilities(&sums, CALIBRATION))
}

/// The probabilities of the labels of one query; those of modalities add up to 1, and those of generations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Probabilities(Row);

impl Probabilities {
    /// Returns the most probable modality and generation.
    pub(crate) fn best(&self) -> ((Modality, f64), (Generation, f64)) {
        let (modalities, generations) = self.0.split_at(MODALITIES.len());
        let (modality, sure) = largest(modalities);
        let (generation, as_sure) = largest(generations);
        (
            (MODALITIES.get(modality).copied().unwrap_or(Modality::Video), sure),
            (Generation::ALL.get(generation).copied().unwrap_or_default(), as_sure),
        )
    }

    /// Returns the probabilities in the order of the labels.
    pub(crate) fn row(&self) -> &Row {
        &self.0
    }
}

fn largest(row: &[f32]) -> (usize, f64) {
    let found = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    found.map_or((0, 0.0), |(place, sure)| (place, f64::from(*sure)))
}

impl Classifier {
    /// Returns the classifier that ships with the library, trained at the first call.
    pub(crate) fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Classifier> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::train(&examples(), PASSES, STEP, DECAY))
    }

    /// Waits until the classifier is trained, on a thread of its own.
    pub(crate) async fn ready() -> Result<()> {
        static READY: AtomicBool = AtomicBool::new(false);
        if READY.load(Ordering::Acquire) {
            return Ok(());
        }
        worker::blocking(|| {
            Self::shipped();
            READY.store(true, Ordering::Release);
            Ok(())
        })
        .await
    }

    fn train(examples: &[(Modality, Generation, Features)], passes: usize, step: f32, decay: f32) -> Self {
        let mut rows: Vec<Row> = vec![[0.0; LABELS]; FEATURES];
        let mut squares: Vec<Row> = vec![[1e-3; LABELS]; FEATURES];
        let mut order: Vec<usize> = (0..examples.len()).collect();
        let mut random: u64 = 1;
        for _ in 0..passes {
            shuffle(&mut order, &mut random);
            for (modality, generation, features) in order.iter().filter_map(|at| examples.get(*at)) {
                let Probabilities(found) = probabilities(&logits(&rows, features, None), 1.0);
                let wanted = [modality_place(*modality), generation_place(*generation)];
                let mut errors = found;
                for place in wanted {
                    if let Some(error) = errors.get_mut(place) {
                        *error -= 1.0;
                    }
                }
                for (feature, amount) in &features.amounts {
                    let (Some(row), Some(seen)) = (rows.get_mut(*feature as usize), squares.get_mut(*feature as usize))
                    else {
                        continue;
                    };
                    for ((weight, square), error) in row.iter_mut().zip(seen).zip(errors) {
                        let slope = error * amount;
                        *square += slope * slope;
                        *weight -= step * slope / square.sqrt() + decay * *weight;
                    }
                }
            }
        }
        Self { rows }
    }

    /// Returns the probabilities of a query's labels.
    pub(crate) fn classify(&self, features: &Features, corrections: Option<&Corrections>) -> Probabilities {
        probabilities(&logits(&self.rows, features, corrections), CALIBRATION)
    }

    /// Returns what the classifier sees of a query without corrections, to be kept.
    pub(crate) fn evidence(&self, query: &str) -> FastEvidence {
        let features = Features::of(query);
        let scores = logits(&self.rows, &features, None).to_vec();
        FastEvidence::new(VERSION, scores, features.learnable)
    }

    /// Returns the verdict on a query with the words that decided it.
    pub(crate) fn decide(&self, query: &str, corrections: Option<&Corrections>) -> Verdict {
        let features = Features::of(query);
        let ((modality, sure), (generation, as_sure)) = self.classify(&features, corrections).best();
        let place = modality_place(modality);
        let weight = |feature: u32| {
            let own = corrections.and_then(|corrections| corrections.0.get(&feature)).and_then(|row| row.get(place));
            let shipped = self.rows.get(feature as usize).and_then(|row| row.get(place));
            shipped.copied().unwrap_or_default() + own.copied().unwrap_or_default()
        };
        let mut words: Vec<(f32, &str)> =
            features.words.iter().map(|(word, feature)| (weight(*feature), word.as_str())).collect();
        words.retain(|(weight, _)| *weight > SPEAKS);
        words.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        words.dedup_by_key(|(_, word)| *word);
        let spoken: Vec<String> = words.iter().take(3).map(|(_, word)| format!("\"{word}\"")).collect();
        let reason = match spoken.is_empty() {
            true => format!("no single word decides; as a whole it reads as {modality}"),
            false => format!("{} speak{} for {modality}", spoken.join(", "), if spoken.len() == 1 { "s" } else { "" }),
        };
        Verdict { modality, generation, confidence: sure.min(as_sure), tier: RouteTier::FastPath, reason }
    }
}

/// The weight from which a word is named as a reason.
const SPEAKS: f32 = 0.3;

fn logits(rows: &[Row], features: &Features, corrections: Option<&Corrections>) -> Row {
    let mut sums = [0.0; LABELS];
    let mut add = |row: &Row, amount: f32| {
        for (sum, weight) in sums.iter_mut().zip(row) {
            *sum += weight * amount;
        }
    };
    for (feature, amount) in &features.amounts {
        if let Some(row) = rows.get(*feature as usize) {
            add(row, *amount);
        }
    }
    // A correction is of a word, and does not reach the parts of words that share its number.
    for (feature, amount) in corrections.iter().flat_map(|_| &features.learnable) {
        if let Some(row) = corrections.and_then(|corrections| corrections.0.get(feature)) {
            add(row, *amount);
        }
    }
    sums
}

fn probabilities(logits: &Row, scale: f32) -> Probabilities {
    let mut found = *logits;
    let (modalities, generations) = found.split_at_mut(MODALITIES.len());
    for head in [modalities, generations] {
        let highest = head.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for logit in head.iter_mut() {
            *logit = ((*logit - highest) * scale).exp();
            sum += *logit;
        }
        head.iter_mut().for_each(|share| *share /= sum);
    }
    Probabilities(found)
}

fn generation_place(generation: Generation) -> usize {
    MODALITIES.len() + Generation::ALL.iter().position(|known| *known == generation).unwrap_or(0)
}

/// Puts the examples in another order, the same in every process.
fn shuffle(order: &mut [usize], random: &mut u64) {
    for end in (1..order.len()).rev() {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from((*random >> 33) % (end as u64 + 1)).unwrap_or(0);
        order.swap(end, other);
    }
}

/// Reads the shipped examples: modality, generation and query, separated by tabs.
fn examples() -> Vec<(Modality, Generation, Features)> {
    EXAMPLES
        .lines()
        .filter_map(example)
        .map(|(modality, generation, query)| (modality, generation, Features::of(query)))
        .collect()
}

fn example(line: &str) -> Option<(Modality, Generation, &str)> {
    let mut parts = line.splitn(3, '\t');
    let (modality, generation) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((modality, generation, parts.next()?))
}
