//! The fields of a document that are returned.

use crate::content::{Running, document_id::DocumentId, store::Stored, tensor::Form};
use serde_json::{Map, Value};

/// A field set.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FieldSet {
    All,
    None,
    /// Of one type.
    Named(String, Vec<String>),
}

impl FieldSet {
    /// Reads `fieldSet`; the default is the document's own fields.
    pub(super) fn parse(text: Option<&str>, running: &Running) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::All) };
        match text {
            "[document]" | "[all]" => return Ok(Self::All),
            "[id]" | "[none]" | "[docid]" => return Ok(Self::None),
            _ => {}
        }
        let (document_type, names) = text.split_once(':').ok_or(
            "The field set list must consist of a document type, then a colon (:), then a comma-separated list of field names",
        )?;
        let schema = running.package.document_type(document_type);
        let schema = schema.ok_or_else(|| format!("Unknown document type {document_type}"))?;
        if names == "[document]" {
            return Ok(Self::All);
        }
        let mut fields = Vec::new();
        for name in names.split(',') {
            match schema.field_sets.get(name) {
                Some(set) => fields.extend(set.clone()),
                None if schema.field(name).is_some() => fields.push(name.to_owned()),
                None => return Err(format!("No such field {name}")),
            }
        }
        Ok(Self::Named(document_type.to_owned(), fields))
    }

    fn shows(&self, id: &DocumentId, field: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Named(document_type, fields) => {
                *document_type == id.document_type && fields.iter().any(|name| name == field)
            }
        }
    }
}

/// The shown fields as JSON.
pub(super) fn fields(running: &Running, stored: &Stored, set: &FieldSet, form: Form) -> Map<String, Value> {
    let Some(schema) = running.package.document_type(&stored.id.document_type) else { return Map::new() };
    let shown = stored.fields.iter().filter(|(name, _)| set.shows(&stored.id, name));
    let written = shown
        .filter_map(|(name, value)| Some((name.clone(), value.write(&schema.document_field(name)?.data_type, form))));
    written.collect()
}
