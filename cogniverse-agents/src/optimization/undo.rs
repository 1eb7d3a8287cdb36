//! Taking a change back.

use cogniverse_foundation::RoutingConfig;

/// Returns a configuration in which what an optimization changed is as it was before, and everything else is as it is, also
/// what somebody has set since in place of what the optimization `wrote`.
pub(super) fn taken_back(now: &RoutingConfig, before: &RoutingConfig, wrote: Option<&RoutingConfig>) -> RoutingConfig {
    fn back<T: Clone + PartialEq>(changed: bool, now: &mut T, before: &T, wrote: Option<&T>) {
        if changed && wrote.is_none_or(|wrote| wrote == now) {
            now.clone_from(before);
        }
    }
    let changed = now.learned.as_ref().map(|learned| learned.evidence.changed).unwrap_or_default();
    let mut restored = now.clone();
    let fast = |config: &RoutingConfig| config.fast_path_confidence_threshold;
    let slow = |config: &RoutingConfig| config.slow_path_confidence_threshold;
    let (wrote_fast, wrote_slow) = (wrote.map(fast), wrote.map(slow));
    back(changed.routing, &mut restored.fast_path_confidence_threshold, &fast(before), wrote_fast.as_ref());
    back(changed.routing, &mut restored.slow_path_confidence_threshold, &slow(before), wrote_slow.as_ref());
    let strategy = wrote.map(|wrote| &wrote.default_strategy);
    back(changed.strategy, &mut restored.default_strategy, &before.default_strategy, strategy);
    let weights = wrote.map(|wrote| &wrote.fusion_weights);
    back(changed.fusion, &mut restored.fusion_weights, &before.fusion_weights, weights);
    restored.learned.clone_from(&before.learned);
    restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_foundation::{Changed, Evidence, LearnedRouting};
    use cogniverse_sdk::{ProfileName, StrategyName, TenantId, Timestamp};
    use std::collections::BTreeMap;

    #[test]
    fn what_somebody_set_since_stays_and_what_was_not_changed_is_left_alone() {
        let before = RoutingConfig::new(TenantId::parse("acme").unwrap()).with_confidence_thresholds(0.6, 0.5);
        let evidence = |changed| Evidence::new(Timestamp::UNIX_EPOCH, 1).with_change(0.8, changed);
        let learned = |changed| LearnedRouting::new(1, BTreeMap::new(), evidence(changed));
        let wrote =
            before.clone().with_confidence_thresholds(0.8, 0.7).with_learned(learned(Changed::new(true, false, false)));
        // Somebody sets one threshold, a strategy and a weight after it.
        let strategy = StrategyName::parse("phased").unwrap();
        let now = wrote
            .clone()
            .with_confidence_thresholds(0.9, 0.7)
            .with_default_strategy(strategy.clone())
            .with_fusion_weight(ProfileName::parse("a").unwrap(), 2.0);
        let back = taken_back(&now, &before, Some(&wrote));
        assert_eq!((back.fast_path_confidence_threshold, back.slow_path_confidence_threshold), (0.9, 0.5));
        assert_eq!((back.default_strategy, back.fusion_weights.len(), back.learned), (Some(strategy), 1, None));
        // A strategy that the change itself set goes.
        let wrote = now.clone().with_learned(learned(Changed::new(false, true, true)));
        let back = taken_back(&wrote, &before, Some(&wrote));
        assert_eq!((back.default_strategy, back.fusion_weights.len(), back.learned), (None, 0, None));
        assert_eq!(back.fast_path_confidence_threshold, 0.9, "it was not the change's");
    }
}
