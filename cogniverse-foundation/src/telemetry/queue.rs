//! The queue of finished spans, fair between tenants.

use super::{
    exporter::ScopeBatch,
    record::{SpanRecord, TelemetryScope},
};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A bounded queue of finished spans by scope. When it is full, the scope with the most waiting spans loses first, so
/// that a flood of one tenant's spans evicts only its own.
#[derive(Debug)]
pub(crate) struct FairQueue {
    limit: usize,
    waiting: HashMap<TelemetryScope, VecDeque<SpanRecord>>,
    /// Scopes that have spans, each once, in turn order.
    turns: VecDeque<TelemetryScope>,
    queued: usize,
    /// The number of spans taken out and not yet settled, which count against the bound.
    in_flight: usize,
    dropped: u64,
    dropped_by_scope: BTreeMap<TelemetryScope, u64>,
    max_counted: usize,
}

impl FairQueue {
    pub(crate) fn new(limit: usize, max_counted: usize) -> Self {
        Self {
            limit,
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            queued: 0,
            in_flight: 0,
            dropped: 0,
            dropped_by_scope: BTreeMap::new(),
            max_counted,
        }
    }

    /// Returns the number of waiting spans, without those being exported.
    pub(crate) fn len(&self) -> usize {
        self.queued
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn dropped_by_scope(&self) -> &BTreeMap<TelemetryScope, u64> {
        &self.dropped_by_scope
    }

    pub(crate) fn push(&mut self, span: SpanRecord) {
        if self.queued + self.in_flight >= self.limit && !self.make_room(&span.scope) {
            self.count_dropped(&span.scope, 1);
            return;
        }
        self.queued += 1;
        if let Some(own) = self.waiting.get_mut(&span.scope) {
            own.push_back(span);
            return;
        }
        self.turns.push_back(span.scope.clone());
        self.waiting.insert(span.scope.clone(), VecDeque::from([span]));
    }

    /// Evicts spans of the fullest scope unless that is the caller's. Half of the difference is evicted at once, to
    /// amortize the scan of all scopes.
    fn make_room(&mut self, scope: &TelemetryScope) -> bool {
        let own = self.waiting.get(scope).map_or(0, VecDeque::len);
        let share = self.limit / (self.waiting.len() + usize::from(own == 0)).max(1);
        if own >= share.max(1) {
            return false;
        }
        let Some((longest, spans)) = self.waiting.iter_mut().max_by_key(|(_, spans)| spans.len()) else { return false };
        let excess = spans.len().saturating_sub(own + 1);
        if excess == 0 {
            return false;
        }
        let taken = excess.div_ceil(2);
        spans.truncate(spans.len() - taken);
        let longest = longest.clone();
        self.queued -= taken;
        self.count_dropped(&longest, taken);
        true
    }

    /// Takes up to `limit` spans, round-robin over the scopes.
    pub(crate) fn take(&mut self, limit: usize, project: impl Fn(&TelemetryScope) -> String) -> Vec<ScopeBatch> {
        let mut batches: Vec<ScopeBatch> = Vec::new();
        let mut places: HashMap<TelemetryScope, usize> = HashMap::new();
        let mut left = limit;
        while left > 0 && !self.turns.is_empty() {
            let share = (left / self.turns.len()).max(1);
            for _ in 0..self.turns.len() {
                if left == 0 {
                    break;
                }
                let Some(scope) = self.turns.pop_front() else { break };
                let Some(spans) = self.waiting.get_mut(&scope) else { continue };
                let count = share.min(left).min(spans.len());
                let taken = spans.drain(..count);
                match places.get(&scope).and_then(|place| batches.get_mut(*place)) {
                    Some(batch) => batch.spans.extend(taken),
                    None => {
                        places.insert(scope.clone(), batches.len());
                        batches.push(ScopeBatch {
                            scope: scope.clone(),
                            project: project(&scope),
                            spans: taken.collect(),
                        });
                    }
                }
                left -= count;
                if spans.is_empty() {
                    self.waiting.remove(&scope);
                } else {
                    self.turns.push_back(scope);
                }
            }
        }
        let count: usize = batches.iter().map(|batch| batch.spans.len()).sum();
        self.queued -= count;
        self.in_flight += count;
        batches
    }

    /// Records that taken spans were exported.
    pub(crate) fn settle(&mut self, count: usize) {
        self.in_flight = self.in_flight.saturating_sub(count);
    }

    /// Drops and counts taken spans.
    pub(crate) fn give_up(&mut self, batch: &ScopeBatch) {
        self.settle(batch.spans.len());
        self.count_dropped(&batch.scope, batch.spans.len());
    }

    /// Drops and counts all waiting spans of a scope.
    pub(crate) fn forget(&mut self, scope: &TelemetryScope) {
        let Some(spans) = self.waiting.remove(scope) else { return };
        self.turns.retain(|other| other != scope);
        self.queued -= spans.len();
        self.count_dropped(scope, spans.len());
    }

    /// Drops and counts all waiting spans.
    pub(crate) fn forget_all(&mut self) {
        let scopes: Vec<TelemetryScope> = self.turns.iter().cloned().collect();
        scopes.iter().for_each(|scope| self.forget(scope));
    }

    pub(crate) fn count_dropped(&mut self, scope: &TelemetryScope, spans: usize) {
        self.dropped += spans as u64;
        if let Some(count) = self.dropped_by_scope.get_mut(scope) {
            *count += spans as u64;
        } else if self.dropped_by_scope.len() < self.max_counted {
            self.dropped_by_scope.insert(scope.clone(), spans as u64);
        }
    }
}
