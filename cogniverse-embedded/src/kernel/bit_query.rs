//! Packed query rows, prepared for comparison with groups of document rows.

/// The number of bytes of the longest row that the vector kernels take: their counters have 16 bits. Longer rows go to
/// the portable kernels.
pub(super) const WIDEST: usize = 8_191;

/// Packed query rows, prepared once per search.
#[derive(Debug, Clone)]
pub struct BitQuery {
    bytes: usize,
    packed: Vec<u8>,
    /// For each byte: the bits by which its low nibble differs from each of 16 values, then the same for the high one.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the kernels of x86-64"))]
    nibbles: Vec<[u8; 32]>,
    /// For each pair of bytes: the first 32 times, then the second 32 times; zeros in place of a missing second one.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the kernels of x86-64"))]
    spread: Vec<[u8; 64]>,
}

impl BitQuery {
    /// Prepares rows of `bytes` packed bytes. Trailing bytes short of a row are ignored.
    #[must_use]
    pub fn new(packed_rows: &[u8], bytes: usize) -> Self {
        let whole = packed_rows.len() - packed_rows.len().checked_rem(bytes).unwrap_or(packed_rows.len());
        let packed = packed_rows.get(..whole).unwrap_or_default().to_vec();
        let (mut nibbles, mut spread) = (Vec::new(), Vec::new());
        if cfg!(target_arch = "x86_64") && bytes > 0 && bytes <= WIDEST {
            nibbles.extend(packed.iter().map(|byte| differing(*byte)));
            spread.extend(packed.chunks(bytes).flat_map(|row| row.chunks(2)).map(repeated));
        }
        Self { bytes, packed, nibbles, spread }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.packed.len().checked_div(self.bytes).unwrap_or(0)
    }

    /// Returns the number of bytes in a row.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Returns `bytes` tables for each row.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the kernels of x86-64"))]
    pub(super) fn nibbles(&self) -> &[[u8; 32]] {
        &self.nibbles
    }

    /// Returns half as many repeated pairs, rounded up, for each row.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the kernels of x86-64"))]
    pub(super) fn spread(&self) -> &[[u8; 64]] {
        &self.spread
    }
}

fn differing(byte: u8) -> [u8; 32] {
    let mut table = [0; 32];
    for (place, count) in (0u8..).zip(&mut table) {
        let own = if place < 16 { byte & 15 } else { byte >> 4 };
        // At most four bits differ.
        *count = ((own ^ place) & 15).count_ones() as u8;
    }
    table
}

fn repeated(pair: &[u8]) -> [u8; 64] {
    let mut spread = [0; 64];
    for (out, byte) in spread.chunks_mut(32).zip(pair) {
        out.fill(*byte);
    }
    spread
}
