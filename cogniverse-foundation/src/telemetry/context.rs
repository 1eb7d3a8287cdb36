//! Propagation of traces across processes, as in W3C Trace Context.

use super::{
    id::{SpanId, TraceId},
    record::TelemetryScope,
};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The key of our member of `tracestate`, which identifies the trace's owner.
const MEMBER: &str = "cogniverse";

/// A trace context to send, or one that was received: `traceparent` and our member of `tracestate`.
///
/// A context that does not identify the tenant as its owner is not continued: a trace store files a whole trace under
/// the project of its first span, so a shared trace would show one tenant's spans to another ([invariant 7](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    owner: Option<String>,
}

impl TraceContext {
    pub(crate) fn new(scope: &TelemetryScope, trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, owner: Some(owner(scope, trace_id)) }
    }

    /// Parses the headers `traceparent` and `tracestate`; `None` where the first is not of version 00.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "00" || flags.len() != 2 || parts.next().is_some() {
            return None;
        }
        let owner = tracestate.into_iter().flat_map(|state| state.split(',')).find_map(|member| {
            member.trim().strip_prefix(MEMBER).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned)
        });
        Some(Self { trace_id: TraceId::from_hex(trace)?, span_id: SpanId::from_hex(span)?, owner })
    }

    /// Returns the header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }

    /// Returns the header `tracestate`; empty where the trace has no owner.
    #[must_use]
    pub fn tracestate(&self) -> String {
        self.owner.as_ref().map_or_else(String::new, |owner| format!("{MEMBER}={owner}"))
    }

    pub(crate) fn is_of(&self, scope: &TelemetryScope) -> bool {
        self.owner.as_deref() == Some(owner(scope, self.trace_id).as_str())
    }
}

/// Returns a short digest of the owner, different for each trace, so that the header does not reveal tenants' names
/// to other services. It guards against mix-ups, not forgery: only the caller's own gateway can set these headers.
fn owner(scope: &TelemetryScope, trace: TraceId) -> String {
    let mut hasher = DefaultHasher::new();
    (scope, trace).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
