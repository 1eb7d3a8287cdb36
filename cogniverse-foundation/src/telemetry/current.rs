//! The span that this thread works in.

use super::{
    id::{SpanId, TraceId},
    record::TelemetryScope,
};
use std::cell::RefCell;

/// Where a child span would hang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scope: TelemetryScope,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

thread_local! {
    static CURRENT: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Puts a place in and gives the one before back.
pub(crate) fn replace(place: Option<Place>) -> Option<Place> {
    CURRENT.with(|current| current.try_borrow_mut().ok().and_then(|mut slot| std::mem::replace(&mut *slot, place)))
}

/// The trace and span to hang under, where the current span is of the same scope: a trace never joins two tenants
/// (invariant 7).
pub(crate) fn parent(scope: &TelemetryScope) -> Option<(TraceId, SpanId)> {
    CURRENT.with(|current| {
        let current = current.try_borrow().ok()?;
        current.as_ref().filter(|place| place.scope == *scope).map(|place| (place.trace_id, place.span_id))
    })
}
