//! Metrics per tenant with bounded label cardinality.

use cogniverse_foundation::telemetry::{RequestObserver, TelemetryScope};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};
use parking_lot::Mutex;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
};

/// The label of tenants and operations without a label of their own.
pub const OTHER: &str = "other";
/// The number of operations between two rankings of tenants.
const PERIOD: u64 = 1024;
/// The largest number of operations with a label of their own.
const MAX_OPERATIONS: usize = 64;

/// An observer that counts requests and errors and measures durations, labelled by tenant and operation. Only the
/// busiest tenants have a label of their own; all others share [`OTHER`]. As a meter never forgets a label, at most
/// four times as many tenants get one over the life of the process.
///
/// | instrument | unit | labels |
/// |---|---|---|
/// | `cogniverse.requests` | `{request}` | `tenant`, `operation` |
/// | `cogniverse.errors` | `{request}` | `tenant`, `operation` |
/// | `cogniverse.request.duration` | `s` | `tenant`, `operation` |
pub struct TenantMetrics {
    requests: Counter<u64>,
    errors: Counter<u64>,
    duration: Histogram<f64>,
    labels: Mutex<Labels>,
}

impl fmt::Debug for TenantMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantMetrics").finish_non_exhaustive()
    }
}

impl TenantMetrics {
    /// Creates the instruments on a meter, with labels for the `busiest` tenants at a time.
    #[must_use]
    pub fn new(meter: &Meter, busiest: usize) -> Self {
        Self {
            requests: meter.u64_counter("cogniverse.requests").with_unit("{request}").build(),
            errors: meter.u64_counter("cogniverse.errors").with_unit("{request}").build(),
            duration: meter
                .f64_histogram("cogniverse.request.duration")
                .with_unit("s")
                .with_boundaries(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
                .build(),
            labels: Mutex::new(Labels { busiest, ..Labels::default() }),
        }
    }
}

impl RequestObserver for TenantMetrics {
    fn observe(&self, scope: &TelemetryScope, operation: &str, seconds: f64, failed: bool) {
        let (tenant, operation) = self.labels.lock().of(scope, operation);
        let labels = [KeyValue::new("tenant", tenant), KeyValue::new("operation", operation)];
        self.requests.add(1, &labels);
        self.duration.record(seconds, &labels);
        if failed {
            self.errors.add(1, &labels);
        }
    }
}

#[derive(Debug, Default)]
struct Labels {
    busiest: usize,
    named: BTreeSet<TelemetryScope>,
    /// All tenants that ever had a label.
    ever: HashSet<TelemetryScope>,
    counts: HashMap<TelemetryScope, u64>,
    seen: u64,
    operations: BTreeSet<String>,
}

impl Labels {
    fn of(&mut self, scope: &TelemetryScope, operation: &str) -> (String, String) {
        if let Some(count) = self.counts.get_mut(scope) {
            *count += 1;
        } else {
            self.counts.insert(scope.clone(), 1);
        }
        if self.named.len() < self.busiest && !self.named.contains(scope) && self.may_name(scope) {
            self.name(scope.clone());
        }
        self.seen += 1;
        if self.seen.is_multiple_of(PERIOD) {
            self.look_again();
        }
        if !self.operations.contains(operation) && self.operations.len() < MAX_OPERATIONS {
            self.operations.insert(operation.to_owned());
        }
        let tenant = if self.named.contains(scope) { scope.to_string() } else { OTHER.to_owned() };
        let operation = if self.operations.contains(operation) { operation } else { OTHER };
        (tenant, operation.to_owned())
    }

    fn may_name(&self, scope: &TelemetryScope) -> bool {
        self.ever.contains(scope) || self.ever.len() < self.busiest * 4
    }

    fn name(&mut self, scope: TelemetryScope) {
        self.ever.insert(scope.clone());
        self.named.insert(scope);
    }

    /// Moves labels from idle tenants to those that are twice as busy, then halves all counts to age them.
    fn look_again(&mut self) {
        let worth = (PERIOD / 4 / self.busiest.max(1) as u64).max(8);
        let mut order: Vec<(TelemetryScope, u64)> =
            self.counts.iter().map(|(scope, count)| (scope.clone(), *count)).collect();
        order.sort_by_key(|(scope, count)| (Reverse(*count), scope.clone()));
        let candidates: Vec<_> =
            order.into_iter().filter(|(scope, _)| !self.named.contains(scope)).take(self.busiest).collect();
        for (scope, count) in candidates {
            let of = |named: &TelemetryScope| self.counts.get(named).copied().unwrap_or(0);
            let Some(idlest) = self.named.iter().min_by_key(|named| of(named)).cloned() else { break };
            // Not for a moment's work: names are few.
            if count < worth || count <= of(&idlest).saturating_mul(2) || !self.may_name(&scope) {
                continue;
            }
            self.named.remove(&idlest);
            self.name(scope);
        }
        self.counts.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::TenantId;

    fn scope(number: usize) -> TelemetryScope {
        TelemetryScope::Tenant(TenantId::parse(format!("t{number}")).unwrap_or_else(|_| unreachable!()))
    }

    #[test]
    fn invariant_23_labels_are_bounded_and_go_to_the_busiest() {
        let mut labels = Labels { busiest: 10, ..Labels::default() };
        let mut seen = BTreeSet::new();
        // Many idle tenants come first, then ten busy ones among them.
        for number in 0..5_000 {
            seen.insert(labels.of(&scope(number), "search").0);
        }
        for round in 0..50_000 {
            seen.insert(labels.of(&scope(10_000 + round % 10), "search").0);
            seen.insert(labels.of(&scope(round), "search").0);
        }
        for busy in 10_000..10_010 {
            assert_eq!(labels.of(&scope(busy), "search").0, format!("t{busy}"));
        }
        assert!(seen.len() <= 10 * 4 + 1, "{}", seen.len());
        assert!(labels.counts.len() < 10_000, "{}", labels.counts.len());
        let operations: BTreeSet<String> = (0..1_000).map(|n| labels.of(&scope(1), &format!("op{n}")).1).collect();
        assert!(operations.len() <= MAX_OPERATIONS + 1);
    }
}
