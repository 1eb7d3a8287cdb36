//! Files mapped into memory for reading.

#![allow(unsafe_code, reason = "a mapping has no safe constructor, and bytes are read as numbers in place")]

use memmap2::{Mmap, MmapOptions};
use std::{fs::File, io, path::Path};

#[cfg(target_endian = "big")]
compile_error!("files are little-endian and read in place: this crate needs a little-endian machine");

/// The first bytes of a file, mapped. The file is closed again: a mapping needs no descriptor.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps `len` bytes, which must be there.
    pub(crate) fn open(path: &Path, len: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let there = file.metadata()?.len();
        let mapped = usize::try_from(len).map_err(io::Error::other)?;
        if there < len || mapped == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it has {there} bytes and {len} were written"),
            ));
        }
        // SAFETY: what is mapped is never written again and never cut off by this process, which holds the lock of the
        // data folder; other programs have no business in it. The length is that of existing bytes.
        let map = unsafe { MmapOptions::new().len(mapped).map(&file)? };
        Ok(Self(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads bytes as little-endian 16-bit numbers in place; `None` where they are not aligned or not whole.
pub(crate) fn halves(bytes: &[u8]) -> Option<&[u16]> {
    // SAFETY: every pattern of bits is a number, and what is not aligned is refused below.
    let (before, numbers, after) = unsafe { bytes.align_to::<u16>() };
    (before.is_empty() && after.is_empty()).then_some(numbers)
}

/// Reads bytes as little-endian single-precision numbers in place; `None` where they are not aligned or not whole.
pub(crate) fn singles(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every pattern of bits is a number, and what is not aligned is refused below.
    let (before, numbers, after) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty() && after.is_empty()).then_some(numbers)
}
