//! The answer of a search, as Vespa's JSON renderer writes it.

use super::{
    Failure, groups, order,
    rank::{self, Part, Scored},
    request::SearchRequest,
    target::Targets,
};
use crate::{
    content::{
        ContentFaults, Running, document_id,
        sd::Schema,
        store::{Key, Stored},
    },
    message::Reply,
};
use http::StatusCode;
use serde_json::{Map, Value, json};

pub(super) fn answer(
    running: &Running,
    search: &SearchRequest,
    targets: &Targets,
    parts: &[Part],
    mut ranked: Vec<Scored>,
    faults: &ContentFaults,
) -> Reply {
    if parts.len() > 1 {
        rank::sort(&mut ranked);
    }
    order::order(running, search, &mut ranked);
    let total = ranked.len();
    let mut errors: Vec<Failure> = targets.errors.clone();
    let mut filled = true;
    let mut children: Vec<Value> = groups::root(running, search, &ranked).into_iter().collect();
    for scored in ranked.iter().skip(search.offset).take(search.hits) {
        let Some(stored) = running.documents.get(&scored.document_type).and_then(|documents| documents.at(&scored.key))
        else {
            continue;
        };
        let Some(schema) = running.package.schemas.get(&scored.document_type) else { continue };
        match fields(search, schema, stored, scored) {
            Some(fields) => children.push(hit(running, scored, fields)),
            None => {
                filled = false;
                children.push(hit(running, scored, Map::new()));
            }
        }
    }
    if !filled {
        let class = search.summary.as_deref().unwrap_or_default();
        errors.push(Failure::invalid(format!("Summary '{class}' does not exist")));
    }
    if let (Some(name), Some(schema)) =
        (&faults.foreign_hit, faults.foreign_hit.as_ref().and_then(|name| running.package.schemas.get(name)))
    {
        children.extend(foreign(running, search, name, schema));
    }
    let mut root = Map::new();
    root.insert("id".to_owned(), Value::from("toplevel"));
    root.insert("relevance".to_owned(), Value::from(1.0));
    root.insert("fields".to_owned(), json!({"totalCount": total}));
    if !parts.is_empty() {
        let documents: usize = parts.iter().map(|part| part.documents).sum();
        root.insert("coverage".to_owned(), coverage(documents, targets.sources, faults.degraded));
    }
    let status = errors.first().filter(|_| children.is_empty() || !filled).map_or(StatusCode::OK, Failure::status);
    if !errors.is_empty() {
        root.insert("errors".to_owned(), errors.iter().map(Failure::json).collect());
    }
    if !children.is_empty() {
        root.insert("children".to_owned(), Value::from(children));
    }
    let mut body = json!({"root": root});
    if search.timing
        && let Some(members) = body.as_object_mut()
    {
        members.insert("timing".to_owned(), json!({"querytime": 0.001, "summaryfetchtime": 0.0, "searchtime": 0.001}));
    }
    Reply::json(status, &body)
}

fn coverage(documents: usize, sources: usize, degraded: bool) -> Value {
    if !degraded {
        return json!({
            "coverage": 100, "documents": documents, "full": true, "nodes": 1, "results": sources, "resultsFull": sources,
        });
    }
    json!({
        "coverage": 50, "documents": documents / 2, "full": false, "nodes": 1, "results": sources,
        "resultsFull": sources.saturating_sub(1),
        "degraded": {"match-phase": false, "timeout": true, "adaptive-timeout": false, "non-ideal-state": false},
    })
}

fn hit(running: &Running, scored: &Scored, fields: Map<String, Value>) -> Value {
    let cluster = running.package.cluster_of(&scored.document_type).map_or("", |cluster| cluster.name.as_str());
    let relevance = match serde_json::Number::from_f64(scored.score) {
        Some(number) => Value::Number(number),
        None if scored.score.is_nan() => Value::from("NaN"),
        None => Value::from(if scored.score > 0.0 { "Infinity" } else { "-Infinity" }),
    };
    let mut hit = Map::new();
    hit.insert("id".to_owned(), Value::from(format!("index:{cluster}/0/{}", document_id::hex(scored.key.1))));
    hit.insert("relevance".to_owned(), relevance);
    hit.insert("source".to_owned(), Value::from(cluster));
    if !fields.is_empty() {
        hit.insert("fields".to_owned(), Value::Object(fields));
    }
    Value::Object(hit)
}

/// The fields of the summary that was asked for; none where there is no such summary.
fn fields(search: &SearchRequest, schema: &Schema, stored: &Stored, scored: &Scored) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    fields.insert("sddocname".to_owned(), Value::from(schema.name.as_str()));
    for (name, source) in class(schema, search.summary.as_deref().unwrap_or("default"))? {
        if source == "documentid" {
            fields.insert(name, Value::from(stored.id.to_string()));
        } else if let (Some(field), Some(value)) = (schema.field(&source), stored.fields.get(&source)) {
            fields.insert(name, value.write(&field.data_type, search.form));
        }
    }
    if !scored.features.is_empty() {
        fields.insert("matchfeatures".to_owned(), json!(scored.features));
    }
    if let Some(wanted) = &search.statement.fields {
        fields.retain(|name, _| wanted.iter().any(|field| field == name));
    }
    Some(fields)
}

/// The names and sources of a summary's fields.
fn class(schema: &Schema, name: &str) -> Option<Vec<(String, String)>> {
    let declared = schema.summaries.iter().find(|summary| summary.name == name);
    if declared.is_none() && name != "default" {
        return None;
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    if name == "default" {
        fields.push(("documentid".to_owned(), "documentid".to_owned()));
        let shown = schema.fields.iter().filter(|field| field.summary);
        fields.extend(shown.map(|field| (field.name.clone(), field.name.clone())));
    }
    if let Some(summary) = declared {
        for parent in summary.inherits.iter().filter(|parent| *parent != name) {
            fields.extend(class(schema, parent).unwrap_or_default());
        }
        fields.extend(summary.fields.iter().cloned());
    }
    Some(fields)
}

/// A hit that nobody asked for: a document of another type, made up where it has none.
fn foreign(running: &Running, search: &SearchRequest, name: &str, schema: &Schema) -> Option<Value> {
    let first = running.documents.get(name).and_then(|documents| documents.iter().next());
    let key: Key = first.map_or((0, [0; 12]), |(key, _)| *key);
    let scored =
        Scored { document_type: name.to_owned(), key, score: 1.0, features: std::collections::BTreeMap::new() };
    let fields = match first {
        Some((_, stored)) => fields(search, schema, stored, &scored)?,
        None => Map::from_iter([
            ("sddocname".to_owned(), Value::from(name)),
            ("documentid".to_owned(), Value::from(format!("id:foreign:{name}::foreign"))),
        ]),
    };
    Some(hit(running, &scored, fields))
}
