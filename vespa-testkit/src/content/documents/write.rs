//! One document: put, update, remove and get.

use super::{
    Done, Refusal, check_cluster,
    read::{self, FieldSet},
    update,
};
use crate::{
    content::{
        Running,
        document_id::DocumentId,
        sd::Schema,
        selection,
        store::Documents,
        tensor::{Form, TensorError},
        value::{Fields, Value},
    },
    message::Request,
};
use http::{Method, StatusCode};
use serde_json::{Map, Value as Json};

pub(super) fn handle(running: &mut Running, request: &Request, id: &DocumentId) -> Result<Done, Refusal> {
    if request.method == Method::GET {
        return get(running, request, id);
    }
    let schema = running.package.document_type(&id.document_type).cloned();
    let schema = schema.ok_or_else(|| unknown_type(&id.document_type))?;
    let dry = request.flag("dryRun");
    if request.method == Method::DELETE {
        let condition = Condition { selection: request.parameter("condition").map(str::to_owned), create: false };
        let documents = running.documents.entry(id.document_type.clone()).or_default();
        if !dry && condition.holds(id, documents, &schema)? {
            documents.remove(id);
        }
        return Ok(named(id));
    }
    let body = Body::read(&request.body)?;
    let condition = Condition {
        selection: request.parameter("condition").map(str::to_owned).or(body.condition),
        create: request.flag("create") || body.create,
    };
    let documents = running.documents.entry(id.document_type.clone()).or_default();
    if request.method == Method::POST {
        let fields = put_fields(&body.fields, &schema, id)?;
        if !dry && condition.holds(id, documents, &schema)? {
            documents.put(id.clone(), fields);
        }
    } else {
        let changes = update::read(&body.fields, &schema)?;
        if dry || !condition.holds(id, documents, &schema)? {
            return Ok(named(id));
        }
        let stored = documents.get(id).map(|stored| stored.fields.clone());
        if stored.is_some() || condition.create {
            let mut fields = stored.unwrap_or_default();
            changes.into_iter().for_each(|change| change.apply(&mut fields));
            documents.put(id.clone(), fields);
        }
    }
    Ok(named(id))
}

fn unknown_type(name: &str) -> Refusal {
    Refusal::bad(format!("Document type {name} does not exist"))
}

fn named(id: &DocumentId) -> Done {
    Done::Json(Map::from_iter([("id".to_owned(), Json::from(id.to_string()))]))
}

fn get(running: &Running, request: &Request, id: &DocumentId) -> Result<Done, Refusal> {
    check_cluster(running, request)?;
    if running.package.document_type(&id.document_type).is_none() {
        return Err(unknown_type(&id.document_type));
    }
    let stored = running.documents.get(&id.document_type).and_then(|documents| documents.get(id));
    let Some(stored) = stored else {
        return Err(
            Refusal { status: StatusCode::NOT_FOUND, members: Map::new(), message: None }.with("id", id.to_string())
        );
    };
    let wrong = |message: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message).with("id", id.to_string());
    let set = FieldSet::parse(request.parameter("fieldSet"), running).map_err(wrong)?;
    let fields = read::fields(running, stored, &set, Form::named(request.parameter("format.tensors")));
    Ok(Done::Json(Map::from_iter([
        ("id".to_owned(), Json::from(id.to_string())),
        ("fields".to_owned(), Json::Object(fields)),
    ])))
}

/// The body of a put or an update. An id in it says nothing.
pub(super) struct Body {
    pub(super) fields: Map<String, Json>,
    condition: Option<String>,
    create: bool,
}

impl Body {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::bad("expected start of root object, got null"));
        }
        let json = serde_json::from_slice(bytes).map_err(|e| Refusal::bad(format!("failed parsing document: {e}")))?;
        let Json::Object(mut members) = json else {
            return Err(Refusal::bad(format!("expected start of root object, got {}", update::token(&json))));
        };
        let fields = match members.remove("fields") {
            Some(Json::Object(fields)) => fields,
            Some(other) => {
                return Err(Refusal::bad(format!("expected start of JSON object, but got {}", update::token(&other))));
            }
            None => return Err(Refusal::bad("document is missing the required \"fields\" field")),
        };
        let condition = members.get("condition").and_then(Json::as_str).map(str::to_owned);
        let create = members.get("create").and_then(Json::as_bool).unwrap_or(false);
        Ok(Self { fields, condition, create })
    }
}

fn put_fields(json: &Map<String, Json>, schema: &Schema, id: &DocumentId) -> Result<Fields, Refusal> {
    let mut fields = Fields::new();
    for (name, json) in json {
        let field = schema.document_field(name);
        let field = field
            .ok_or_else(|| Refusal::bad(format!("Field '{name}' is not defined in document type '{}'", schema.name)))?;
        let value = Value::read(json, &field.data_type).map_err(|error| match error {
            TensorError::Wrong(why) => Refusal::bad(format!(
                "In document '{id}': Could not parse field '{name}' of type {}: {why}",
                field.data_type
            )),
            TensorError::Broken(why) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why),
        })?;
        if let Some(value) = value {
            fields.insert(name.clone(), value);
        }
    }
    Ok(fields)
}

/// What must hold before a write.
struct Condition {
    selection: Option<String>,
    create: bool,
}

impl Condition {
    /// Whether to go on; a condition that does not hold is a refusal.
    fn holds(&self, id: &DocumentId, documents: &Documents, schema: &Schema) -> Result<bool, Refusal> {
        let Some(text) = &self.selection else { return Ok(true) };
        let failed =
            || Refusal::new(StatusCode::PRECONDITION_FAILED, "condition did not match").with("id", id.to_string());
        let Some(stored) = documents.get(id) else {
            return if self.create { Ok(true) } else { Err(failed()) };
        };
        let selection = selection::parse(text).map_err(|error| Refusal::bad(error.message()))?;
        let has = |name: &str| schema.document_field(name).is_some();
        selection.check(&schema.name, &has).map_err(|error| Refusal::bad(error.message()))?;
        if selection.selects(stored) { Ok(true) } else { Err(failed()) }
    }
}
