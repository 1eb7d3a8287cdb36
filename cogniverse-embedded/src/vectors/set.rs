//! The files of a store at one moment.

use super::{file::VectorFile, path};
use crate::{error, index::CellsAt};
use cogniverse_sdk::Result;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The mapped files of a store as of one write. Cheap to clone; a search keeps those that it began with, removed ones
/// included.
#[derive(Debug, Clone, Default)]
pub(crate) struct VectorFiles {
    files: BTreeMap<u32, Arc<VectorFile>>,
}

impl VectorFiles {
    /// Maps files of a store in a folder, each with its committed length, and keeps those mappings of `self` that are as
    /// long. Only the given files are in the result.
    pub(crate) fn at(&self, folder: &Path, store: &str, files: &[(u32, u64)]) -> Result<Self> {
        let map = |(number, len): &(u32, u64)| {
            let known = self.files.get(number);
            if let Some(known) = known.filter(|known| known.len() == *len) {
                return Ok((*number, Arc::clone(known)));
            }
            let path = path(folder, *number);
            let file = VectorFile::open(&path, *len, store, known.map(Arc::as_ref));
            let lost = |e: std::io::Error| match e.kind() {
                std::io::ErrorKind::NotFound => error::corrupt(&path, "it is missing"),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData => error::corrupt(&path, e),
                _ => error::io(&path, e),
            };
            Ok((*number, Arc::new(file.map_err(lost)?)))
        };
        Ok(Self { files: files.iter().map(map).collect::<Result<_>>()? })
    }

    /// Returns stored bytes; `None` where they are not those that the checksum was made of, or not there.
    pub(crate) fn cells(&self, at: CellsAt, sum: impl FnOnce(&[u8]) -> u32) -> Option<&[u8]> {
        self.files.get(&at.file)?.cells(at, sum)
    }

    /// Behaves as [`VectorFiles::cells`], for what may have been damaged since it was first read.
    pub(crate) fn verify(&self, at: CellsAt, sum: impl FnOnce(&[u8]) -> u32) -> Option<&[u8]> {
        self.files.get(&at.file)?.verify(at, sum)
    }
}
