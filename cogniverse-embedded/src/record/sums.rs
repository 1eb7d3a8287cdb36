//! Checksums of documents and vectors.
//!
//! A CRC-32 finds every change of up to 32 neighbouring bits, and all but one in four thousand million of the others, at the
//! speed of memory. It is no defence against somebody who changes the file on purpose.

use cogniverse_sdk::{DocumentId, FieldName};
use crc32fast::Hasher;

/// Of a document without its vectors; which vectors it has is part of it.
pub(super) fn document(id: &DocumentId, fields: &str, terms: &[u8], tensors: &str) -> u32 {
    of(&[id.as_str().as_bytes(), fields.as_bytes(), terms, tensors.as_bytes()])
}

/// Of the vectors of one field: of whom and which field they are is part of it.
pub(super) fn cells(id: &DocumentId, field: &FieldName, cells: &[u8]) -> u32 {
    of(&[id.as_str().as_bytes(), field.as_str().as_bytes(), cells])
}

fn of(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}
