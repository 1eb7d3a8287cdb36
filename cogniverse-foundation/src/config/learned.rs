//! Corrections that are learned from a tenant's own searches, and the evidence for them.

use cogniverse_sdk::{Error, ProfileName, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest number of learned corrections.
const MAX_CORRECTIONS: usize = 4096;
/// The largest correction in absolute value; the classifier's own weights are of this size.
const MAX_CORRECTION: f32 = 20.0;
/// The largest weight of a profile in a fusion.
const MAX_WEIGHT: f64 = 10.0;
/// The largest number of profiles with a weight.
const MAX_PROFILES: usize = 256;

/// Corrections of the query classifier for one tenant, with the evidence for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LearnedRouting {
    /// The version of the classifier that is corrected; corrections of another one are not used.
    pub classifier: u32,
    /// Amounts that are added to the classifier's weights, by label (`"image"`, `"summary"`) and feature number.
    pub corrections: BTreeMap<String, BTreeMap<u32, f32>>,
    /// The reason why they are in force.
    pub evidence: Evidence,
}

impl LearnedRouting {
    /// Creates corrections of a version of the classifier.
    #[must_use]
    pub fn new(classifier: u32, corrections: BTreeMap<String, BTreeMap<u32, f32>>, evidence: Evidence) -> Self {
        Self { classifier, corrections, evidence }
    }

    pub(super) fn check(&self) -> Result<()> {
        let count: usize = self.corrections.values().map(BTreeMap::len).sum();
        if count > MAX_CORRECTIONS {
            return Err(Error::invalid(format!("{count} corrections are learned; give at most {MAX_CORRECTIONS}")));
        }
        let is_wrong = |by: f32| !by.is_finite() || by.abs() > MAX_CORRECTION;
        let wrong = self.corrections.values().flatten().find(|(_, by)| is_wrong(**by));
        match wrong {
            Some((feature, by)) => Err(Error::invalid(format!(
                "the correction of feature {feature} is {by}; give a number from -{MAX_CORRECTION} to {MAX_CORRECTION}"
            ))),
            None => Ok(()),
        }
    }
}

/// The evidence for a change that an optimization made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Evidence {
    /// The moment of the optimization.
    pub at: Timestamp,
    /// The version of the configuration that it replaces.
    pub replaces: u64,
    /// The number of experiences that it learned from.
    pub learned_from: u64,
    /// The number of held-out experiences that it was measured on.
    pub measured_on: u64,
    /// The number of annotations among all of them.
    pub annotations: u64,
    /// The mean reward of the held-out experiences under the replaced configuration, from 0 to 1.
    pub reward_before: f64,
    /// The mean reward that is expected of them under this one, from 0 to 1.
    pub reward_after: f64,
    /// The mean reward of the searches before it by what users did, from 0 to 1: what the searches after it are compared
    /// with.
    pub live_reward: f64,
    /// The parts that were changed.
    pub changed: Changed,
}

/// The parts of a configuration that an optimization changed, each for a win of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Changed {
    /// The classifier's corrections and the thresholds.
    pub routing: bool,
    /// The default strategy.
    pub strategy: bool,
    /// The weights of profiles.
    pub fusion: bool,
}

impl Changed {
    /// Creates the parts.
    #[must_use]
    pub fn new(routing: bool, strategy: bool, fusion: bool) -> Self {
        Self { routing, strategy, fusion }
    }

    /// Returns whether anything was changed.
    #[must_use]
    pub fn any(self) -> bool {
        self.routing || self.strategy || self.fusion
    }
}

impl Evidence {
    /// Creates the evidence of an optimization that replaces a version, without numbers.
    #[must_use]
    pub fn new(at: Timestamp, replaces: u64) -> Self {
        Self {
            at,
            replaces,
            learned_from: 0,
            measured_on: 0,
            annotations: 0,
            reward_before: 0.0,
            reward_after: 0.0,
            live_reward: 0.0,
            changed: Changed::default(),
        }
    }

    /// Sets how many experiences it was learned from and measured on, and the annotations among them.
    #[must_use]
    pub fn with_counts(mut self, learned_from: u64, measured_on: u64, annotations: u64) -> Self {
        (self.learned_from, self.measured_on, self.annotations) = (learned_from, measured_on, annotations);
        self
    }

    /// Sets the mean reward of the searches before it by what users did, and what was changed.
    #[must_use]
    pub fn with_change(mut self, live_reward: f64, changed: Changed) -> Self {
        (self.live_reward, self.changed) = (live_reward, changed);
        self
    }

    /// Sets the mean reward of the held-out experiences before and after.
    #[must_use]
    pub fn with_rewards(mut self, before: f64, after: f64) -> Self {
        (self.reward_before, self.reward_after) = (before, after);
        self
    }
}

/// Refuses weights of profiles that are out of range.
pub(super) fn check_weights(weights: &BTreeMap<ProfileName, f64>) -> Result<()> {
    if weights.len() > MAX_PROFILES {
        return Err(Error::invalid(format!("{} fusion_weights are given; give at most {MAX_PROFILES}", weights.len())));
    }
    match weights.iter().find(|(_, weight)| !(0.0..=MAX_WEIGHT).contains(*weight)) {
        Some((profile, weight)) => Err(Error::invalid(format!(
            "the fusion weight of profile \"{profile}\" is {weight}; give a number from 0 to {MAX_WEIGHT}"
        ))),
        None => Ok(()),
    }
}
