//! Many documents: visits, removals and updates by selection.

use super::{
    Done, Refusal,
    path::{Path, Route},
    read::{self, FieldSet},
    update,
    visit_request::{VisitRequest, token},
    write::Body,
};
use crate::{
    content::{ContentFaults, Running, document_id::BUCKETS, selection::SelectionError, store::Stored, tensor::Form},
    message::{Reply, Request},
};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

pub(super) fn handle(
    running: &mut Running,
    request: &Request,
    faults: &ContentFaults,
    route: &Route,
    path: &Path,
) -> Result<Done, Refusal> {
    let visit = VisitRequest::read(running, request, route, path)?;
    if request.method != Method::GET {
        return change(running, request, &visit);
    }
    let set = check(running, &visit).and_then(|()| FieldSet::parse(request.parameter("fieldSet"), running));
    let set = match set {
        Ok(set) => set,
        Err(message) => return Err(failed(&visit, message)),
    };
    let form = Form::named(request.parameter("format.tensors"));
    let (mut documents, mut lines, mut bucket) = (Vec::new(), String::new(), visit.from);
    while bucket < visit.end && documents.len() < visit.wanted {
        let before = documents.len();
        for stored in selected(running, &visit, bucket) {
            let fields = read::fields(running, stored, &set, form);
            let id = stored.id.to_string();
            for _ in 0..=usize::from(faults.repeat_visited) {
                if visit.lines {
                    lines.push_str(&format!("{}\n", json!({"put": id, "fields": fields})));
                }
                documents.push(json!({"id": id, "fields": fields}));
            }
        }
        bucket += 1;
        if visit.lines && documents.len() > before {
            lines.push_str(&format!("{}\n", json!({"continuation": progress(bucket, visit.end)})));
        }
    }
    if visit.lines {
        lines.push_str(&format!("{}\n", json!({"sessionStats": {"documentCount": documents.len()}})));
        lines.push_str(&format!("{}\n", json!({"continuation": progress(bucket, visit.end)})));
        return Ok(Done::Reply(Reply::bytes(StatusCode::OK, "application/jsonl; charset=UTF-8", lines)));
    }
    let count = documents.len();
    let mut members = Map::from_iter([("documents".to_owned(), Value::from(documents))]);
    members.insert("documentCount".to_owned(), Value::from(count));
    if bucket < visit.end {
        members.insert("continuation".to_owned(), Value::from(token(bucket)));
    }
    Ok(Done::Json(members))
}

/// The position of a streamed visit.
fn progress(bucket: usize, end: usize) -> Value {
    if bucket >= end {
        return json!({"percentFinished": 100.0});
    }
    json!({"token": token(bucket), "percentFinished": 100.0 * bucket as f64 / BUCKETS as f64})
}

/// A visit that fails after it began: as a stream it has said 200 by then.
fn failed(visit: &VisitRequest, message: String) -> Refusal {
    let status = if visit.stream { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Refusal::new(status, message).with("documents", Vec::<Value>::new()).with("documentCount", 0)
}

fn check(running: &Running, visit: &VisitRequest) -> Result<(), String> {
    for name in &visit.types {
        let Some(schema) = running.package.document_type(name) else { continue };
        let has = |field: &str| schema.document_field(field).is_some();
        visit.selection.check(name, &has).map_err(|error: SelectionError| error.message())?;
    }
    Ok(())
}

fn selected<'r>(running: &'r Running, visit: &'r VisitRequest, bucket: usize) -> impl Iterator<Item = &'r Stored> {
    let (slices, slice) = visit.slice;
    let types = visit.types.iter().filter(move |_| bucket % slices == slice);
    let documents =
        types.filter_map(|name| running.documents.get(name)).flat_map(move |documents| documents.bucket(bucket));
    documents.filter(|stored| visit.selection.selects(stored) && visit.within.iter().all(|part| part.selects(stored)))
}

/// Removes, updates or copies what is selected.
fn change(running: &mut Running, request: &Request, visit: &VisitRequest) -> Result<Done, Refusal> {
    let changes = if request.method == Method::PUT {
        let body = Body::read(&request.body)?;
        let schema = visit.types.first().and_then(|name| running.package.document_type(name)).cloned();
        let schema = schema.ok_or_else(|| Refusal::bad("There is no document type to update"))?;
        update::read(&body.fields, &schema)?;
        Some((body, schema))
    } else {
        None
    };
    check(running, visit)
        .map_err(|message| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message).with("documentCount", 0))?;
    let end = visit.from.saturating_add(visit.chunk).min(visit.end);
    let mut count = 0;
    for bucket in visit.from..end {
        let found: Vec<Stored> = selected(running, visit, bucket).cloned().collect();
        count += found.len();
        for stored in found {
            let documents = running.documents.entry(stored.id.document_type.clone()).or_default();
            match &changes {
                Some((body, schema)) => {
                    let mut fields = stored.fields;
                    update::read(&body.fields, schema)?.into_iter().for_each(|change| change.apply(&mut fields));
                    documents.put(stored.id, fields);
                }
                None if request.method == Method::DELETE => documents.remove(&stored.id),
                None => {}
            }
        }
    }
    let mut members = Map::from_iter([("documentCount".to_owned(), Value::from(count))]);
    if end < visit.end {
        members.insert("continuation".to_owned(), Value::from(token(end)));
    }
    Ok(Done::Json(members))
}
