//! The telemetry manager.

use super::{
    context::TraceContext,
    current::{self, Place},
    exporter::SpanExporter,
    id::{SpanId, TraceId},
    pipeline::{Shared, State, timed_out},
    policy::Policy,
    queue::FairQueue,
    record::TelemetryScope,
    settings::TelemetrySettings,
    span::Span,
    stats::{RequestObserver, TelemetryStats},
    worker,
};
use crate::config::telemetry::TelemetryConfig;
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId, deadline_in};
use dashmap::DashMap;
use parking_lot::{Condvar, Mutex};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// A recorder of spans of any number of tenants, with one exporter on one worker thread. Cheap to clone.
///
/// Recording never fails because of telemetry: spans that cannot be queued or exported are dropped and counted
/// ([`TelemetryManager::stats`]). Dropping the last clone waits for the final export up to
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

impl TelemetryManager {
    /// Creates a manager that records nothing.
    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    /// Creates a pipeline to an exporter.
    ///
    /// # Errors
    /// `InvalidInput` for settings without a bound; `Unavailable` where the thread cannot be started.
    pub fn new(settings: TelemetrySettings, exporter: impl SpanExporter) -> Result<Self> {
        Self::start(settings, Box::new(exporter), None)
    }

    /// Creates a pipeline to an exporter, with an observer of finished operations.
    ///
    /// # Errors
    /// Those of [`TelemetryManager::new`].
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
            policies: DashMap::default(),
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

    /// Returns the same pipeline without keeping it running, for owners that live as long as the process, such as a
    /// global subscriber.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.as_ref().map(|pipeline| Pipeline { shared: Arc::clone(&pipeline.shared), _owner: None }))
    }

    /// Returns whether spans are recorded at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Starts a span of a tenant, as a child of this thread's current span if that belongs to the same tenant.
    #[must_use]
    pub fn span(&self, name: impl Into<Cow<'static, str>>, tenant: &TenantId) -> Span {
        if self.0.is_none() {
            return Span(None);
        }
        self.span_of(name, TelemetryScope::Tenant(tenant.clone()))
    }

    /// Starts a span of the system.
    #[must_use]
    pub fn system_span(&self, name: impl Into<Cow<'static, str>>) -> Span {
        self.span_of(name, TelemetryScope::System)
    }

    /// Starts a span of either scope.
    #[must_use]
    pub fn span_of(&self, name: impl Into<Cow<'static, str>>, scope: TelemetryScope) -> Span {
        let parent = if self.0.is_some() { current::parent(&scope) } else { None };
        self.begin(name.into(), scope, parent)
    }

    /// Starts a span that continues a received trace if that trace belongs to the same tenant. A trace of another or
    /// no tenant is not continued: the span starts a new trace.
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

    /// Runs work in a span of a tenant and records its error.
    ///
    /// # Errors
    /// The error of the work.
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

    /// Applies a tenant's configuration to spans that start from now on. Spans that are not exported yet go to the
    /// new project.
    ///
    /// # Errors
    /// `RateLimited` where more tenants than [`TelemetrySettings::max_tenants`] differ from the default.
    pub fn configure_tenant(&self, tenant: &TenantId, config: &TelemetryConfig) -> Result<()> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let policies = &handle.shared.policies;
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

    /// Drops a tenant's waiting spans, refuses new ones, and waits until none is being exported. After that nothing
    /// in this process recreates an erased project. Blocking.
    ///
    /// # Errors
    /// `Timeout` where an export with the tenant's spans is still running.
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

    /// Accepts spans of a closed tenant again.
    pub fn reopen_tenant(&self, tenant: &TenantId) {
        if let Some(handle) = &self.0 {
            handle.shared.state.lock().closed.remove(tenant);
        }
    }

    /// Exports all waiting spans and waits until none is left. Blocking.
    ///
    /// # Errors
    /// `Timeout` with the error of the last export; the spans are kept.
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

    /// Exports all waiting spans, then stops. Spans that end later are dropped and counted. Blocking.
    ///
    /// # Errors
    /// `Timeout` where spans were dropped.
    pub fn shutdown(&self, timeout: Duration) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |handle| handle.shared.shutdown(timeout))
    }

    /// Returns the counters of exported, dropped and failed spans.
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

    /// Returns whether a tenant's configuration allows recording content of users; `false` where telemetry is off.
    /// For code that passes such text to `tracing`, which other subscribers read too.
    #[must_use]
    pub fn records_content(&self, tenant: &TenantId) -> bool {
        let scope = TelemetryScope::Tenant(tenant.clone());
        self.0.as_ref().is_some_and(|pipeline| pipeline.shared.policy(&scope) == (true, true))
    }

    /// Counts a span without tenant or system scope; for layers that convert other spans.
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
