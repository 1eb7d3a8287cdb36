//! Documents on the wire, read straight into their fields by the schema: no tree of JSON values is built.

use crate::{document_path::FullId, json_key::Key, tensor_json};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{
    Document, DocumentId, FieldName, FieldValue,
    document::Fields,
    document_store::DocumentUpdate,
    schema::{Field, FieldType},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{fmt, io::Write};

/// `{"fields":{…}}` of a checked document.
pub(crate) fn put_body(schema: &Schema, fields: &Fields) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"fields\":{");
    for (place, (name, value)) in fields.iter().enumerate() {
        write_name(&mut out, place, name);
        write_value(&mut out, schema, name, value);
    }
    out.extend_from_slice(b"}}");
    out
}

/// `{"fields":{"f":{"assign":…}}}` of a checked update.
pub(crate) fn update_body(schema: &Schema, update: &DocumentUpdate) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"fields\":{");
    let cleared = update.clear.iter().filter(|name| !update.assign.contains_key(*name));
    let changes = update.assign.iter().map(|(name, value)| (name, Some(value))).chain(cleared.map(|name| (name, None)));
    for (place, (name, value)) in changes.enumerate() {
        write_name(&mut out, place, name);
        out.extend_from_slice(b"{\"assign\":");
        match value {
            Some(value) => write_value(&mut out, schema, name, value),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
    out
}

fn write_name(out: &mut Vec<u8>, place: usize, name: &FieldName) {
    out.extend_from_slice(if place == 0 { b"\"" } else { b",\"" });
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_value(out: &mut Vec<u8>, schema: &Schema, name: &FieldName, value: &FieldValue) {
    match value {
        FieldValue::String(text) => write_text(out, text),
        FieldValue::Integer(number) => write(out, format_args!("{number}")),
        // The shortest text that reads back as the same number; checked as finite before.
        FieldValue::Float(number) => write(out, format_args!("{number:?}")),
        FieldValue::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        FieldValue::Strings(texts) => {
            out.push(b'[');
            for (place, text) in texts.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_text(out, text);
            }
            out.push(b']');
        }
        FieldValue::Tensor(tensor) => match schema.field(name.as_str()).map(|field| &field.field_type) {
            Some(FieldType::Tensor(tensor_type)) => tensor_json::write(out, tensor, tensor_type),
            _ => out.extend_from_slice(b"null"),
        },
    }
}

/// Appends what is formatted.
pub(crate) fn write(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}

/// Appends a text as a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Finds fields by name, fast where they are asked for in the schema's order, as Vespa gives them.
struct InOrder<'s> {
    fields: &'s [Field],
    next: usize,
}

impl<'s> InOrder<'s> {
    fn new(fields: &'s [Field]) -> Self {
        Self { fields, next: 0 }
    }

    fn find(&mut self, name: &str) -> Option<&'s Field> {
        let (before, after) = self.fields.split_at_checked(self.next)?;
        let named = |field: &&Field| field.name.as_str() == name;
        let place = after.iter().position(|field| named(&field)).map(|place| self.next + place);
        let place = place.or_else(|| before.iter().position(|field| named(&field)))?;
        self.next = place + 1;
        self.fields.get(place)
    }
}

/// A document as Vespa gives it: its full id, and the fields that the schema knows.
#[derive(Debug, Default)]
pub(crate) struct WireDocument {
    pub(crate) id: Option<String>,
    pub(crate) fields: Option<Fields>,
    /// `sddocname` and `documentid`, where they are among the fields.
    pub(crate) schema: Option<String>,
    pub(crate) document_id: Option<String>,
    /// The first phase's score, from the match features.
    pub(crate) first_phase: Option<f64>,
}

impl WireDocument {
    /// The document, where its id is one of this namespace and schema.
    pub(crate) fn into_document(self, namespace: &str, schema: &str) -> Option<Document> {
        let full = self.document_id.or(self.id)?;
        let id = FullId::parse(&full)?;
        if id.namespace != namespace || id.schema != schema {
            return None;
        }
        Some(Document { id: DocumentId::parse(id.user).ok()?, fields: self.fields.unwrap_or_default() })
    }
}

