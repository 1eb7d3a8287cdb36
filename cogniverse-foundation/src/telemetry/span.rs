//! Active spans.

use super::{
    context::TraceContext,
    current::{self, Place},
    pipeline::Shared,
    policy::{self, MAX_ATTRIBUTES, MAX_EVENTS},
    record::{AttributeValue, SpanEvent, SpanKind, SpanRecord, SpanStatus, TelemetryScope},
};
use parking_lot::Mutex;
use std::{
    borrow::Cow,
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::pin,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// An active span, which ends when its last clone is dropped. Where telemetry is off it is empty, and each call costs
/// one branch.
#[derive(Debug, Clone)]
pub struct Span(pub(crate) Option<Arc<Active>>);

pub(crate) struct Active {
    shared: Arc<Shared>,
    record: Mutex<SpanRecord>,
    place: Place,
    began: Instant,
    /// Whether the span is exported; observers see it either way.
    export: bool,
    /// Whether content of users may be recorded.
    content: bool,
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span {} of {}", self.place.span_id, self.place.scope)
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Span {
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        name: Cow<'static, str>,
        place: Place,
        parent_id: Option<super::id::SpanId>,
        policy: (bool, bool),
    ) -> Self {
        let record = SpanRecord {
            scope: place.scope.clone(),
            trace_id: place.trace_id,
            span_id: place.span_id,
            parent_id,
            name,
            kind: SpanKind::Unset,
            start: now(),
            end: 0,
            attributes: Vec::new(),
            events: Vec::new(),
            status: SpanStatus::Unset,
            left_out: 0,
        };
        let (export, content) = policy;
        Self(Some(Arc::new(Active {
            shared: Arc::clone(shared),
            record: Mutex::new(record),
            place,
            began: Instant::now(),
            export,
            content,
        })))
    }

    /// Returns whether anything is recorded. Check it before computing an expensive attribute.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|active| active.export)
    }

    /// Returns whether the tenant's configuration allows recording content of users.
    #[must_use]
    pub fn records_content(&self) -> bool {
        self.0.as_ref().is_some_and(|active| active.export && active.content)
    }

    /// Returns the owner.
    #[must_use]
    pub fn scope(&self) -> Option<&TelemetryScope> {
        self.0.as_ref().map(|active| &active.place.scope)
    }

    /// Sets the kind of work.
    pub fn set_kind(&self, kind: SpanKind) {
        if let Some(active) = &self.0 {
            active.record.lock().kind = kind;
        }
    }

    /// Sets an attribute, replacing an earlier value of the key.
    ///
    /// Content of users (`input.value`, `…document.content`) is dropped unless the tenant's configuration allows it.
    /// `session.id` is prefixed with the tenant. Texts are truncated to 4,096 bytes; a span keeps 256 attributes.
    pub fn set_attribute(&self, key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
        let Some(active) = self.0.as_ref().filter(|active| active.export) else { return };
        let key = key.into();
        if !active.content && policy::is_content(&key) {
            return;
        }
        let value = policy::admit(&active.place.scope, &key, value.into());
        let mut record = active.record.lock();
        if let Some((_, slot)) = record.attributes.iter_mut().find(|(known, _)| *known == key) {
            *slot = value;
        } else if record.attributes.len() < MAX_ATTRIBUTES {
            record.attributes.push((key, value));
        } else {
            record.left_out += 1;
        }
    }

    /// Adds an event.
    pub fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<(Cow<'static, str>, AttributeValue)>) {
        let Some(active) = self.0.as_ref().filter(|active| active.export) else { return };
        let admitted = |(key, value): (Cow<'static, str>, AttributeValue)| {
            let value = policy::admit(&active.place.scope, &key, value);
            (active.content || !policy::is_content(&key)).then_some((key, value))
        };
        let attributes = attributes.into_iter().filter_map(admitted).take(MAX_ATTRIBUTES).collect();
        let mut record = active.record.lock();
        if record.events.len() < MAX_EVENTS {
            record.events.push(SpanEvent { time: now(), name: name.into(), attributes });
        } else {
            record.left_out += 1;
        }
    }

    /// Records a failure: sets the status and adds an OpenTelemetry `exception` event.
    pub fn record_error(&self, kind: impl Into<Cow<'static, str>>, error: &dyn fmt::Display) {
        let Some(active) = &self.0 else { return };
        let message = policy::bounded(Cow::Owned(error.to_string())).into_owned();
        let kind = kind.into();
        active.record.lock().status = SpanStatus::Error(message.clone());
        let attributes = [("exception.type", kind), ("exception.message", message.into())];
        let attributes = attributes.map(|(key, text)| (Cow::Borrowed(key), AttributeValue::Text(text)));
        self.add_event("exception", attributes.into());
    }

    /// Sets the status to success.
    pub fn set_ok(&self) {
        if let Some(active) = &self.0 {
            active.record.lock().status = SpanStatus::Ok;
        }
    }

    /// Starts a child span of the same scope.
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Self {
        let Some(active) = &self.0 else { return Self(None) };
        let place = Place { span_id: super::id::SpanId::random(), ..active.place.clone() };
        Self::begin(&active.shared, name.into(), place, Some(active.place.span_id), (active.export, active.content))
    }

    /// Makes this the thread's current span until the guard is dropped; spans of the same scope become its children.
    #[must_use = "the span is current for as long as the guard lives"]
    pub fn enter(&self) -> Entered {
        let place = self.0.as_ref().map(|active| active.place.clone());
        let entered = place.is_some();
        let previous = if entered { current::replace(place) } else { None };
        Entered { previous, entered, _thread: PhantomData }
    }

    /// Runs a future with this as its current span, on whichever threads poll it.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _entered = self.enter();
            work.as_mut().poll(context)
        })
        .await
    }

    /// Returns the context to send to another process, so that it continues this trace for the same tenant.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0
            .as_ref()
            .map(|active| TraceContext::new(&active.place.scope, active.place.trace_id, active.place.span_id))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let record = self.record.get_mut();
        let elapsed = self.began.elapsed();
        record.end = record.start.saturating_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        let failed = matches!(record.status, SpanStatus::Error(_));
        if record.kind != SpanKind::Unset {
            self.shared.observe(&record.scope, &record.name, elapsed.as_secs_f64(), failed);
        }
        if self.export {
            let empty = SpanRecord {
                scope: TelemetryScope::System,
                name: Cow::Borrowed(""),
                attributes: Vec::new(),
                events: Vec::new(),
                status: SpanStatus::Unset,
                ..*record
            };
            self.shared.submit(std::mem::replace(record, empty));
        }
    }
}

/// A guard that keeps a span current on this thread.
#[derive(Debug)]
pub struct Entered {
    previous: Option<Place>,
    entered: bool,
    _thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.entered {
            current::replace(self.previous.take());
        }
    }
}
