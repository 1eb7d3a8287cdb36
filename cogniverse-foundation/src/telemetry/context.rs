//! Trace contexts that cross processes, as W3C Trace Context writes them.

use super::{
    id::{SpanId, TraceId},
    record::TelemetryScope,
};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Our member of `tracestate`: whose trace it is.
const MEMBER: &str = "cogniverse";

/// A trace context to send or that came in: `traceparent` and our member of `tracestate`.
///
/// A context that does not say that it is of the tenant is not continued: a trace store files a whole trace under the project
/// of its first span, so a shared trace would show one tenant's spans to another (invariant 7).
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

    /// From the headers `traceparent` and `tracestate`; none where the first is not of version 00.
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

    /// The header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }

    /// The header `tracestate`; empty where nobody claims the trace.
    #[must_use]
    pub fn tracestate(&self) -> String {
        self.owner.as_ref().map_or_else(String::new, |owner| format!("{MEMBER}={owner}"))
    }

    pub(crate) fn is_of(&self, scope: &TelemetryScope) -> bool {
        self.owner.as_deref() == Some(owner(scope, self.trace_id).as_str())
    }
}

/// A short sign of the owner, different for each trace, so that a header does not tell tenants' names to other services.
/// It guards against mix-ups; whoever can forge headers is the caller's own gateway.
fn owner(scope: &TelemetryScope, trace: TraceId) -> String {
    let mut hasher = DefaultHasher::new();
    (scope, trace).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
