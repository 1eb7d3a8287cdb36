//! The contract suite of [`crate::HealthProbe`], for a part that works.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::HealthProbe;
use std::time::{Duration, Instant};

/// A part has a plain name, by which a report is sorted and an alert is filed.
#[expect(clippy::unused_async, reason = "as every case")]
pub async fn it_has_a_name(probe: &dyn HealthProbe) -> Outcome {
    let name = probe.name();
    assert!(!name.is_empty() && name.len() <= 100 && !name.chars().any(char::is_control), "{name:?}");
    assert_eq!(probe.name(), name, "and keeps it");
    Outcome::Ran
}

/// A part that works says so, with a detail of one line.
pub async fn it_works(probe: &dyn HealthProbe) -> Outcome {
    let detail = probe.probe().await.expect("the part works");
    assert!(detail.len() <= 1000 && !detail.contains('\n'), "{detail:?}");
    Outcome::Ran
}

/// It may be asked often, and answers soon.
pub async fn it_may_be_asked_often(probe: &dyn HealthProbe) -> Outcome {
    let began = Instant::now();
    for _ in 0..20 {
        probe.probe().await.expect("the part works");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    Outcome::Ran
}

/// Expands to one test per case, on a part that `make` starts for each.
#[macro_export]
macro_rules! health_probe_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?] $(, attributes: $attributes:tt)?) => {
        $crate::contract_cases! {
            health_probe, $make, [$($skip),*] $(, $attributes)?;
            it_has_a_name, it_works, it_may_be_asked_often
        }
    };
}
