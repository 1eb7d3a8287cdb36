//! The scheduler: weighted deficit round robin over the tenants that wait.

use cogniverse_sdk::{Error, ErrorCode, Result, Retry, TenantId};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The time for which a tenant that was served counts as present, so that one place is left to it.
const PRESENT: Duration = Duration::from_secs(1);
/// The number of tenants beyond which idle ones are forgotten.
const REMEMBERED: usize = 4096;
/// The cost of a call of a tenant that nothing is known of, in microseconds of work.
const FIRST_COST: f64 = 2_000.0;
/// The share of a new measurement in the expected cost.
const LEARNING: f64 = 0.2;

/// The bounds of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FairnessConfig {
    /// The number of calls that the backend works on at one moment.
    pub concurrency: usize,
    /// The number of calls of one tenant that may wait (default 256).
    pub queue_per_tenant: usize,
    /// The number of calls of all tenants that may wait (default 8,192).
    pub queue: usize,
    /// The longest that a call waits (default 30 s). A search with a shorter time limit waits no longer than that.
    pub max_wait: Duration,
}

impl FairnessConfig {
    /// Creates the bounds of a backend that works on a number of calls at one moment, at least 1.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self { concurrency: concurrency.max(1), queue_per_tenant: 256, queue: 8192, max_wait: Duration::from_secs(30) }
    }

    /// Sets how many calls of one tenant, and of all, may wait.
    #[must_use]
    pub fn with_queues(mut self, per_tenant: usize, all: usize) -> Self {
        (self.queue_per_tenant, self.queue) = (per_tenant, all);
        self
    }

    /// Sets the longest that a call waits.
    #[must_use]
    pub fn with_max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }
}

/// The state of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct FairnessStats {
    /// The calls that the backend works on.
    pub running: usize,
    /// The calls that wait.
    pub waiting: usize,
    /// The calls that were refused so far, as their queue was full or they waited for too long.
    pub refused: u64,
}

/// Decides in which order the calls of tenants reach the backend.
///
/// Calls are served at once while the backend has room. Otherwise each tenant has a queue, and the queues are served by
/// weighted deficit round robin: over time each waiting tenant gets work done in proportion to its weight, however many
/// calls it has and however long they take. The cost of a call is the time that the backend works on it, as that is what
/// its neighbours wait for: estimated from the tenant's last calls of the kind, and corrected when it ends.
///
/// While another tenant was served within the last second and has no call under way, no tenant gets the last place, so
/// that the other's next call does not wait for a call to end.
///
/// Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct FairScheduler {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: FairnessConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<TenantId, Lane>,
    /// The tenants with waiting calls, in their order of turns.
    turns: VecDeque<TenantId>,
    weights: HashMap<TenantId, u32>,
    running: usize,
    waiting: usize,
    refused: u64,
    next: u64,
    /// The two tenants that called last, with the time.
    present: [Option<(TenantId, Instant)>; 2],
}

#[derive(Debug)]
struct Lane {
    queue: VecDeque<Waiter>,
    running: usize,
    /// The work that the tenant may still have done in this turn, in microseconds; below 0 where it had more.
    credit: f64,
    weight: f64,
    /// The expected cost of a call, by kind.
    costs: [f64; Kind::ALL],
}

impl Lane {
    fn new(weight: u32) -> Self {
        let costs = [FIRST_COST; Kind::ALL];
        Self { queue: VecDeque::new(), running: 0, credit: 0.0, weight: f64::from(weight.max(1)), costs }
    }

    fn is_idle(&self) -> bool {
        self.running == 0 && self.queue.is_empty()
    }
}

/// The kinds of calls, whose costs are learnt apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Search,
    Read,
    Write,
}

impl Kind {
    const ALL: usize = 3;
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    cost: f64,
    scale: f64,
    kind: Kind,
    ready: oneshot::Sender<Place>,
}

/// A place at the backend, until it is dropped.
#[derive(Debug)]
#[must_use = "the place is free again once this is dropped"]
pub struct Place {
    scheduler: Arc<Inner>,
    tenant: TenantId,
    kind: Kind,
    /// The work that its tenant was charged in advance, in microseconds.
    charged: f64,
    /// The size of the call, by which its work is divided to learn the cost of one.
    scale: f64,
    since: Instant,
    waited: Duration,
}

