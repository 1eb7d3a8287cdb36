//! Counts of matched documents by the values of a field.

use crate::{FieldName, FieldValue};
use serde::{Deserialize, Serialize};

/// A request to count the matched documents by the value of an attribute field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FacetRequest {
    /// The attribute field to count by: anything but a tensor.
    pub field: FieldName,
    /// The largest number of values to list, from 1 to 1,000.
    pub limit: usize,
}

impl FacetRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(field: FieldName, limit: usize) -> Self {
        Self { field, limit }
    }
}

/// A value of a field, with the number of matched documents that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FacetCount {
    /// The value; of an `array<string>`, one element.
    pub value: FieldValue,
    /// The number of matched documents that have the value.
    pub count: u64,
}

impl FacetCount {
    /// Creates a count; for backends.
    #[must_use]
    pub fn new(value: impl Into<FieldValue>, count: u64) -> Self {
        Self { value: value.into(), count }
    }
}

/// The matched documents of a search by the values of one field.
///
/// Every document that the query and its filter match counts, whatever the page. Of an `array<string>` a document counts once for
/// each distinct element. An empty string counts as no value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facet {
    /// The field.
    pub field: FieldName,
    /// The most frequent values: by descending count, then by ascending value.
    pub values: Vec<FacetCount>,
    /// The number of matched documents that have none of the listed values, those without any included.
    pub others: u64,
}

impl Facet {
    /// Creates a facet; for backends.
    #[must_use]
    pub fn new(field: FieldName, values: Vec<FacetCount>, others: u64) -> Self {
        Self { field, values, others }
    }
}
