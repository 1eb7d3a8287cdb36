//! Documents: one per searchable segment or memory.

use crate::{DocumentId, FieldName, TenantSchema, Tensor};
use std::collections::BTreeMap;

/// A field value. Its kind must match the declared type of the field.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// A `string`.
    String(String),
    /// An `int` (32 bits) or `long` (64 bits).
    Integer(i64),
    /// A finite `float` or `double`.
    Float(f64),
    /// A `bool`.
    Bool(bool),
    /// An `array<string>`.
    Strings(Vec<String>),
    /// A tensor.
    Tensor(Tensor),
}

impl FieldValue {
    /// Returns the name of the kind, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Bool(_) => "bool",
            Self::Strings(_) => "array of strings",
            Self::Tensor(_) => "tensor",
        }
    }

    /// Returns the text of a `string`.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns a number as a float.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            #[expect(clippy::cast_precision_loss, reason = "times and counters below 2^53")]
            Self::Integer(value) => Some(*value as f64),
            Self::String(_) | Self::Bool(_) | Self::Strings(_) | Self::Tensor(_) => None,
        }
    }

    /// Returns the value of an `int` or `long`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for FieldValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for FieldValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<String>> for FieldValue {
    fn from(texts: Vec<String>) -> Self {
        Self::Strings(texts)
    }
}

impl From<Tensor> for FieldValue {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

/// The fields of a document by name.
pub type Fields = BTreeMap<FieldName, FieldValue>;

/// One searchable document: a segment of a video, or a memory.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Document {
    /// The document's id, unique within its tenant schema.
    pub id: DocumentId,
    /// The field values by name.
    pub fields: Fields,
}

impl Document {
    /// Creates a document without fields.
    #[must_use]
    pub fn new(id: DocumentId) -> Self {
        Self { id, fields: Fields::new() }
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, field: FieldName, value: impl Into<FieldValue>) -> Self {
        self.fields.insert(field, value.into());
        self
    }

    /// Returns the value of a field by its name.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&FieldValue> {
        self.fields.iter().find(|(name, _)| name.as_str() == field).map(|(_, value)| value)
    }

    /// Returns the text of a `string` field, or an empty string.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.get(field).and_then(FieldValue::as_str).unwrap_or_default()
    }
}

/// A document as a backend answers it: with the tenant schema that it was read from, which the caller verifies
/// ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OwnedDocument {
    /// The tenant schema that the backend read it from.
    pub schema: TenantSchema,
    /// The document.
    pub document: Document,
}

impl OwnedDocument {
    /// Creates the answer; for backends.
    #[must_use]
    pub fn new(schema: TenantSchema, document: Document) -> Self {
        Self { schema, document }
    }
}

impl std::ops::Deref for OwnedDocument {
    type Target = Document;
    fn deref(&self) -> &Document {
        &self.document
    }
}
