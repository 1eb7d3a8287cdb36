//! The memory layout of packed rows: groups of rows, transposed byte by byte.

/// The number of rows in a group: byte 0 of the 32 rows, then byte 1 of the 32, and so on.
pub const GROUP: usize = 32;

/// Returns the number of bytes that `rows` rows of `bytes` packed bytes occupy in groups.
#[must_use]
pub fn grouped_len(rows: usize, bytes: usize) -> usize {
    rows.div_ceil(GROUP).saturating_mul(GROUP).saturating_mul(bytes)
}

/// Appends rows of `bytes` packed bytes in groups and returns the number of rows. The last group is padded with copies
/// of the last row, which change no maximum; trailing bytes short of a row are ignored.
pub fn group_rows(rows: &[u8], bytes: usize, out: &mut Vec<u8>) -> usize {
    if bytes == 0 {
        return 0;
    }
    let count = rows.len() / bytes;
    out.reserve(grouped_len(count, bytes));
    for first in (0..count).step_by(GROUP) {
        for byte in 0..bytes {
            out.extend((first..first + GROUP).map(|row| {
                let row = row.min(count - 1);
                rows.get(row * bytes + byte).copied().unwrap_or(0)
            }));
        }
    }
    count
}

/// Appends a row to groups that hold `count` rows, one row for each document. A new group starts with zeros in its
/// other places; a shorter row is filled up with zeros.
pub fn push_row(row: &[u8], count: usize, bytes: usize, groups: &mut Vec<u8>) {
    groups.resize(grouped_len(count + 1, bytes), 0);
    let start = count / GROUP * GROUP * bytes + count % GROUP;
    let places = groups.get_mut(start..).unwrap_or_default().iter_mut().step_by(GROUP);
    places.zip(row.iter().take(bytes)).for_each(|(place, byte)| *place = *byte);
}

/// Returns the bytes of one row of a group.
pub fn grouped_row(group: &[u8], lane: usize) -> impl Iterator<Item = u8> {
    group.iter().skip(lane).step_by(GROUP).copied()
}
