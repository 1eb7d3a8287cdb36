//! Finished spans.

use super::id::{SpanId, TraceId};
use cogniverse_sdk::TenantId;
use std::{borrow::Cow, fmt};

/// The owner of a span: one tenant or the system. There is no default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TelemetryScope {
    /// The library's own work.
    System,
    /// Work for one tenant.
    Tenant(TenantId),
}

impl TelemetryScope {
    /// Returns the tenant, if there is one.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::System => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }
}

impl fmt::Display for TelemetryScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tenant().map_or("system", TenantId::as_str))
    }
}

/// The kind of work, as in OpenInference (`openinference.span.kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SpanKind {
    /// Not set: a step within an operation.
    #[default]
    Unset,
    /// An operation of several steps.
    Chain,
    /// A retrieval of documents.
    Retriever,
    /// An embedding of text or images.
    Embedding,
    /// A call of a language model.
    Llm,
    /// A complete turn of an agent.
    Agent,
    /// A reranking of documents.
    Reranker,
    /// A tool call.
    Tool,
}

impl SpanKind {
    /// Returns OpenInference's name; `None` for [`SpanKind::Unset`].
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Unset => return None,
            Self::Chain => "CHAIN",
            Self::Retriever => "RETRIEVER",
            Self::Embedding => "EMBEDDING",
            Self::Llm => "LLM",
            Self::Agent => "AGENT",
            Self::Reranker => "RERANKER",
            Self::Tool => "TOOL",
        })
    }

    /// Parses OpenInference's name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Chain, Self::Retriever, Self::Embedding, Self::Llm, Self::Agent, Self::Reranker, Self::Tool];
        all.into_iter().find(|kind| kind.as_str() == Some(word))
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A string.
    Text(Cow<'static, str>),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
}

impl AttributeValue {
    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for AttributeValue {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u64> for AttributeValue {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for AttributeValue {
    fn from(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// The name of an attribute, nearly always a constant.
pub(crate) type Key = Cow<'static, str>;

/// An event within a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// The time, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The name.
    pub name: Cow<'static, str>,
    /// The attributes.
    pub attributes: Vec<(Cow<'static, str>, AttributeValue)>,
}

/// The status of a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SpanStatus {
    /// Not set.
    #[default]
    Unset,
    /// The work succeeded.
    Ok,
    /// The work failed, with a message.
    Error(String),
}

/// A finished span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanRecord {
    /// The owner.
    pub scope: TelemetryScope,
    /// The trace.
    pub trace_id: TraceId,
    /// The span's id.
    pub span_id: SpanId,
    /// The parent span; `None` for the root of a trace.
    pub parent_id: Option<SpanId>,
    /// The name of the operation.
    pub name: Cow<'static, str>,
    /// The kind of work.
    pub kind: SpanKind,
    /// The start, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// The end, in nanoseconds since the Unix epoch.
    pub end: u64,
    /// The attributes, with unique keys.
    pub attributes: Vec<(Cow<'static, str>, AttributeValue)>,
    /// The events, in order.
    pub events: Vec<SpanEvent>,
    /// The status.
    pub status: SpanStatus,
    /// The number of attributes and events dropped at the limits.
    pub left_out: u32,
}

impl SpanRecord {
    /// Returns the value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns the duration in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a duration in nanoseconds")]
    pub fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1e9
    }
}
