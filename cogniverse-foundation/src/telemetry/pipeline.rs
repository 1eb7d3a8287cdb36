//! The state that spans, callers and the worker share.

use super::{
    policy::Policy,
    queue::FairQueue,
    record::{SpanRecord, TelemetryScope},
    settings::TelemetrySettings,
    stats::RequestObserver,
};
use crate::config::telemetry::{SYSTEM_PROJECT, TelemetryConfig};
use cogniverse_sdk::{Error, ErrorKind, Result, Retry, TenantId, deadline_in};
use dashmap::DashMap;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

/// The longest that a shutdown may exceed its timeout.
const GRACE: Duration = Duration::from_millis(250);

/// What spans, callers and the worker share.
pub(crate) struct Shared {
    pub(crate) settings: TelemetrySettings,
    pub(crate) state: Mutex<State>,
    /// The worker has something to do.
    pub(crate) wake: Condvar,
    /// The worker has done something.
    pub(crate) settled: Condvar,
    /// Tenants whose configuration differs from the default.
    pub(crate) policies: DashMap<TenantId, Policy>,
    pub(crate) observer: Option<Arc<dyn RequestObserver>>,
    pub(crate) unscoped: AtomicU64,
}

pub(crate) struct State {
    pub(crate) queue: FairQueue,
    /// When the oldest waiting span came, as far as the worker's pace needs it.
    pub(crate) waiting_since: Option<Instant>,
    /// Whose spans are being exported.
    pub(crate) in_flight: BTreeSet<TelemetryScope>,
    /// Tenants that are erased: nothing of theirs goes out any more.
    pub(crate) closed: HashSet<TenantId>,
    pub(crate) flushes: usize,
    pub(crate) stop_by: Option<Instant>,
    pub(crate) stopped: bool,
    pub(crate) exported: u64,
    pub(crate) failed_exports: u64,
    pub(crate) last_error: Option<String>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn is_closed(&self, scope: &TelemetryScope) -> bool {
        !self.closed.is_empty() && scope.tenant().is_some_and(|tenant| self.closed.contains(tenant))
    }
}

impl Shared {
    pub(crate) fn submit(&self, span: SpanRecord) {
        let mut state = self.state.lock();
        if state.stop_by.is_some() || state.is_closed(&span.scope) {
            state.queue.count_dropped(&span.scope, 1);
            return;
        }
        state.queue.push(span);
        let waiting = state.queue.len();
        if state.waiting_since.is_none() {
            state.waiting_since = Some(Instant::now());
            self.wake.notify_one();
        } else if waiting == self.settings.max_batch_spans {
            self.wake.notify_one();
        }
    }

    pub(crate) fn observe(&self, scope: &TelemetryScope, operation: &str, seconds: f64, failed: bool) {
        if let Some(observer) = &self.observer {
            observer.observe(scope, operation, seconds, failed);
        }
    }

    pub(crate) fn project(&self, scope: &TelemetryScope) -> String {
        let Some(tenant) = scope.tenant() else { return SYSTEM_PROJECT.to_owned() };
        self.policies
            .get(tenant)
            .map_or_else(|| TelemetryConfig::new().project_name(tenant), |policy| policy.project.clone())
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<()> {
        let deadline = deadline_in(timeout);
        let mut state = self.state.lock();
        let before = state.queue.dropped();
        state.stop_by.get_or_insert(deadline);
        self.wake.notify_all();
        // The worker gives up at the deadline, and is given a moment to say so.
        while !state.stopped {
            if self.settled.wait_until(&mut state, deadline + GRACE).timed_out() {
                return Err(timed_out("the last export is still under way"));
            }
        }
        let lost = state.queue.dropped() - before;
        if lost > 0 { Err(timed_out(format!("{lost} spans were given up"))) } else { Ok(()) }
    }

    /// Whether spans of a scope are exported, and with what people said.
    pub(crate) fn policy(&self, scope: &TelemetryScope) -> (bool, bool) {
        let Some(tenant) = scope.tenant() else { return (true, false) };
        self.policies.get(tenant).map_or((true, false), |policy| (policy.enabled, policy.content))
    }
}

pub(crate) fn timed_out(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Timeout, message).with_retry(Retry::After(None))
}
