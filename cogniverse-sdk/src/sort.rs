//! The order of documents by an attribute field.

use crate::FieldName;
use serde::{Deserialize, Serialize};

/// An order of documents by the value of an attribute field: a string, a number or a boolean.
///
/// Strings are compared by the bytes of their UTF-8, numbers by value, and `false` comes before `true`. Documents without the
/// field come last in both directions, as do those whose string is empty; equal ones follow in the backend's stable order, which does
/// not depend on the direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sort {
    /// The attribute field to order by.
    pub field: FieldName,
    /// Whether the greatest value comes first (default `false`).
    #[serde(default)]
    pub descending: bool,
}

impl Sort {
    /// Creates an order in which the least value comes first.
    #[must_use]
    pub fn ascending(field: FieldName) -> Self {
        Self { field, descending: false }
    }

    /// Creates an order in which the greatest value comes first.
    #[must_use]
    pub fn descending(field: FieldName) -> Self {
        Self { field, descending: true }
    }
}
