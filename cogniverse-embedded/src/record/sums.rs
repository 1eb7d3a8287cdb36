//! Checksums of documents and vectors.
//!
//! A CRC-32 detects every change within 32 adjacent bits, and all but one in four billion others, at memory speed. It
//! does not protect against deliberate changes.

use cogniverse_sdk::{DocumentId, FieldName};
use crc32fast::Hasher;

/// Computes the checksum of a document without its vectors; it covers which vectors exist.
pub(super) fn document(id: &DocumentId, fields: &str, terms: &[u8], tensors: &str) -> u32 {
    of(&[id.as_str().as_bytes(), fields.as_bytes(), terms, tensors.as_bytes()])
}

/// Computes the checksum of one field's vectors; it covers the document id and the field.
pub(super) fn cells(id: &str, field: &FieldName, cells: &[u8]) -> u32 {
    of(&[id.as_bytes(), field.as_str().as_bytes(), cells])
}

fn of(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}
