//! Spans, and which of them are meant.

use super::{ProjectName, SpanId, SpanKind, SpanStatus, TimeWindow, TraceId, check_count, check_page_size};
use crate::{Error, Result, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SpanEvent {
    /// What, such as `exception`.
    pub name: String,
    /// When.
    pub time: Timestamp,
    /// What is known of it, by flat dotted keys.
    pub attributes: BTreeMap<String, Value>,
}

impl SpanEvent {
    /// From a store.
    #[must_use]
    pub fn new(name: impl Into<String>, time: Timestamp, attributes: BTreeMap<String, Value>) -> Self {
        Self { name: name.into(), time, attributes }
    }
}

/// A span as it was stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Span {
    /// The trace that it is a part of.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The span it ran within; none: the root of its trace.
    pub parent_id: Option<SpanId>,
    /// What ran. Whoever traced it chose the name: untrusted text.
    pub name: String,
    /// What kind of thing that is.
    pub kind: SpanKind,
    /// How it ended.
    pub status: SpanStatus,
    /// What was said of that.
    pub status_message: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known of it, by flat dotted keys.
    pub attributes: BTreeMap<String, Value>,
    /// What happened within.
    pub events: Vec<SpanEvent>,
}

impl Span {
    /// A root of kind CHAIN and status OK, without attributes.
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

    /// The span it ran within.
    #[must_use]
    pub fn with_parent(mut self, parent: Option<SpanId>) -> Self {
        self.parent_id = parent;
        self
    }

    /// What kind it is.
    #[must_use]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// How it ended.
    #[must_use]
    pub fn with_status(mut self, status: SpanStatus, message: impl Into<String>) -> Self {
        self.status = status;
        self.status_message = message.into();
        self
    }

    /// One more attribute.
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// One more event.
    #[must_use]
    pub fn with_event(mut self, event: SpanEvent) -> Self {
        self.events.push(event);
        self
    }
}

/// Where to go on reading: what a page said, and valid for the same query alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(String);

impl Continuation {
    /// From a store.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The store's own text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Spans, and where to go on.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SpanPage {
    /// Oldest first.
    pub spans: Vec<Span>,
    /// Where to go on; none: this was the end.
    pub next: Option<Continuation>,
}

impl SpanPage {
    /// From a store.
    #[must_use]
    pub fn new(spans: Vec<Span>, next: Option<Continuation>) -> Self {
        Self { spans, next }
    }
}

/// Which spans of one project, oldest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanQuery {
    /// Where.
    pub project: ProjectName,
    /// Only spans that began within it.
    pub window: Option<TimeWindow>,
    /// Only spans without a parent: one of each trace.
    pub roots_only: bool,
    /// Only spans of one of these names; empty: of any.
    pub names: Vec<String>,
    /// Only spans of one of these kinds; empty: of any.
    pub kinds: Vec<SpanKind>,
    /// Only spans that ended in one of these ways; empty: in any.
    pub statuses: Vec<SpanStatus>,
    /// Only spans with every one of these attributes.
    pub attributes: Vec<(String, Value)>,
    /// Only spans of one of these traces; empty: of any.
    pub traces: Vec<TraceId>,
    /// Only these spans; empty: any.
    pub spans: Vec<SpanId>,
    /// Spans of a page (default 100, 1 to 1000).
    pub page_size: usize,
    /// Where to go on.
    pub continuation: Option<Continuation>,
}

impl SpanQuery {
    /// All spans of a project.
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

    /// Only spans that began within it.
    #[must_use]
    pub fn with_window(mut self, window: Option<TimeWindow>) -> Self {
        self.window = window;
        self
    }

    /// Only roots.
    #[must_use]
    pub fn with_roots_only(mut self) -> Self {
        self.roots_only = true;
        self
    }

    /// One more name to accept.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// One more kind to accept.
    #[must_use]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// One more status to accept.
    #[must_use]
    pub fn with_status(mut self, status: SpanStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// One more attribute to demand.
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// One more trace to accept.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceId) -> Self {
        self.traces.push(trace);
        self
    }

    /// More spans to accept.
    #[must_use]
    pub fn with_spans(mut self, spans: impl IntoIterator<Item = SpanId>) -> Self {
        self.spans.extend(spans);
        self
    }

    /// Spans of a page.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Where to go on.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<Continuation>) -> Self {
        self.continuation = continuation;
        self
    }

    /// What every implementation refuses alike.
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
