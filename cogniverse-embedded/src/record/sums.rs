//! Checksums of documents and vectors.
//!
//! A CRC-32 detects every change within 32 adjacent bits, and all but one in four billion others, at memory speed. It
//! does not protect against deliberate changes.

use crate::index::StoredAs;
use cogniverse_sdk::FieldName;
use crc32fast::Hasher;

/// Computes the checksum of a document without its vectors; it covers which vectors exist.
pub(super) fn document(id: &str, fields: &str, tensors: &str) -> u32 {
    of(&[id.as_bytes(), fields.as_bytes(), tensors.as_bytes()])
}

/// Computes the checksum that [`document`] had while terms were stored with the document.
pub(super) fn document_with_terms(id: &str, fields: &str, terms: &[u8], tensors: &str) -> u32 {
    of(&[id.as_bytes(), fields.as_bytes(), terms, tensors.as_bytes()])
}

/// Computes the checksum of one field's vectors; it covers the document id and the field.
pub(super) fn cells(id: &[u8], field: &FieldName, cells: &[u8]) -> u32 {
    of(&[id, field.as_str().as_bytes(), cells])
}

/// Computes the checksum of a block's number and range of rows, and of which of its documents are alive.
pub(super) fn block(StoredAs { number, first, last }: StoredAs, live: &[u8]) -> u32 {
    of(&[&number.to_le_bytes(), &first.to_le_bytes(), &last.to_le_bytes(), live])
}

fn of(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}
