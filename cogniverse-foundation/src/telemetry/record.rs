//! A finished span.

use super::id::{SpanId, TraceId};
use cogniverse_sdk::TenantId;
use std::{borrow::Cow, fmt};

/// Whose span it is. There is no default: a span without one is not exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TelemetryScope {
    /// Work of the library itself.
    System,
    /// Work for one tenant.
    Tenant(TenantId),
}

impl TelemetryScope {
    /// The tenant, where there is one.
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

/// What kind of work, in OpenInference's words (`openinference.span.kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SpanKind {
    /// Not said: a step inside of a piece of work.
    #[default]
    Unset,
    /// A piece of work of several steps.
    Chain,
    /// A search for documents.
    Retriever,
    /// Text or pictures into vectors.
    Embedding,
    /// A call of a language model.
    Llm,
    /// An agent's whole answer.
    Agent,
    /// A new order for documents.
    Reranker,
    /// A call of a tool.
    Tool,
}

impl SpanKind {
    /// The word of the convention; none for [`SpanKind::Unset`].
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

    /// From the word of the convention.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Chain, Self::Retriever, Self::Embedding, Self::Llm, Self::Agent, Self::Reranker, Self::Tool];
        all.into_iter().find(|kind| kind.as_str() == Some(word))
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

impl AttributeValue {
    /// The text, where it is one.
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

/// The name of an attribute: nearly always a constant.
pub(crate) type Key = Cow<'static, str>;

/// Something that happened while the span was under way.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// When, in nanoseconds since 1970 UTC.
    pub time: u64,
    /// What.
    pub name: Cow<'static, str>,
    /// Its attributes.
    pub attributes: Vec<(Cow<'static, str>, AttributeValue)>,
}

/// How the work ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SpanStatus {
    /// Not said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// With an error.
    Error(String),
}

/// A finished span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanRecord {
    /// Whose.
    pub scope: TelemetryScope,
    /// Of which trace.
    pub trace_id: TraceId,
    /// Which.
    pub span_id: SpanId,
    /// Inside of which; none for the first of a trace.
    pub parent_id: Option<SpanId>,
    /// What was done.
    pub name: Cow<'static, str>,
    /// What kind of work.
    pub kind: SpanKind,
    /// Begin, in nanoseconds since 1970 UTC.
    pub start: u64,
    /// End, in nanoseconds since 1970 UTC.
    pub end: u64,
    /// Attributes, each key once.
    pub attributes: Vec<(Cow<'static, str>, AttributeValue)>,
    /// Events, in order.
    pub events: Vec<SpanEvent>,
    /// How it ended.
    pub status: SpanStatus,
    /// Attributes and events that were too many.
    pub left_out: u32,
}

impl SpanRecord {
    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// How long it took, in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a duration in nanoseconds")]
    pub fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1e9
    }
}