impl Place {
    /// Returns the time that the call waited.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let work = self.since.elapsed().as_secs_f64() * 1e6;
        let woken = {
            let mut state = self.scheduler.state.lock();
            state.running = state.running.saturating_sub(1);
            let is_contended = state.waiting > 0;
            if let Some(lane) = state.lanes.get_mut(&self.tenant) {
                lane.running = lane.running.saturating_sub(1);
                if let Some(cost) = lane.costs.get_mut(self.kind as usize) {
                    *cost += LEARNING * (work / self.scale.max(1e-3) - *cost);
                }
                // A debt of more than a few calls would punish long after the fact.
                let floor = -4.0 * self.charged.max(work);
                lane.credit = if is_contended { (lane.credit + self.charged - work).max(floor) } else { 0.0 };
            }
            state.tidy(&self.tenant);
            state.dispatch(&self.scheduler)
        };
        Inner::wake(woken);
    }
}

/// Takes a call out of its queue where its caller has gone.
struct Waiting<'w> {
    scheduler: &'w Arc<Inner>,
    tenant: &'w TenantId,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.scheduler.state.lock();
        let Some(lane) = state.lanes.get_mut(self.tenant) else { return };
        let before = lane.queue.len();
        lane.queue.retain(|waiter| waiter.number != self.number);
        let gone = before - lane.queue.len();
        state.waiting = state.waiting.saturating_sub(gone);
        if gone > 0 {
            state.tidy(self.tenant);
        }
    }
}

impl State {
    /// Forgets that a tenant waits where it does not, and the tenant where it is idle and there are many.
    fn tidy(&mut self, tenant: &TenantId) {
        let Some(lane) = self.lanes.get(tenant) else { return };
        if lane.queue.is_empty() {
            self.turns.retain(|waiting| waiting != tenant);
        }
        if self.lanes.len() > REMEMBERED {
            self.lanes.retain(|_, lane| !lane.is_idle());
        }
    }

    fn saw(&mut self, tenant: &TenantId, now: Instant) {
        if let [Some((latest, at)), _] = &mut self.present
            && latest == tenant
        {
            *at = now;
            return;
        }
        let [latest, former] = &mut self.present;
        *former = latest.take();
        *latest = Some((tenant.clone(), now));
    }

    /// Whether another tenant was served a moment ago and may call again at any moment.
    fn expects_others(&self, tenant: &TenantId, now: Instant) -> bool {
        let is_expected = |(other, seen): &(TenantId, Instant)| {
            let is_idle = || self.lanes.get(other).is_none_or(Lane::is_idle);
            other != tenant && now.duration_since(*seen) < PRESENT && is_idle()
        };
        self.present.iter().flatten().any(is_expected)
    }

    /// Whether a tenant may have one more call served.
    fn may_run(&self, tenant: &TenantId, concurrency: usize, now: Instant) -> bool {
        let running = self.lanes.get(tenant).map_or(0, |lane| lane.running);
        let most = if concurrency > 1 && self.expects_others(tenant, now) { concurrency - 1 } else { concurrency };
        self.running < concurrency && running < most
    }

    /// Gives free places to those whose turn it is.
    fn dispatch(&mut self, scheduler: &Arc<Inner>) -> Vec<(oneshot::Sender<Place>, Place)> {
        let mut woken = Vec::new();
        let now = Instant::now();
        while self.running < scheduler.config.concurrency {
            let Some(tenant) = self.next_turn(scheduler.config.concurrency, now) else { break };
            let Some(lane) = self.lanes.get_mut(&tenant) else { break };
            let Some(Waiter { cost, scale, kind, ready, .. }) = lane.queue.pop_front() else { break };
            lane.credit -= cost;
            lane.running += 1;
            if lane.queue.is_empty() {
                lane.credit = lane.credit.min(0.0);
                self.turns.retain(|waiting| *waiting != tenant);
            }
            self.running += 1;
            self.waiting = self.waiting.saturating_sub(1);
            let scheduler = Arc::clone(scheduler);
            let place = Place { scheduler, tenant, kind, charged: cost, scale, since: now, waited: Duration::ZERO };
            woken.push((ready, place));
        }
        woken
    }

