//! Counts by fields, as Vespa's grouping.
//!
//! | of Vespa's groups | here |
//! |---|---|
//! | documents without a value are in a group of the type's undefined value | left out |
//! | a node returns its most frequent groups | enough of them that counts are exact up to [`PRECISION`] values of a field |
//! | equally frequent groups have no order | some more than wanted are asked for, and ordered by value |
//! | an array's element counts each time that it occurs in a document | as it is |

use crate::response::{Group, GroupList};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{Error, FacetCount, FacetRequest, FieldValue, Result, schema::FieldType};
use std::{cmp::Ordering, fmt::Write};

/// The number of groups that a content node returns.
const PRECISION: usize = 10_000;
/// The groups beyond those wanted: one of documents without a value, and some that are as frequent as the last.
const MORE: usize = 100;

/// The grouping of a statement; nothing where no counts are wanted.
pub(crate) fn grouping(schema: &Schema, requests: &[FacetRequest]) -> String {
    let mut out = String::new();
    if requests.is_empty() {
        return out;
    }
    out.push_str(" | all(");
    for (number, FacetRequest { field, limit }) in requests.iter().enumerate() {
        // The names of the schema's fields are words of YQL.
        debug_assert!(schema.field(field.as_str()).is_some(), "the query was checked");
        let max = limit + MORE;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "all(group({field}) max({max}) precision({PRECISION}) order(-count()) each(output(count())) as({}))",
            label(number)
        );
    }
    out.push(')');
    out
}

fn label(number: usize) -> String {
    format!("facet{number}")
}

/// Returns the listed values of a request, given by its number, from the groups of an answer.
pub(crate) fn listed(
    schema: &Schema,
    (number, request): (usize, &FacetRequest),
    groups: &[GroupList],
) -> Result<Vec<FacetCount>> {
    let label = label(number);
    let of_type = schema.field(request.field.as_str()).map_or(&FieldType::String, |field| &field.field_type);
    let groups = groups.iter().filter(|list| list.label == label).flat_map(|list| &list.groups);
    let mut listed = Vec::new();
    for Group { value, fields } in groups {
        let read = value_of(value, of_type).ok_or_else(|| {
            Error::unexpected(format!("Vespa grouped \"{}\", a {of_type}, by what is none", request.field))
                .with_withheld(value.clone())
        })?;
        if !is_undefined(&read, of_type) {
            listed.push(FacetCount::new(read, fields.count));
        }
    }
    listed.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| compare(&a.value, &b.value)));
    listed.truncate(request.limit);
    Ok(listed)
}

fn value_of(text: &str, of_type: &FieldType) -> Option<FieldValue> {
    Some(match of_type {
        FieldType::Int | FieldType::Long => FieldValue::Integer(text.parse().ok()?),
        FieldType::Float | FieldType::Double => FieldValue::Float(text.parse().ok()?),
        FieldType::Bool => FieldValue::Bool(text.parse().ok()?),
        FieldType::String | FieldType::StringArray | FieldType::Tensor(_) => FieldValue::String(text.to_owned()),
    })
}

/// Returns whether the value stands for none: an attribute always has one.
fn is_undefined(value: &FieldValue, of_type: &FieldType) -> bool {
    match value {
        FieldValue::String(text) => text.is_empty(),
        FieldValue::Integer(number) if *of_type == FieldType::Int => *number == i64::from(i32::MIN),
        FieldValue::Integer(number) => *number == i64::MIN,
        FieldValue::Float(number) => number.is_nan(),
        FieldValue::Bool(_) | FieldValue::Strings(_) | FieldValue::Tensor(_) => false,
    }
}

fn compare(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::String(a), FieldValue::String(b)) => a.cmp(b),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
        (FieldValue::Float(a), FieldValue::Float(b)) => a.total_cmp(b),
        (FieldValue::Bool(a), FieldValue::Bool(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
