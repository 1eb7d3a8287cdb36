//! One mapped file of vectors.

use super::{ALIGN, HEADER, header};
use crate::{index::CellsAt, mapped::Mapped};
use std::{
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// The committed part of a file, and which of its vectors were found undamaged.
#[derive(Debug)]
pub(crate) struct VectorFile {
    mapped: Mapped,
    /// A bit for each place at which vectors may begin.
    verified: Box<[AtomicU64]>,
}

impl VectorFile {
    /// Maps the committed bytes of a store's file. Vectors that `before`, the same file when it was shorter, knows as
    /// undamaged are not verified again.
    pub(super) fn open(path: &Path, len: u64, store: &str, before: Option<&Self>) -> io::Result<Self> {
        let mapped = Mapped::open(path, len.max(HEADER))?;
        if !mapped.bytes().starts_with(&header(store)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not this store's"));
        }
        let words = usize::try_from(len.div_ceil(ALIGN * 64)).map_err(io::Error::other)?;
        let known = |word: usize| before.and_then(|before| before.verified.get(word));
        let verified =
            (0..words).map(|word| AtomicU64::new(known(word).map_or(0, |known| known.load(Ordering::Relaxed))));
        Ok(Self { mapped, verified: verified.collect() })
    }

    pub(super) fn len(&self) -> u64 {
        self.mapped.bytes().len() as u64
    }

    /// Returns the bytes; `None` where they are not those that the checksum was made of. That is computed once.
    pub(super) fn cells(&self, at: CellsAt, sum: impl FnOnce(&[u8]) -> u32) -> Option<&[u8]> {
        let place = at.offset / ALIGN;
        let (word, bit) = (self.verified.get(usize::try_from(place / 64).ok()?)?, 1 << (place % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            let cells = self.verify(at, sum)?;
            word.fetch_or(bit, Ordering::Relaxed);
            return Some(cells);
        }
        self.bytes(at)
    }

    /// Returns the bytes; `None` where they are not now those that the checksum was made of.
    pub(super) fn verify(&self, at: CellsAt, sum: impl FnOnce(&[u8]) -> u32) -> Option<&[u8]> {
        self.bytes(at).filter(|cells| sum(cells) == at.sum)
    }

    fn bytes(&self, at: CellsAt) -> Option<&[u8]> {
        // Nothing was ever written anywhere else, and no two share a bit.
        let start = usize::try_from(at.offset).ok().filter(|start| start.is_multiple_of(ALIGN as usize))?;
        self.mapped.bytes().get(start..start.checked_add(at.bytes as usize)?)
    }
}