    /// Returns the tenant whose turn it is.
    fn next_turn(&mut self, concurrency: usize, now: Instant) -> Option<TenantId> {
        // As many turns as it takes until somebody can pay are given at once.
        let mut rounds = f64::INFINITY;
        for tenant in &self.turns {
            if !self.may_run(tenant, concurrency, now) {
                continue;
            }
            let Some(lane) = self.lanes.get(tenant) else { continue };
            let Some(head) = lane.queue.front() else { continue };
            rounds = rounds.min(((head.cost - lane.credit) / (FIRST_COST * lane.weight)).ceil().max(0.0));
        }
        if !rounds.is_finite() {
            return None;
        }
        let mut found = None;
        for place in 0..self.turns.len() {
            let Some(tenant) = self.turns.get(place) else { break };
            if !self.may_run(tenant, concurrency, now) {
                continue;
            }
            let Some(lane) = self.lanes.get_mut(tenant) else { continue };
            lane.credit += rounds * FIRST_COST * lane.weight;
            let can_pay = lane.queue.front().is_some_and(|head| head.cost <= lane.credit);
            if can_pay && found.is_none() {
                found = Some(place);
            }
        }
        let place = found?;
        let tenant = self.turns.get(place).cloned()?;
        // It keeps its turn while it can pay; else the next ones come first.
        let keeps = self.lanes.get(&tenant).is_some_and(|lane| {
            let mut heads = lane.queue.iter();
            let first = heads.next().map_or(0.0, |head| head.cost);
            heads.next().is_some_and(|second| first + second.cost <= lane.credit)
        });
        if !keeps {
            self.turns.remove(place);
            self.turns.push_back(tenant.clone());
        }
        Some(tenant)
    }
}

impl Inner {
    /// Hands places over outside the lock, as one whose caller has gone comes back at once.
    fn wake(woken: Vec<(oneshot::Sender<Place>, Place)>) {
        for (ready, place) in woken {
            drop(ready.send(place));
        }
    }
}

impl FairScheduler {
    /// Creates a scheduler.
    #[must_use]
    pub fn new(config: FairnessConfig) -> Self {
        Self { inner: Arc::new(Inner { config, state: Mutex::default() }) }
    }

    /// Sets the weight of a tenant. It is kept while there are few tenants, or the tenant has calls: the gate says it again with
    /// each call.
    pub fn set_weight(&self, tenant: &TenantId, weight: u32) {
        let mut guard = self.inner.state.lock();
        let state = &mut *guard;
        if weight == 1 {
            state.weights.remove(tenant);
        } else if state.weights.get(tenant) != Some(&weight) {
            if state.weights.len() >= REMEMBERED {
                let lanes = &state.lanes;
                state.weights.retain(|tenant, _| lanes.get(tenant).is_some_and(|lane| !lane.is_idle()));
            }
            state.weights.insert(tenant.clone(), weight);
        }
        if let Some(lane) = state.lanes.get_mut(tenant) {
            lane.weight = f64::from(weight.max(1));
        }
    }

    /// Returns the state.
    #[must_use]
    pub fn stats(&self) -> FairnessStats {
        let state = self.inner.state.lock();
        FairnessStats { running: state.running, waiting: state.waiting, refused: state.refused }
    }

