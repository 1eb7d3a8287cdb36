//! The files that hold the vectors of a tenant schema, each vector once.
//!
//! Vectors are appended to files of up to 64 MiB, `vectors.1`, `vectors.2` and so on. A document names file, offset, length
//! and checksum of its vectors in SQLite, and the transaction that stores the document makes them part of the store: what
//! stands behind the recorded length of a file is left of a write that was never committed, and is overwritten. What was
//! committed is never written again, so that searches read it through mappings, on any core and without a lock.
//!
//! A file of which more than half belongs to no document any more is emptied by moving the rest, and then removed.

mod appender;
mod file;
mod set;

pub(crate) use appender::{Appender, FileChange, Tail, complete_file};
pub(crate) use set::VectorFiles;

use std::path::{Path, PathBuf};

/// The size from which another file is begun.
const FILE_BYTES: u64 = 64 << 20;
/// The alignment of vectors in a file, so that they are read in place.
const ALIGN: u64 = 64;
/// The number of bytes before the first vector: what the file is, and whose.
const HEADER: u64 = 64;
const MAGIC: &[u8] = b"cogniverse vectors 1\n";

/// Returns the path of a file of vectors.
pub(crate) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("vectors.{number}"))
}

/// Returns the first bytes of each file of a store.
fn header(store: &str) -> Vec<u8> {
    let mut header = [MAGIC, store.as_bytes()].concat();
    header.resize(HEADER as usize, 0);
    header
}

#[cfg(test)]
mod tests;
