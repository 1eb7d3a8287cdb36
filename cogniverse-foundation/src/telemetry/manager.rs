//! Spans of all tenants, by one pipeline.

use super::{
    context::TraceContext,
    current::{self, Place},
    exporter::SpanExporter,
    id::{SpanId, TraceId},
    policy::Policy,
    queue::FairQueue,
    record::{SpanRecord, TelemetryScope},
    settings::TelemetrySettings,
    span::Span,
    stats::{RequestObserver, TelemetryStats},
    worker,
};
use crate::config::telemetry::{SYSTEM_PROJECT, TelemetryConfig};
use cogniverse_sdk::{Error, ErrorKind, Result, Retry, TenantId, deadline_in};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How much later than asked a shutdown may return.
const GRACE: Duration = Duration::from_millis(250);

/// Records spans of any number of tenants and hands them to one exporter, by one worker thread. Cheap to clone.
///
/// Code that records spans never fails because of telemetry: what cannot be kept or exported is dropped and counted
/// ([`TelemetryManager::stats`]). The last clone, when dropped, waits for the last export within
/// [`TelemetrySettings::shutdown_timeout`].
#[derive(Debug, Clone)]
pub struct TelemetryManager(Option<Pipeline>);

#[derive(Debug, Clone)]
struct Pipeline {
    shared: Arc<Shared>,
    /// Keeps the pipeline running; a detached manager does not.
    _owner: Option<Arc<Owner>>,
}

/// Stops the pipeline when its last clone is dropped.
#[derive(Debug)]
struct Owner(Arc<Shared>);

/// What spans, callers and the worker share.
pub(crate) struct Shared {
    pub(crate) settings: TelemetrySettings,
    pub(crate) state: Mutex<State>,
    /// The worker has something to do.
    pub(crate) wake: Condvar,
    /// The worker has done something.
    pub(crate) settled: Condvar,
    /// Tenants whose configuration differs from the default.
    policies: RwLock<HashMap<TenantId, Policy>>,
    observer: Option<Arc<dyn RequestObserver>>,
    unscoped: AtomicU64,
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
            .read()
            .get(tenant)
            .map_or_else(|| TelemetryConfig::new().project_name(tenant), |policy| policy.project.clone())
    }

    fn shutdown(&self, timeout: Duration) -> Result<()> {
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
    fn policy(&self, scope: &TelemetryScope) -> (bool, bool) {
        let Some(tenant) = scope.tenant() else { return (true, false) };
        self.policies.read().get(tenant).map_or((true, false), |policy| (policy.enabled, policy.content))
    }
}

impl TelemetryManager {
    /// Records nothing: every span is empty.
    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    /// A pipeline to an exporter.
    ///
    /// # Errors
    /// `InvalidInput` for settings without a bound; `Unavailable` where no thread can be started.
    pub fn new(settings: TelemetrySettings, exporter: impl SpanExporter) -> Result<Self> {
        Self::start(settings, Box::new(exporter), None)
    }

    /// As [`TelemetryManager::new`], with someone who is told of each finished piece of work.
    ///
    /// # Errors
    /// As there.
    pub fn observed(
        settings: TelemetrySettings,
        exporter: impl SpanExporter,
        observer: Arc<dyn RequestObserver>,
    ) -> Result<Self> {
        Self::start(settings, Box::new(exporter), Some(observer))
    }

    fn start(
        settings: TelemetrySettings,
        exporter: Box<dyn SpanExporter>,
        observer: Option<Arc<dyn RequestObserver>>,
    ) -> Result<Self> {
        settings.validate()?;
        let state = State {
            queue: FairQueue::new(settings.max_queued_spans, settings.max_tenants),
            waiting_since: None,
            in_flight: BTreeSet::new(),
            closed: HashSet::new(),
            flushes: 0,
            stop_by: None,
            stopped: false,
            exported: 0,
            failed_exports: 0,
            last_error: None,
        };
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::new(state),
            wake: Condvar::new(),
            settled: Condvar::new(),
            policies: RwLock::default(),
            observer,
            unscoped: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("cogniverse-telemetry".to_owned())
            .spawn(move || worker::run(&own, exporter))
            .map_err(|e| {
                Error::new(ErrorKind::Unavailable, "the telemetry worker thread could not be started").with_source(e)
            })?;
        let owner = Arc::new(Owner(Arc::clone(&shared)));
        Ok(Self(Some(Pipeline { shared, _owner: Some(owner) })))
    }

