//! The memory layout of packed rows, in which one instruction processes eight of them.

/// The number of interleaved rows: word 0 of eight rows, then word 1 of the eight, and so on.
pub const ROW_GROUP: usize = 8;

/// Returns the number of 64-bit words that hold a row of `bytes`.
#[must_use]
pub fn bit_words(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

/// Returns the number of words in `rows` interleaved rows of `words` words.
#[must_use]
pub fn interleaved_len(rows: usize, words: usize) -> usize {
    rows.div_ceil(ROW_GROUP) * ROW_GROUP * words
}

/// Converts a packed row to plain words: dimension `i` is bit `i % 64` of word `i / 64`. In the packed bytes,
/// dimension 0 is the highest bit of byte 0, as in Vespa; the rest of the last word is zero.
#[must_use]
pub fn query_words(row: &[u8]) -> Vec<u64> {
    row.chunks(8).map(word).collect()
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(byte.reverse_bits()))
}

/// Appends rows of `bytes_per_row` packed bytes, interleaved by [`ROW_GROUP`], and returns their number. The last
/// group is padded with copies of the last row, which change no maximum; trailing bytes short of a row are ignored.
pub fn pack_bits_interleaved(rows: &[u8], bytes_per_row: usize, out: &mut Vec<u64>) -> usize {
    if bytes_per_row == 0 {
        return 0;
    }
    let all: Vec<&[u8]> = rows.chunks_exact(bytes_per_row).collect();
    out.reserve(interleaved_len(all.len(), bit_words(bytes_per_row)));
    for group in all.chunks(ROW_GROUP) {
        for place in (0..bytes_per_row).step_by(8) {
            let words = group.iter().map(|row| word(row.get(place..bytes_per_row.min(place + 8)).unwrap_or_default()));
            let last =
                group.last().map_or(0, |row| word(row.get(place..bytes_per_row.min(place + 8)).unwrap_or_default()));
            out.extend(words.chain(std::iter::repeat(last)).take(ROW_GROUP));
        }
    }
    all.len()
}
