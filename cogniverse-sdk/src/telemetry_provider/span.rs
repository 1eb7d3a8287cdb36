//! Spans and span queries.

use super::{ProjectName, SpanId, SpanKind, SpanStatus, TimeWindow, TraceId, check_count, check_page_size};
use crate::{Error, Result, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// An event within a span.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SpanEvent {
    /// The name, such as `exception`.
    pub name: String,
    /// The time of the event.
    pub time: Timestamp,
    /// The attributes, by flat dotted keys.
    pub attributes: BTreeMap<String, Value>,
}

impl SpanEvent {
    /// Creates an event; for implementations.
    #[must_use]
    pub fn new(name: impl Into<String>, time: Timestamp, attributes: BTreeMap<String, Value>) -> Self {
        Self { name: name.into(), time, attributes }
    }
}

/// A stored span.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Span {
    /// The trace that the span is part of.
    pub trace_id: TraceId,
    /// The span's id.
    pub span_id: SpanId,
    /// The parent span; `None` for the root of a trace.
    pub parent_id: Option<SpanId>,
    /// The name of the operation: untrusted text, chosen by whatever produced the trace.
    pub name: String,
    /// The kind of operation.
    pub kind: SpanKind,
    /// The status at the end of the span.
    pub status: SpanStatus,
    /// The message of the status.
    pub status_message: String,
    /// The start time.
    pub start: Timestamp,
    /// The end time.
    pub end: Timestamp,
    /// The attributes, by flat dotted keys.
    pub attributes: BTreeMap<String, Value>,
    /// The events within the span.
    pub events: Vec<SpanEvent>,
}

impl Span {
    /// Creates a root span of kind CHAIN and status OK, without attributes.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId, name: impl Into<String>, start: Timestamp, end: Timestamp) -> Self {
        Self {
            trace_id,
            span_id,
            parent_id: None,
            name: name.into(),
            kind: SpanKind::Chain,
            status: SpanStatus::Ok,
            status_message: String::new(),
            start,
            end,
            attributes: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Sets the parent span.
    #[must_use]
    pub fn with_parent(mut self, parent: Option<SpanId>) -> Self {
        self.parent_id = parent;
        self
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the status and its message.
    #[must_use]
    pub fn with_status(mut self, status: SpanStatus, message: impl Into<String>) -> Self {
        self.status = status;
        self.status_message = message.into();
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// Adds an event.
    #[must_use]
    pub fn with_event(mut self, event: SpanEvent) -> Self {
        self.events.push(event);
        self
    }
}

/// An opaque position in a listing, valid only for the query that returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(String);

impl Continuation {
    /// Wraps a token; for implementations.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One page of spans.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SpanPage {
    /// The spans, oldest first.
    pub spans: Vec<Span>,
    /// The position of the next page; `None` at the end.
    pub next: Option<Continuation>,
}

impl SpanPage {
    /// Creates a page; for implementations.
    #[must_use]
    pub fn new(spans: Vec<Span>, next: Option<Continuation>) -> Self {
        Self { spans, next }
    }
}

/// A query for spans of one project, answered oldest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanQuery {
    /// The project to read.
    pub project: ProjectName,
    /// The window in which spans must start.
    pub window: Option<TimeWindow>,
    /// Whether to return root spans only.
    pub roots_only: bool,
    /// The names to accept; empty accepts any.
    pub names: Vec<String>,
    /// The kinds to accept; empty accepts any.
    pub kinds: Vec<SpanKind>,
    /// The statuses to accept; empty accepts any.
    pub statuses: Vec<SpanStatus>,
    /// The attributes that a span must have, all of them.
    pub attributes: Vec<(String, Value)>,
    /// The traces to accept; empty accepts any.
    pub traces: Vec<TraceId>,
    /// The span ids to accept; empty accepts any.
    pub spans: Vec<SpanId>,
    /// The largest number of spans in a page (default 100; from 1 to 1,000).
    pub page_size: usize,
    /// The position to continue from; `None` for the first page.
    pub continuation: Option<Continuation>,
}

impl SpanQuery {
    /// Creates a query for all spans of a project.
    #[must_use]
    pub fn new(project: ProjectName) -> Self {
        Self {
            project,
            window: None,
            roots_only: false,
            names: Vec::new(),
            kinds: Vec::new(),
            statuses: Vec::new(),
            attributes: Vec::new(),
            traces: Vec::new(),
            spans: Vec::new(),
            page_size: 100,
            continuation: None,
        }
    }

    /// Sets the window in which spans must start.
    #[must_use]
    pub fn with_window(mut self, window: Option<TimeWindow>) -> Self {
        self.window = window;
        self
    }

    /// Restricts the query to root spans.
    #[must_use]
    pub fn with_roots_only(mut self) -> Self {
        self.roots_only = true;
        self
    }

    /// Adds a name to accept.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Adds a kind to accept.
    #[must_use]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Adds a status to accept.
    #[must_use]
    pub fn with_status(mut self, status: SpanStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// Adds a required attribute.
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Adds a trace to accept.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceId) -> Self {
        self.traces.push(trace);
        self
    }

    /// Adds spans to accept.
    #[must_use]
    pub fn with_spans(mut self, spans: impl IntoIterator<Item = SpanId>) -> Self {
        self.spans.extend(spans);
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Sets the position to continue from.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<Continuation>) -> Self {
        self.continuation = continuation;
        self
    }

    /// Validates the query. Every implementation calls this first.
    ///
    /// # Errors
    /// `InvalidInput` for a page size outside 1 to 1000, too many ids, or an attribute key that is empty or has a `:`.
    pub fn check(&self) -> Result<()> {
        check_page_size(self.page_size)?;
        check_count("traces", self.traces.len())?;
        check_count("spans", self.spans.len())?;
        match self.attributes.iter().find(|(key, _)| key.is_empty() || key.contains(':')) {
            Some((key, _)) => Err(Error::invalid(format!(
                "attribute key {key:?} cannot be filtered by; give a key that is not empty and has no colon"
            ))),
            None => Ok(()),
        }
    }
}
