//! The current span of a thread.

use super::{
    id::{SpanId, TraceId},
    record::TelemetryScope,
};
use std::cell::RefCell;

/// The position under which a child span is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scope: TelemetryScope,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

thread_local! {
    static CURRENT: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Replaces the current position and returns the previous one.
pub(crate) fn replace(place: Option<Place>) -> Option<Place> {
    CURRENT.with(|current| current.try_borrow_mut().ok().and_then(|mut slot| std::mem::replace(&mut *slot, place)))
}

/// Returns the trace and span to use as parent if the current span is of the same scope: a trace never joins two
/// tenants ([invariant 7](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#7)).
pub(crate) fn parent(scope: &TelemetryScope) -> Option<(TraceId, SpanId)> {
    CURRENT.with(|current| {
        let current = current.try_borrow().ok()?;
        current.as_ref().filter(|place| place.scope == *scope).map(|place| (place.trace_id, place.span_id))
    })
}