    /// Waits for a place, at most for `limit`. A call of `scale` 2 is expected to be twice as much work as one of 1.
    ///
    /// # Errors
    /// `RateLimited` where the tenant's queue or that of all is full, or the call waited for too long; `Timeout` where it
    /// waited until `limit`.
    pub(super) async fn place(
        &self,
        tenant: &TenantId,
        kind: Kind,
        scale: f64,
        limit: Option<Duration>,
    ) -> Result<Place> {
        let began = Instant::now();
        let config = &self.inner.config;
        let (number, ready) = {
            let mut guard = self.inner.state.lock();
            let state = &mut *guard;
            state.saw(tenant, began);
            let weight = state.weights.get(tenant).copied().unwrap_or(1);
            let may_run = state.may_run(tenant, config.concurrency, began);
            let lane = state.lanes.entry(tenant.clone()).or_insert_with(|| Lane::new(weight));
            let cost = lane.costs.get(kind as usize).copied().unwrap_or(FIRST_COST) * scale;
            // Nobody is overtaken: those who wait and may run have been given the free places already.
            if may_run && lane.queue.is_empty() {
                lane.running += 1;
                state.running += 1;
                let (scheduler, tenant) = (Arc::clone(&self.inner), tenant.clone());
                return Ok(Place {
                    scheduler,
                    tenant,
                    kind,
                    charged: 0.0,
                    scale,
                    since: began,
                    waited: Duration::ZERO,
                });
            }
            let waiting = lane.queue.len();
            if waiting >= config.queue_per_tenant || state.waiting >= config.queue {
                state.refused += 1;
                let whose = if waiting >= config.queue_per_tenant { "of the tenant " } else { "" };
                let wait = Duration::from_secs_f64((cost * waiting as f64 / config.concurrency as f64 / 1e6).min(60.0));
                return Err(full(
                    tenant,
                    format!(
                        "{} calls {whose}wait for the backend already",
                        if whose.is_empty() { state.waiting } else { waiting }
                    ),
                    wait,
                ));
            }
            let (sender, ready) = oneshot::channel();
            state.next += 1;
            let number = state.next;
            let is_first = lane.queue.is_empty();
            lane.queue.push_back(Waiter { number, cost, scale, kind, ready: sender });
            state.waiting += 1;
            if is_first {
                state.turns.push_back(tenant.clone());
            }
            (number, ready)
        };
        let _waiting = Waiting { scheduler: &self.inner, tenant, number };
        let wait = limit.map_or(config.max_wait, |limit| limit.min(config.max_wait));
        match tokio::time::timeout(wait, ready).await {
            Ok(Ok(mut place)) => {
                (place.waited, place.since) = (began.elapsed(), Instant::now());
                Ok(place)
            }
            Ok(Err(_)) => Err(Error::unexpected("a waiting call was forgotten")),
            Err(_) => {
                self.inner.state.lock().refused += 1;
                if limit.is_some_and(|limit| limit <= config.max_wait) {
                    let message = "the search waited for the backend until its time limit; give it more time, or send fewer at once";
                    return Err(Error::of(ErrorCode::SearchTimeout, message)
                        .with_retry(Retry::After(None))
                        .with_context("tenant", tenant));
                }
                Err(full(tenant, format!("the call waited {wait:?} for the backend"), wait))
            }
        }
    }
}

fn full(tenant: &TenantId, what: String, wait: Duration) -> Error {
    Error::of(ErrorCode::TenantQueueFull, format!("{what}; send fewer at once, or raise the tenant's weight"))
        .with_retry(Retry::After(Some(wait.max(Duration::from_millis(50)))))
        .with_context("tenant", tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn invariant_23_what_is_known_of_tenants_is_bounded_and_a_weight_is_not_lost_while_it_counts() {
        let scheduler = FairScheduler::new(FairnessConfig::new(4));
        let busy = TenantId::parse("busy").unwrap();
        scheduler.set_weight(&busy, 7);
        let held = scheduler.place(&busy, Kind::Search, 1.0, None).await.unwrap();
        for number in 0..3 * REMEMBERED {
            let tenant = TenantId::parse(format!("t{number}")).unwrap();
            scheduler.set_weight(&tenant, 2);
            drop(scheduler.place(&tenant, Kind::Read, 1.0, None).await.unwrap());
        }
        let state = scheduler.inner.state.lock();
        assert!(state.weights.len() <= REMEMBERED, "{}", state.weights.len());
        assert!(state.lanes.len() <= REMEMBERED + 1, "{}", state.lanes.len());
        assert_eq!((state.weights.get(&busy), state.turns.len()), (Some(&7), 0));
        drop(state);
        drop(held);
    }
}
