//! Groups of the matches, as Vespa's JSON renderer writes them.

use super::{Failure, rank::Scored, request::SearchRequest};
use crate::content::{Running, data_type::DataType, sd::Schema, value::Value as FieldValue, yql::Grouping};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Vespa's own limits of groups.
const MAX_GROUPS: usize = 10;
const MAX_TOTAL: usize = 10_000;

/// Refuses groupings by what is no attribute, and of more groups than Vespa allows.
pub(super) fn check(search: &SearchRequest, schema: &Schema) -> Result<(), Failure> {
    let groupings = &search.statement.groupings;
    for grouping in groupings {
        let attribute = schema.field(&grouping.field).is_some_and(|field| field.attribute);
        if !attribute {
            return Err(Failure::illegal(format!(
                "Grouping request references attribute '{}' which is not configured.",
                grouping.field
            )));
        }
    }
    let total: usize = groupings.iter().map(|grouping| grouping.max.unwrap_or(MAX_GROUPS)).sum();
    if total > MAX_TOTAL {
        return Err(Failure::illegal(format!(
            "Cannot return more than {MAX_TOTAL} groups, which is the value of 'grouping.globalMaxGroups'; {total} are asked for."
        )));
    }
    Ok(())
}

/// The root of all groups; none where none is asked for.
pub(super) fn root(running: &Running, search: &SearchRequest, ranked: &[Scored]) -> Option<Value> {
    if search.statement.groupings.is_empty() || ranked.is_empty() {
        return None;
    }
    let lists = search.statement.groupings.iter().map(|grouping| list(running, grouping, ranked));
    Some(json!({
        "id": "group:root:0", "relevance": 1.0, "continuation": {"this": ""}, "children": lists.collect::<Vec<_>>(),
    }))
}

fn list(running: &Running, grouping: &Grouping, ranked: &[Scored]) -> Value {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut kind = "string";
    for scored in ranked {
        let Some(field) =
            running.package.schemas.get(&scored.document_type).and_then(|schema| schema.field(&grouping.field))
        else {
            continue;
        };
        let stored = running.documents.get(&scored.document_type).and_then(|documents| documents.at(&scored.key));
        let value = stored.and_then(|stored| stored.fields.get(&grouping.field));
        kind = kind_of(&field.data_type);
        let names = match value {
            // Each element counts, also where it occurs twice.
            Some(FieldValue::List(items)) => items.iter().map(|item| name(Some(item), &field.data_type)).collect(),
            _ if matches!(field.data_type, DataType::Array(_)) => Vec::new(),
            value => vec![name(value, &field.data_type)],
        };
        names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    }
    let mut groups: Vec<(String, u64)> = counts.into_iter().collect();
    // Equally frequent ones have no order in Vespa either.
    groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    groups.truncate(grouping.max.unwrap_or(MAX_GROUPS));
    let group = |(value, count): (String, u64)| {
        let mut group = Map::new();
        group.insert("id".to_owned(), Value::from(format!("group:{kind}:{value}")));
        group.insert("relevance".to_owned(), Value::from(1.0));
        group.insert("value".to_owned(), Value::from(value));
        group.insert("fields".to_owned(), json!({"count()": count}));
        Value::Object(group)
    };
    let label = grouping.label.as_deref().unwrap_or(&grouping.field);
    json!({
        "id": format!("grouplist:{label}"), "relevance": 1.0, "label": label,
        "children": groups.into_iter().map(group).collect::<Vec<_>>(),
    })
}

fn kind_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Byte | DataType::Int | DataType::Long => "long",
        DataType::Float | DataType::Double => "double",
        DataType::Bool => "bool",
        _ => "string",
    }
}

/// A value as Java writes it. An attribute without a value has the undefined one of its type.
fn name(value: Option<&FieldValue>, data_type: &DataType) -> String {
    match (value, data_type) {
        (Some(FieldValue::Text(text)), _) => text.clone(),
        (Some(FieldValue::Integer(number)), _) => number.to_string(),
        (Some(FieldValue::Real(number)), _) => format!("{number:?}").replace('e', "E"),
        (Some(FieldValue::Bool(value)), _) => value.to_string(),
        (_, DataType::Byte) => i8::MIN.to_string(),
        (_, DataType::Int) => i32::MIN.to_string(),
        (_, DataType::Long) => i64::MIN.to_string(),
        (_, DataType::Float | DataType::Double) => "NaN".to_owned(),
        (_, DataType::Bool) => "false".to_owned(),
        _ => String::new(),
    }
}
