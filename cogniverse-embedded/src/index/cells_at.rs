//! The location of stored vectors.

/// Where the vectors of one field of a document lie in the files of vectors, and their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellsAt {
    /// The number of the file.
    pub(crate) file: u32,
    /// The offset in the file, in bytes.
    pub(crate) offset: u64,
    /// The length, in bytes.
    pub(crate) bytes: u32,
    /// The checksum over the document id, the field and the bytes.
    pub(crate) sum: u32,
}
