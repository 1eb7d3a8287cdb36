//! The indexed fields of a schema, in index order.

use cogniverse_core::{
    schemas::Schema,
    text::{Language, language_of},
};
use cogniverse_sdk::{
    CellType, FieldName, TensorShape, TensorType,
    document::Fields,
    schema::{FieldType, Indexing},
};

/// The fields of a schema by their use in the index, computed once per open schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Attribute fields that filters may name.
    pub(crate) attributes: Vec<(FieldName, FieldType)>,
    /// Whether texts are analyzed by their document's language, which is an attribute.
    pub(crate) languages: bool,
    /// The text fields that BM25 scores.
    pub(crate) texts: Vec<FieldName>,
    /// The int8 tensors, which hold packed sign bits.
    pub(crate) bits: Vec<TensorField>,
    /// The float and bfloat16 tensors.
    pub(crate) floats: Vec<TensorField>,
}

/// A tensor field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorField {
    pub(crate) name: FieldName,
    pub(crate) tensor: TensorType,
}

impl TensorField {
    pub(crate) fn is_single(&self) -> bool {
        self.tensor.shape() == TensorShape::Single
    }

    /// Returns the number of bytes in a stored vector.
    pub(crate) fn row_bytes(&self) -> usize {
        self.tensor.size()
            * match self.tensor.cell() {
                CellType::Float => 4,
                CellType::BFloat16 => 2,
                CellType::Int8 => 1,
            }
    }
}

impl Layout {
    pub(crate) fn of(schema: &Schema) -> Self {
        let languages = schema.has_languages();
        let mut layout =
            Self { attributes: Vec::new(), languages, texts: Vec::new(), bits: Vec::new(), floats: Vec::new() };
        for field in schema.fields() {
            match &field.field_type {
                FieldType::Tensor(tensor) => {
                    let tensor_field = TensorField { name: field.name.clone(), tensor: tensor.clone() };
                    if tensor.cell() == CellType::Int8 {
                        layout.bits.push(tensor_field);
                    } else {
                        layout.floats.push(tensor_field);
                    }
                }
                _ if field.has(Indexing::Attribute) => {
                    layout.attributes.push((field.name.clone(), field.field_type.clone()));
                }
                _ => {}
            }
            if field.is_bm25() {
                layout.texts.push(field.name.clone());
            }
        }
        layout
    }

    /// Returns the language by which a document's texts are analyzed.
    pub(crate) fn language_of(&self, fields: &Fields) -> Option<Language> {
        language_of(fields).filter(|_| self.languages)
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &TensorField> {
        self.bits.iter().chain(&self.floats)
    }

    pub(crate) fn text(&self, field: &FieldName) -> Option<usize> {
        self.texts.iter().position(|name| name == field)
    }

    pub(crate) fn bit_field(&self, field: &FieldName) -> Option<usize> {
        self.bits.iter().position(|tensor| tensor.name == *field)
    }

    pub(crate) fn float_field(&self, field: &FieldName) -> Option<usize> {
        self.floats.iter().position(|tensor| tensor.name == *field)
    }
}
