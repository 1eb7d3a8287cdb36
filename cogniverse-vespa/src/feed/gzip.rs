//! Compression of bodies, by one compressor for a whole feed: making one costs several times what a body of 1 KB does.

use cogniverse_sdk::{Error, Result};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::fmt;

/// RFC 1952: gzip, deflate, no name, no time, the fastest level, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// A compressor that is used again and again; made at its first use.
#[derive(Default)]
pub(super) struct Gzip(Option<Compress>);

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzip").finish_non_exhaustive()
    }
}

impl Gzip {
    /// A body as one gzip member.
    pub(super) fn compress(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::unexpected("a body cannot be compressed");
        let deflate = self.0.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        deflate.reset();
        let mut out = Vec::with_capacity(body.len() / 2 + 64);
        out.extend_from_slice(&HEADER);
        loop {
            let taken = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
            let rest = body.get(taken..).ok_or_else(failed)?;
            let status = deflate.compress_vec(rest, &mut out, FlushCompress::Finish);
            match status.map_err(|e| failed().with_source(e))? {
                Status::StreamEnd => break,
                // The room is used up.
                Status::Ok | Status::BufError => out.reserve(out.len()),
            }
        }
        let mut crc = Crc::new();
        crc.update(body);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        // Bodies are far below 4 GiB, and the format wants no more than the lower half.
        out.extend_from_slice(&crc.amount().to_le_bytes());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn every_body_reads_back_whatever_was_compressed_before() {
        let mut gzip = Gzip::default();
        let noise: Vec<u8> = (0..100_000).map(|_| fastrand::u8(..)).collect();
        for body in [b"".as_slice(), b"{}", &b"words ".repeat(10_000), &noise, b"{}"] {
            let packed = gzip.compress(body).unwrap();
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut read).unwrap();
            assert!(read == body, "{} bytes", body.len());
        }
    }
}
