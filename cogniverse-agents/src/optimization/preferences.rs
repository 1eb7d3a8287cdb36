//! The preferences of users: a strategy within a profile, and the profiles of a fusion.

use super::{
    reward::{SATISFACTION, reward},
    sample::{NEWEST, SURE, part},
};
use cogniverse_foundation::RoutingConfig;
use cogniverse_sdk::{Experience, ProfileName, StrategyName};
use std::collections::{BTreeMap, BTreeSet};

/// The number of experiences of each kind from which a strategy or the profiles of a fusion are compared, in each half.
const ENOUGH: f64 = 20.0;
/// The votes that every profile of a fusion has before anybody was content with one.
const PRIOR: f64 = 5.0;

/// Returns the strategy whose searches had the best rewards, with those of now and of it on held-out experiences, where it
/// wins beyond chance. Strategies are compared where one profile was searched, within that profile, and only of profiles
/// without a default of their own.
pub(super) fn strategy(
    experiences: &[Experience],
    config: &RoutingConfig,
    own_strategies: &BTreeSet<ProfileName>,
) -> Option<(StrategyName, f64, f64)> {
    let mut of: BTreeMap<(&ProfileName, &StrategyName), [Vec<f64>; 2]> = BTreeMap::new();
    let newest = experiences
        .iter()
        .rev()
        .filter(|experience| experience.feedback.satisfaction().is_some() && !experience.failed);
    for experience in newest.take(NEWEST) {
        let mut profiles = experience.profiles.iter();
        if let (Some(one), None) = (profiles.next(), profiles.next())
            && !own_strategies.contains(one.0)
        {
            let half = usize::from(part(experience).is_multiple_of(2));
            if let Some(rewards) = of.entry(one).or_default().get_mut(half) {
                rewards.push(reward(experience));
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
    let count = |rewards: &[f64]| rewards.len() as f64;
    let mean = |rewards: &[f64]| rewards.iter().sum::<f64>() / count(rewards).max(1.0);
    of.retain(|_, halves| halves.iter().all(|half| count(half) >= ENOUGH));
    // Chosen on one half, measured on the other.
    let first = |[learned, _]: &[Vec<f64>; 2]| mean(learned);
    let second = |[_, measured]: &[Vec<f64>; 2]| count(measured);
    let ((profile, best), [_, measured]) =
        of.iter().max_by(|a, b| first(a.1).total_cmp(&first(b.1)).then(b.0.cmp(a.0)))?;
    // The one that is used most in this profile is the one of now: where that is the best, the gain is none.
    let of_profile = of.iter().filter(|((of, _), _)| of == profile);
    let (_, [_, now]) = of_profile.max_by(|a, b| second(a.1).total_cmp(&second(b.1)))?;
    let variance = |rewards: &[f64]| {
        let middle = mean(rewards);
        rewards.iter().map(|reward| (reward - middle).powi(2)).sum::<f64>() / count(rewards).max(1.0)
    };
    let error = (variance(measured) / count(measured) + variance(now) / count(now)).sqrt();
    let (before, after) = (mean(now), mean(measured));
    let is_new = config.default_strategy.as_ref() != Some(*best);
    (is_new && after - before > SURE * error).then(|| ((*best).clone(), before, after))
}

/// Returns weights of profiles by how often users were content with a result of each, with the mean reward of held-out
/// searches and the one that is expected by these weights, where the probability of what held-out users chose grows by
/// `margin` and beyond chance. The weights of profiles that were not searched stay. Each search counts once, however often
/// its results were watched.
pub(super) fn fusion(
    experiences: &[Experience],
    config: &RoutingConfig,
    margin: f64,
) -> Option<(BTreeMap<ProfileName, f64>, f64, f64)> {
    let fused = experiences.iter().rev().filter(|e| e.profiles.len() > 1 && !e.feedback.profiles.is_empty());
    let (held_out, learned): (Vec<&Experience>, Vec<&Experience>) = fused.take(NEWEST).partition(|e| part(e) == 0);
    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
    let is_enough = |some: &[&Experience]| some.len() as f64 >= ENOUGH;
    if !is_enough(&learned) || !is_enough(&held_out) {
        return None;
    }
    let mut votes: BTreeMap<&ProfileName, (f64, f64)> = BTreeMap::new();
    for experience in &learned {
        #[expect(clippy::cast_precision_loss, reason = "at most 16")]
        let fair = 1.0 / experience.profiles.len() as f64;
        for profile in experience.profiles.keys() {
            let vote = votes.entry(profile).or_default();
            *vote = (vote.0 + chosen(experience, profile), vote.1 + fair);
        }
    }
    let mut weights = config.fusion_weights.clone();
    weights.extend(
        votes
            .into_iter()
            .map(|(profile, (own, fair))| (profile.clone(), ((own + PRIOR) / (fair + PRIOR)).clamp(0.1, 5.0))),
    );
    let gains: Vec<f64> = held_out
        .iter()
        .map(|one| choice_probability(one, &weights) - choice_probability(one, &config.fusion_weights))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
    let count = gains.len() as f64;
    let gain = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|one| (one - gain).powi(2)).sum::<f64>() / count;
    let reward_now = held_out.iter().map(|one| reward(one)).sum::<f64>() / count;
    let is_sure = gain >= margin && gain > SURE * (variance / count).sqrt();
    // By as much more often a user is content with what comes first.
    is_sure.then(|| (weights, reward_now, (reward_now + SATISFACTION * gain).min(1.0)))
}

/// The share of a profile in what a search's users were content with.
fn chosen(experience: &Experience, profile: &ProfileName) -> f64 {
    let counts = &experience.feedback.profiles;
    let all: f64 = counts.values().map(|count| f64::from(*count)).sum();
    counts.get(profile).map_or(0.0, |count| f64::from(*count) / all.max(1.0))
}

/// The probability of what a search's users chose, by the weights of the profiles.
fn choice_probability(experience: &Experience, weights: &BTreeMap<ProfileName, f64>) -> f64 {
    let weight = |profile: &ProfileName| weights.get(profile).copied().unwrap_or(1.0);
    let all: f64 = experience.profiles.keys().map(weight).sum();
    let of = |profile| chosen(experience, profile) * weight(profile) / all.max(f64::MIN_POSITIVE);
    experience.profiles.keys().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{ExperienceNote, Feedback, Generation, Modality, RouteTier, SearchId, TenantId, Timestamp};

    fn profile(name: &str) -> ProfileName {
        ProfileName::parse(name).unwrap()
    }

    fn strategy_name(name: &str) -> StrategyName {
        StrategyName::parse(name).unwrap()
    }

    fn config() -> RoutingConfig {
        RoutingConfig::new(TenantId::parse("acme").unwrap())
    }

    fn searched(number: u64, profiles: &[(&str, &str)], liked: &[(Feedback, Option<&str>)]) -> Experience {
        let (id, asked) = (SearchId::parse(format!("{number:x}")).unwrap(), (Modality::Video, Generation::RawResults));
        let mut new = Experience::new(id, Timestamp::UNIX_EPOCH, asked, RouteTier::FastPath);
        new.results = 5;
        new.profiles = profiles.iter().map(|(name, strategy)| (profile(name), strategy_name(strategy))).collect();
        for (feedback, of) in liked {
            new.note(&ExperienceNote::Feedback(*feedback, of.map(profile)));
        }
        new
    }

    #[test]
    fn a_strategy_is_learned_where_another_is_in_use_and_the_profile_has_none_of_its_own() {
        let of = |number, name, feedback| searched(number, &[("a", name)], &[(feedback, None)]);
        let mostly = |used: &'static str, better: &'static str| -> Vec<Experience> {
            let worse = (0..300).map(|number| of(number, used, Feedback::AskedAgain));
            worse.chain((300..450).map(|number| of(number, better, Feedback::Watched))).collect()
        };
        let none = BTreeSet::new();
        let found = strategy(&mostly("s1", "s2"), &config(), &none).unwrap();
        assert_eq!(found.0, strategy_name("s2"));
        assert!(found.2 > found.1 + 0.05);
        assert_eq!(strategy(&mostly("s1", "s2"), &config(), &BTreeSet::from([profile("a")])), None);
        // The best is what is used most already.
        let best_in_use: Vec<Experience> = (0..300)
            .map(|number| of(number, "s2", Feedback::Watched))
            .chain((300..450).map(|number| of(number, "s1", Feedback::AskedAgain)))
            .collect();
        assert_eq!(strategy(&best_in_use, &config(), &none), None);
    }

    #[test]
    fn weights_of_other_profiles_stay_and_a_search_counts_once() {
        let both = [("a", "s"), ("b", "s")];
        let some: Vec<Experience> =
            (0..200).map(|number| searched(number, &both, &[(Feedback::Watched, Some("a"))])).collect();
        let config = config().with_fusion_weight(profile("c"), 3.0);
        let (weights, before, after) = fusion(&some, &config, 0.05).unwrap();
        assert!(weights[&profile("a")] > 1.0 && weights[&profile("b")] < 1.0, "{weights:?}");
        assert_eq!(weights[&profile("c")], 3.0);
        assert!(after > before && after <= 1.0, "{before} {after}");
        // One who watches a thousand times, among as many on either side, decides nothing.
        let mut even: Vec<Experience> = (0..200)
            .map(|number| {
                searched(number, &both, &[(Feedback::Watched, Some(if number % 2 == 0 { "a" } else { "b" }))])
            })
            .collect();
        for _ in 0..1000 {
            for one in even.iter_mut().take(2) {
                one.note(&ExperienceNote::Feedback(Feedback::Watched, Some(profile("a"))));
            }
        }
        assert_eq!(fusion(&even, &config, 0.05), None);
    }
}
