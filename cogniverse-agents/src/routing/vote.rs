//! The vote of several paths.

use super::decision::Verdict;
use cogniverse_sdk::{Modality, RouteTier};
use std::collections::BTreeMap;

/// The share of the votes that the winner needs; below it, all kinds are searched.
const AGREEMENT: f64 = 0.5;

/// Returns the weight of a path.
fn weight(tier: RouteTier) -> f64 {
    match tier {
        RouteTier::SlowPath => 2.0,
        RouteTier::Keyword => 0.5,
        _ => 1.5,
    }
}

/// Combines verdicts: each path has its weight times its confidence in votes for modality and generation. The confidence of
/// the result is the winner's share of all votes times the mean confidence of the paths, by their weights. `None` without
/// a verdict.
pub(super) fn combine(verdicts: &[Verdict], tier: RouteTier) -> Option<Verdict> {
    let (modality, share) = winner(verdicts, |verdict| verdict.modality)?;
    let (generation, _) = winner(verdicts, |verdict| verdict.generation)?;
    let (mut weights, mut sure) = (0.0, 0.0);
    for verdict in verdicts {
        weights += weight(verdict.tier);
        sure += weight(verdict.tier) * verdict.confidence;
    }
    let votes: Vec<String> = verdicts
        .iter()
        .map(|v| format!("{} says {} ({:.2}): {}", v.tier, v.modality, v.confidence, v.reason))
        .collect();
    let agreed = share >= AGREEMENT;
    let modality = if agreed { modality } else { Modality::Mixed };
    let reason = format!("{:.0} % of the votes agree; {}", share * 100.0, votes.join("; "));
    Some(Verdict { modality, generation, confidence: share * sure / weights, tier, reason })
}

/// Returns the choice with the most votes and its share of them; of equal ones the first in their order.
fn winner<C: Copy + Ord>(verdicts: &[Verdict], choice: impl Fn(&Verdict) -> C) -> Option<(C, f64)> {
    let mut votes: BTreeMap<C, f64> = BTreeMap::new();
    for verdict in verdicts {
        // A path that is not sure of anything still has a voice.
        *votes.entry(choice(verdict)).or_default() += weight(verdict.tier) * verdict.confidence.max(0.01);
    }
    let all: f64 = votes.values().sum();
    let mut best: Option<(C, f64)> = None;
    for (choice, votes) in votes {
        if best.is_none_or(|(_, most)| votes > most) {
            best = Some((choice, votes));
        }
    }
    best.map(|(choice, votes)| (choice, votes / all))
}

/// Returns the verdict of the highest confidence; of equal ones the first, and the last resort at the end.
pub(super) fn surest(verdicts: Vec<Verdict>, last: Verdict) -> Verdict {
    let mut best: Option<Verdict> = None;
    for verdict in verdicts.into_iter().chain([last.clone()]) {
        if best.as_ref().is_none_or(|known| verdict.confidence > known.confidence) {
            best = Some(verdict);
        }
    }
    best.unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::Generation;

    fn verdict(tier: RouteTier, modality: Modality, confidence: f64) -> Verdict {
        Verdict { modality, generation: Generation::RawResults, confidence, tier, reason: "because".to_owned() }
    }

    #[test]
    fn votes_count_by_weight_and_confidence() {
        let (fast, slow, keyword) = (RouteTier::FastPath, RouteTier::SlowPath, RouteTier::Keyword);
        let of = |verdicts: &[Verdict]| combine(verdicts, RouteTier::Ensemble).unwrap();
        let agreed = of(&[verdict(fast, Modality::Audio, 0.8), verdict(slow, Modality::Audio, 0.9)]);
        assert_eq!(agreed.modality, Modality::Audio);
        assert!((agreed.confidence - (1.5 * 0.8 + 2.0 * 0.9) / 3.5).abs() < 1e-9, "{}", agreed.confidence);
        let outvoted = of(&[
            verdict(fast, Modality::Image, 0.9),
            verdict(slow, Modality::Audio, 0.9),
            verdict(keyword, Modality::Audio, 0.6),
        ]);
        assert_eq!(outvoted.modality, Modality::Audio);
        let split = of(&[
            verdict(fast, Modality::Image, 0.8),
            verdict(slow, Modality::Audio, 0.7),
            verdict(keyword, Modality::Video, 0.8),
        ]);
        assert_eq!(
            (split.modality, split.tier),
            (Modality::Mixed, RouteTier::Ensemble),
            "1.4 of 3.0 is less than half"
        );
        assert_eq!(combine(&[], RouteTier::Ensemble), None);
        let none = of(&[verdict(fast, Modality::Image, 0.0)]);
        assert_eq!((none.modality, none.confidence), (Modality::Image, 0.0));
    }
}