    /// The same pipeline, without keeping it running: for whoever lives as long as the process, such as a global subscriber.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.as_ref().map(|pipeline| Pipeline { shared: Arc::clone(&pipeline.shared), _owner: None }))
    }

    /// Whether spans are recorded at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// A span of a tenant, inside of this thread's current span where that is of the same tenant.
    #[must_use]
    pub fn span(&self, name: impl Into<Cow<'static, str>>, tenant: &TenantId) -> Span {
        if self.0.is_none() {
            return Span(None);
        }
        self.span_of(name, TelemetryScope::Tenant(tenant.clone()))
    }

    /// A span of work that is for no tenant.
    #[must_use]
    pub fn system_span(&self, name: impl Into<Cow<'static, str>>) -> Span {
        self.span_of(name, TelemetryScope::System)
    }

    /// A span of either scope.
    #[must_use]
    pub fn span_of(&self, name: impl Into<Cow<'static, str>>, scope: TelemetryScope) -> Span {
        let parent = if self.0.is_some() { current::parent(&scope) } else { None };
        self.begin(name.into(), scope, parent)
    }

    /// A span that goes on with a trace that came in from elsewhere, where that trace says it is of the same tenant. A
    /// trace of another tenant, or of nobody, is not continued: the span begins a trace of its own.
    #[must_use]
    pub fn span_in(&self, name: impl Into<Cow<'static, str>>, tenant: &TenantId, context: &TraceContext) -> Span {
        let scope = TelemetryScope::Tenant(tenant.clone());
        let parent = context.is_of(&scope).then_some((context.trace_id, context.span_id));
        self.begin(name.into(), scope, parent)
    }

    fn begin(&self, name: Cow<'static, str>, scope: TelemetryScope, parent: Option<(TraceId, SpanId)>) -> Span {
        let Some(handle) = &self.0 else { return Span(None) };
        let policy = handle.shared.policy(&scope);
        let (trace_id, parent_id) = match parent {
            Some((trace_id, span_id)) => (trace_id, Some(span_id)),
            None => (TraceId::random(), None),
        };
        let place = Place { scope, trace_id, span_id: SpanId::random() };
        Span::begin(&handle.shared, name, place, parent_id, policy)
    }

    /// Runs work in a span of a tenant, and records its error.
    ///
    /// # Errors
    /// What the work fails with.
    pub async fn in_span<T, E, F>(
        &self,
        name: impl Into<Cow<'static, str>>,
        tenant: &TenantId,
        work: impl FnOnce(Span) -> F,
    ) -> Result<T, E>
    where
        E: fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let span = self.span(name, tenant);
        let result = span.run(work(span.clone())).await;
        match &result {
            Ok(_) => span.set_ok(),
            Err(error) => span.record_error("error", error),
        }
        result
    }

    /// Takes a tenant's configuration over, for spans that begin from now on. What is exported and not yet sent goes to the
    /// new project.
    ///
    /// # Errors
    /// `RateLimited` where more tenants than [`TelemetrySettings::max_tenants`] differ from the default.
    pub fn configure_tenant(&self, tenant: &TenantId, config: &TelemetryConfig) -> Result<()> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let mut policies = handle.shared.policies.write();
        if *config == TelemetryConfig::default() {
            policies.remove(tenant);
            return Ok(());
        }
        let limit = handle.shared.settings.max_tenants;
        if policies.len() >= limit && !policies.contains_key(tenant) {
            return Err(Error::new(
                ErrorKind::RateLimited,
                format!("{limit} tenants have a telemetry configuration of their own; raise max_tenants"),
            ));
        }
        policies.insert(tenant.clone(), Policy::of(tenant, config));
        Ok(())
    }

    /// Gives up a tenant's waiting spans and refuses new ones, and waits until none of its spans is on its way. Once this
    /// returned, nothing brings an erased project back. Blocks.
    ///
    /// # Errors
    /// `Timeout` where an export that holds the tenant's spans is still under way.
    pub fn close_tenant(&self, tenant: &TenantId, timeout: Duration) -> Result<()> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let shared = &handle.shared;
        let scope = TelemetryScope::Tenant(tenant.clone());
        let deadline = deadline_in(timeout);
        let mut state = shared.state.lock();
        state.closed.insert(tenant.clone());
        state.queue.forget(&scope);
        shared.wake.notify_all();
        while state.in_flight.contains(&scope) {
            if shared.settled.wait_until(&mut state, deadline).timed_out() {
                return Err(timed_out("spans of the tenant are still being exported; call again"));
            }
        }
        Ok(())
    }

    /// Takes spans of a tenant again that was closed.
    pub fn reopen_tenant(&self, tenant: &TenantId) {
        if let Some(handle) = &self.0 {
            handle.shared.state.lock().closed.remove(tenant);
        }
    }

    /// Exports what waits, and waits until nothing does. Blocks.
    ///
    /// # Errors
    /// `Timeout` with what the last export failed with; the spans are kept.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let shared = &handle.shared;
        let deadline = deadline_in(timeout);
        let mut state = shared.state.lock();
        state.flushes += 1;
        shared.wake.notify_all();
        let mut late = false;
        while !late && !state.stopped && state.queue.len() + state.queue.in_flight() > 0 {
            late = shared.settled.wait_until(&mut state, deadline).timed_out();
        }
        state.flushes -= 1;
        let left = state.queue.len() + state.queue.in_flight();
        if left == 0 {
            return Ok(());
        }
        let cause = state.last_error.clone().unwrap_or_else(|| "the exporter is still at work".to_owned());
        Err(timed_out(format!("{left} spans are not exported yet: {cause}")))
    }

    /// Exports what waits, then stops. Spans that end later are dropped and counted. Blocks.
    ///
    /// # Errors
    /// `Timeout` where spans were given up.
    pub fn shutdown(&self, timeout: Duration) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |handle| handle.shared.shutdown(timeout))
    }

    /// What was exported, dropped and failed.
    #[must_use]
    pub fn stats(&self) -> TelemetryStats {
        let Some(handle) = &self.0 else { return TelemetryStats::default() };
        let state = handle.shared.state.lock();
        TelemetryStats {
            queued: state.queue.len() + state.queue.in_flight(),
            exported: state.exported,
            dropped: state.queue.dropped(),
            dropped_by_scope: state.queue.dropped_by_scope().clone(),
            unscoped: handle.shared.unscoped.load(Ordering::Relaxed),
            failed_exports: state.failed_exports,
            last_error: state.last_error.clone(),
        }
    }

    /// Whether a tenant's configuration allows recording what its people said, searched for or stored. False where telemetry
    /// is off. For code that hands such text to `tracing`, which other subscribers read too.
    #[must_use]
    pub fn records_content(&self, tenant: &TenantId) -> bool {
        let scope = TelemetryScope::Tenant(tenant.clone());
        self.0.as_ref().is_some_and(|pipeline| pipeline.shared.policy(&scope) == (true, true))
    }

    /// Counts a span that named neither a tenant nor the system. For layers that turn other spans into ours.
    pub fn count_unscoped(&self) {
        if let Some(handle) = &self.0 {
            handle.shared.unscoped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown(self.0.settings.shutdown_timeout) {
            tracing::warn!("telemetry stopped early: {error}");
        }
    }
}

fn timed_out(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Timeout, message).with_retry(Retry::After(None))
}
