#![allow(clippy::float_cmp, reason = "equal to the last bit is what is claimed")]

use super::*;
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{BaseSchema, StrategyName};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn fusion(expression: &str) -> Fusion {
    let base: BaseSchema = serde_json::from_value(json!({
        "name": "s",
        "document": {"fields": [
            {"name": "a", "type": "string", "indexing": ["index"], "index": "enable-bm25"},
            {"name": "b", "type": "string", "indexing": ["index"], "index": "enable-bm25"},
        ]},
        "rank_profiles": [{"name": "p", "first_phase": {"expression": "bm25(a) + bm25(b)"}, "global_phase": {"expression": expression}}],
    }))
    .unwrap();
    let schema = Schema::compile(Arc::new(base)).unwrap();
    schema.strategy(&StrategyName::parse("p").unwrap()).unwrap().fusion().unwrap().clone()
}

#[test]
fn linear_is_from_zero_to_one() {
    assert_eq!(linear(&[3.0, 1.0, 2.0]), [1.0, 0.0, 0.5]);
    assert_eq!(linear(&[-2.0, 0.0]), [0.0, 1.0]);
}

#[test]
fn linear_of_one_or_of_equal_ones_is_the_middle() {
    assert_eq!(linear(&[7.0]), [0.5]);
    assert_eq!(linear(&[2.0, 2.0, 2.0]), [0.5; 3]);
    assert_eq!(linear(&[0.0, 0.0]), [0.5; 2], "a signal that no hit has moves none");
    assert!(linear(&[]).is_empty());
}

#[test]
fn linear_looks_past_what_32_bits_do_not_hold() {
    assert_eq!(linear(&[1.0, 0.0, 1e39])[..2], [1.0, 0.0]);
}

#[test]
fn ranks_count_from_one_and_equal_ones_keep_their_order() {
    assert_eq!(reciprocal_ranks(&[1.0, 9.0, 1.0, 5.0], 60.0), [1.0 / 63.0, 1.0 / 61.0, 1.0 / 64.0, 1.0 / 62.0]);
    assert_eq!(reciprocal_ranks(&[4.0], 0.0), [1.0]);
    assert!(reciprocal_ranks(&[], 60.0).is_empty());
}

#[test]
fn a_formula_is_computed_in_its_own_order() {
    let fusion = fusion("0.3 * normalize_linear(bm25(a)) + 0.7 * normalize_linear(bm25(b)) + 0.1");
    let (a, b) = ([2.0, 0.0, 1.0], [0.1, 0.3, 0.2]);
    let expected: Vec<f64> = linear(&a).iter().zip(linear(&b)).map(|(a, b)| 0.3 * a + 0.7 * b + 0.1).collect();
    assert_eq!(fused(&fusion, &[a.to_vec(), b.to_vec()]), expected);
}

#[test]
fn a_hit_of_one_signal_alone_can_be_first() {
    let fusion = fusion("reciprocal_rank(bm25(a)) + reciprocal_rank(bm25(b), 10)");
    let scores = fused(&fusion, &[vec![0.0, 5.0, 0.0], vec![0.0, 0.0, 0.9]]);
    assert!(scores[2] > scores[1] && scores[2] > scores[0], "{scores:?}");
    let fusion = self::fusion("0.3 * normalize_linear(bm25(a)) + 0.7 * normalize_linear(bm25(b))");
    assert_eq!(fused(&fusion, &[vec![0.0, 5.0, 0.0], vec![0.0, 0.0, 0.9]]), [0.0, 0.3, 0.7]);
}

#[test]
fn hits_that_were_not_reached_stay_below() {
    let rescale = Rescale::of(&[30.0, 20.0, 10.0], &[0.9, 0.1, 0.5]);
    assert!(rescale.apply(10.0) <= 0.1 && rescale.apply(9.0) < rescale.apply(10.0));
    // Vespa takes a range below 1 as 1.
    assert_eq!(rescale, Rescale { factor: 1.0 / 20.0, bias: 0.1 - 10.0 * (1.0 / 20.0) });
    assert_eq!(Rescale::of(&[0.2, 0.1], &[0.9, 0.8]).apply(0.05), 0.05, "below already");
    assert_eq!(Rescale::of(&[], &[]).apply(3.0), 3.0);
}

proptest! {
    #[test]
    fn scores_are_bounded_and_monotone(values in prop::collection::vec(-1e6f64..1e6, 1..50)) {
        let (scaled, ranks) = (linear(&values), reciprocal_ranks(&values, 60.0));
        for (a, value) in values.iter().enumerate() {
            prop_assert!(scaled[a] >= -1e-9 && scaled[a] <= 1.0 + 1e-9);
            for (b, other) in values.iter().enumerate() {
                prop_assert!(value < other || scaled[a] >= scaled[b]);
                prop_assert!(value <= other || ranks[a] > ranks[b]);
            }
        }
    }
}
