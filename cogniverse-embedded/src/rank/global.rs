//! The global phase: signals of the best hits, made comparable and joined.
//!
//! Follows Vespa's container operation by operation (`com.yahoo.search.ranking`: `LinearNormalizer`,
//! `ReciprocalRankNormalizer`, `ResultReranker`, `RangeAdjuster`), so that equal signals give equal scores.

use cogniverse_core::schemas::{Formula, Fusion, Scale};

/// Returns the scores of hits in the order of the phases before. `signals` has a list of values for each signal of the
/// fusion, each with one value for each hit.
pub(super) fn fused(fusion: &Fusion, signals: &[Vec<f64>]) -> Vec<f64> {
    let count = signals.first().map_or(0, Vec::len);
    evaluate(&fusion.formula, signals, count)
}

fn evaluate(formula: &Formula, signals: &[Vec<f64>], count: usize) -> Vec<f64> {
    match formula {
        Formula::Constant(value) => vec![*value; count],
        Formula::Normalized { signal, scale } => {
            let values = signals.get(*signal).map_or(&[][..], Vec::as_slice);
            match scale {
                Scale::Linear => linear(values),
                Scale::ReciprocalRank { k } => reciprocal_ranks(values, *k),
            }
        }
        Formula::Sum(left, right) => {
            let mut sum = evaluate(left, signals, count);
            sum.iter_mut().zip(evaluate(right, signals, count)).for_each(|(sum, value)| *sum += value);
            sum
        }
        Formula::Scaled(factor, part) => {
            let mut scores = evaluate(part, signals, count);
            scores.iter_mut().for_each(|score| *score *= factor);
            scores
        }
    }
}

/// Values beyond what 32 bits hold do not widen the range, as in Vespa.
fn linear(values: &[f64]) -> Vec<f64> {
    let largest = f64::from(f32::MAX);
    let (mut min, mut max) = (largest, -largest);
    for value in values.iter().filter(|value| **value < largest && **value > -largest) {
        (min, max) = (min.min(*value), max.max(*value));
    }
    let (scale, middle) = if max > min { (1.0 / (max - min), (min + max) * 0.5) } else { (0.0, 0.0) };
    values.iter().map(|value| 0.5 + scale * (value - middle)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "ranks are below 2^53")]
fn reciprocal_ranks(values: &[f64], k: f64) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut ranks = vec![0.0; values.len()];
    for (place, (index, _)) in order.into_iter().enumerate() {
        if let Some(rank) = ranks.get_mut(index) {
            *rank = 1.0 / (k + 1.0 + place as f64);
        }
    }
    ranks
}

/// The move of the scores of hits that the global phase did not reach, so that none is above one that it did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rescale {
    factor: f64,
    bias: f64,
}

impl Rescale {
    /// Compares the scores of the rescored hits before and after.
    pub(super) fn of(before: &[f64], after: &[f64]) -> Self {
        let range = |scores: &[f64]| {
            scores.iter().fold((f64::MAX, -f64::MAX), |(low, high), score| (low.min(*score), high.max(*score)))
        };
        let ((low, high), (new_low, new_high)) = (range(before), range(after));
        if low <= new_low || high < low || new_high < new_low {
            return Self { factor: 1.0, bias: 0.0 };
        }
        let factor = (new_high - new_low).max(1.0) / (high - low).max(1.0);
        Self { factor, bias: new_low - low * factor }
    }

    pub(super) fn apply(self, score: f64) -> f64 {
        score * self.factor + self.bias
    }
}

#[cfg(test)]
mod tests;
