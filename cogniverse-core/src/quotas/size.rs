//! The size of a document as quotas count it.

use cogniverse_sdk::{Document, FieldName, FieldValue, Tensor, document::Fields};

/// Returns the bytes of a document: its id, texts, eight bytes a number, and two a float of a vector, as both backends
/// store bfloat16. Packed bits are derived from floats and count where there are none.
pub(super) fn of_document(document: &Document) -> u64 {
    document.id.as_str().len() as u64 + of_fields(&document.fields)
}

/// Returns the bytes of an id with the fields that an update leaves.
pub(super) fn after_update(old: &Document, assign: &Fields, clear: &[FieldName]) -> u64 {
    let mut fields = old.fields.clone();
    fields.retain(|name, _| !clear.contains(name));
    fields.extend(assign.iter().map(|(name, value)| (name.clone(), value.clone())));
    old.id.as_str().len() as u64 + of_fields(&fields)
}

fn of_fields(fields: &Fields) -> u64 {
    let has_floats =
        fields.values().any(|value| matches!(value, FieldValue::Tensor(Tensor::Vector(_) | Tensor::Vectors(_))));
    fields.values().map(|value| of_value(value, has_floats)).sum()
}

fn of_value(value: &FieldValue, has_floats: bool) -> u64 {
    let bytes = match value {
        FieldValue::String(text) => text.len(),
        FieldValue::Integer(_) | FieldValue::Float(_) => 8,
        FieldValue::Bool(_) => 1,
        FieldValue::Strings(texts) => texts.iter().map(String::len).sum(),
        FieldValue::Tensor(Tensor::Vector(cells)) => cells.len() * 2,
        FieldValue::Tensor(Tensor::Vectors(rows)) => rows.cells().len() * 2,
        FieldValue::Tensor(_) if has_floats => 0,
        FieldValue::Tensor(Tensor::Bits(bytes)) => bytes.len(),
        FieldValue::Tensor(Tensor::BitRows(rows)) => rows.cells().len(),
    };
    bytes as u64
}
