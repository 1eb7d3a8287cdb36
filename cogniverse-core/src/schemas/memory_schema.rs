//! The base schema of memories, resized to an embedding model.

use cogniverse_sdk::{BaseSchema, Error, Result, TensorType, schema::FieldType};

/// The name of the schema.
pub(crate) const BASE: &str = "agent_memories";
/// The base of the schema that holds the documents while the main one is recreated.
pub(crate) const STAGE_BASE: &str = "agent_memories_reembed";
/// The field of the vectors.
const VECTORS: &str = "embedding";

fn tensor(base: &BaseSchema) -> Option<&TensorType> {
    base.document.fields.iter().find(|field| field.name.as_str() == VECTORS).and_then(|field| match &field.field_type {
        FieldType::Tensor(tensor) => Some(tensor),
        _ => None,
    })
}

/// Returns the number of cells of its vectors.
pub(crate) fn dims(base: &BaseSchema) -> Option<usize> {
    tensor(base).map(TensorType::size)
}

/// Returns the same schema for vectors of `dims` cells.
///
/// # Errors
/// `InvalidInput` for a schema without the field "embedding", or an invalid size.
pub(crate) fn with_dims(base: &BaseSchema, dims: usize) -> Result<BaseSchema> {
    let Some(known) = tensor(base).map(TensorType::size) else {
        return Err(Error::invalid(format!(
            "the schema \"{}\" has no tensor \"{VECTORS}\"; use the shipped one",
            base.name
        )));
    };
    let mut resized = base.clone();
    for field in &mut resized.document.fields {
        if let (true, FieldType::Tensor(tensor)) = (field.name.as_str() == VECTORS, &mut field.field_type) {
            *tensor = tensor.with_size(dims)?;
        }
    }
    let inputs = resized.rank_profiles.iter_mut().flat_map(|profile| &mut profile.inputs);
    for input in inputs.filter(|input| input.tensor_type.size() == known) {
        input.tensor_type = input.tensor_type.with_size(dims)?;
    }
    Ok(resized)
}
