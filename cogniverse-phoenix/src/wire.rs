//! Phoenix's JSON.

use cogniverse_sdk::{
    Error, ErrorKind, Result,
    telemetry_provider::{
        AnnotatorKind, Span, SpanAnnotation, SpanEvent, SpanId, SpanKind, SpanStatus, StoredAnnotation, TraceId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// One thing.
#[derive(Deserialize)]
pub(crate) struct Data<T> {
    pub(crate) data: T,
}

/// A page of things.
#[derive(Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// Pages that one listing may have: far more than there are.
const MAX_PAGES: usize = 100_000;

/// Where a listing goes on, which must be somewhere new: one that goes round has no end.
#[derive(Debug, Default)]
pub(crate) struct Cursors(HashSet<String>);

impl Cursors {
    pub(crate) fn next(&mut self, cursor: Option<String>) -> Result<Option<String>> {
        match cursor {
            Some(cursor) if self.0.len() >= MAX_PAGES || !self.0.insert(cursor.clone()) => Err(goes_round()),
            other => Ok(other),
        }
    }
}

/// Where a page goes on, which must not be where it began.
pub(crate) fn after(asked: Option<&str>, next: Option<String>) -> Result<Option<String>> {
    if next.is_some() && next.as_deref() == asked { Err(goes_round()) } else { Ok(next) }
}

fn goes_round() -> Error {
    let message = "Phoenix's listing goes round: it names a page again that it gave before; check its version, and what stands before it";
    Error::new(ErrorKind::Unavailable, message)
}

#[derive(Deserialize)]
pub(crate) struct WireProject {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct WireSpan {
    name: String,
    context: WireContext,
    #[serde(default)]
    span_kind: String,
    #[serde(default)]
    parent_id: Option<String>,
    start_time: String,
    end_time: Option<String>,
    #[serde(default)]
    status_code: String,
    #[serde(default)]
    status_message: String,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    #[serde(default)]
    events: Vec<WireEvent>,
}

#[derive(Deserialize)]
struct WireContext {
    trace_id: String,
    span_id: String,
}

#[derive(Deserialize)]
struct WireEvent {
    name: String,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
}

fn time(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| {
        Error::new(ErrorKind::Unavailable, "Phoenix answered a time that cannot be read").with_withheld(text)
    })
}

impl WireSpan {
    pub(crate) fn into_span(self) -> Result<Span> {
        let start = time(&self.start_time)?;
        let end = self.end_time.as_deref().map(time).transpose()?.unwrap_or(start);
        let mut span = Span::new(
            TraceId::parse(&self.context.trace_id)?,
            SpanId::parse(&self.context.span_id)?,
            self.name,
            start,
            end,
        )
        .with_parent(self.parent_id.as_deref().map(SpanId::parse).transpose()?)
        .with_kind(SpanKind::from_wire(&self.span_kind))
        .with_status(SpanStatus::from_wire(&self.status_code), self.status_message);
        for (key, value) in self.attributes {
            span = span.with_attribute(key, value);
        }
        for event in self.events {
            let at = event.timestamp.as_deref().map(time).transpose()?.unwrap_or(start);
            span = span.with_event(SpanEvent::new(event.name, at, event.attributes));
        }
        Ok(span)
    }
}

#[derive(Serialize, Deserialize, Default)]
pub(crate) struct WireResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct NewAnnotation<'a> {
    span_id: &'a str,
    name: &'a str,
    annotator_kind: &'a str,
    result: WireResult,
    metadata: &'a Map<String, Value>,
    identifier: &'a str,
}

impl<'a> NewAnnotation<'a> {
    pub(crate) fn of(annotation: &'a SpanAnnotation) -> Self {
        Self {
            span_id: annotation.span_id.as_str(),
            name: &annotation.name,
            annotator_kind: annotation.annotator.as_str(),
            result: WireResult {
                label: annotation.label.clone(),
                score: annotation.score,
                explanation: annotation.explanation.clone(),
            },
            metadata: &annotation.metadata,
            identifier: &annotation.identifier,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct WireAnnotation {
    span_id: String,
    name: String,
    annotator_kind: String,
    #[serde(default)]
    result: Option<WireResult>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    identifier: Option<String>,
    created_at: String,
    updated_at: String,
}

impl WireAnnotation {
    pub(crate) fn into_stored(self) -> Result<StoredAnnotation> {
        let result = self.result.unwrap_or_default();
        let mut annotation = SpanAnnotation::new(
            SpanId::parse(&self.span_id)?,
            self.name,
            AnnotatorKind::from_wire(&self.annotator_kind),
        )
        .with_metadata(self.metadata.unwrap_or_default())
        .with_identifier(self.identifier.unwrap_or_default());
        annotation.label = result.label;
        annotation.score = result.score;
        annotation.explanation = result.explanation;
        Ok(StoredAnnotation::new(annotation, time(&self.created_at)?, time(&self.updated_at)?))
    }
}