/// Reads the object `fields`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldsSeed<'s>(pub(crate) &'s Schema);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = WireDocument;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<WireDocument, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = WireDocument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireDocument, A::Error> {
        let mut document = WireDocument::default();
        let mut fields = Fields::new();
        let mut known = InOrder::new(self.0.fields());
        while let Some(Key(name)) = map.next_key()? {
            match (known.find(&name), &*name) {
                (Some(field), _) => {
                    if let Some(value) = map.next_value_seed(ValueSeed(field))? {
                        fields.insert(field.name.clone(), value);
                    }
                }
                (None, "documentid") => document.document_id = Some(map.next_value()?),
                (None, "sddocname") => document.schema = Some(map.next_value()?),
                (None, "matchfeatures") => document.first_phase = map.next_value::<MatchFeatures>()?.first_phase,
                (None, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        document.fields = Some(fields);
        Ok(document)
    }
}

#[derive(serde::Deserialize)]
struct MatchFeatures {
    #[serde(rename = "firstPhase", default)]
    first_phase: Option<f64>,
}

/// Reads one field's value; `null` is no value.
struct ValueSeed<'f>(&'f Field);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Option<FieldValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        use serde::Deserialize;
        Ok(match &self.0.field_type {
            FieldType::String => Option::<String>::deserialize(deserializer)?.map(FieldValue::String),
            FieldType::Int | FieldType::Long => Option::<i64>::deserialize(deserializer)?.map(FieldValue::Integer),
            FieldType::Float | FieldType::Double => Option::<f64>::deserialize(deserializer)?.map(FieldValue::Float),
            FieldType::Bool => Option::<bool>::deserialize(deserializer)?.map(FieldValue::Bool),
            FieldType::StringArray => Option::<Vec<String>>::deserialize(deserializer)?.map(FieldValue::Strings),
            FieldType::Tensor(tensor_type) => {
                Some(FieldValue::Tensor(tensor_json::TensorSeed(tensor_type).deserialize(deserializer)?))
            }
        })
    }
}

/// Reads one document: `{"id": …, "fields": {…}}`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DocumentSeed<'s>(pub(crate) &'s Schema);

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_> {
    type Value = WireDocument;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<WireDocument, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_> {
    type Value = WireDocument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireDocument, A::Error> {
        let (mut id, mut document) = (None, WireDocument::default());
        while let Some(Key(name)) = map.next_key()? {
            match &*name {
                "id" => id = Some(map.next_value()?),
                "fields" => document = map.next_value_seed(FieldsSeed(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        document.id = id;
        Ok(document)
    }
}

/// One page of a visit.
#[derive(Debug, Default)]
pub(crate) struct WireVisit {
    pub(crate) documents: Vec<WireDocument>,
    pub(crate) continuation: Option<String>,
    pub(crate) message: Option<String>,
}

/// Reads a page of a visit.
pub(crate) struct VisitSeed<'s>(pub(crate) &'s Schema);

impl<'de> DeserializeSeed<'de> for VisitSeed<'_> {
    type Value = WireVisit;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<WireVisit, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for VisitSeed<'_> {
    type Value = WireVisit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of documents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireVisit, A::Error> {
        let (mut visit, mut whole) = (WireVisit::default(), false);
        while let Some(Key(name)) = map.next_key()? {
            match &*name {
                "documents" => {
                    visit.documents = map.next_value_seed(List(DocumentSeed(self.0)))?;
                    whole = true;
                }
                "continuation" => visit.continuation = Some(map.next_value()?),
                "message" => visit.message = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !whole && visit.message.is_none() {
            return Err(A::Error::missing_field("documents"));
        }
        Ok(visit)
    }
}

/// Reads a list, each element by the same seed.
pub(crate) struct List<S>(pub(crate) S);

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for List<S> {
    type Value = Vec<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for List<S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.0)? {
            values.push(value);
        }
        Ok(values)
    }
}
