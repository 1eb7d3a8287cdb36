//! The content of a part: records, one after another.
//!
//! ```text
//! frame = length of the head: 4 bytes, length of the body: 8 bytes, both little-endian; the head as JSON; the body
//! ```

use cogniverse_sdk::{BackupRecord, Error, ErrorCode, Result};
use serde_json::Value;

/// The longest head in bytes: a document's texts and attributes.
const MAX_HEAD: usize = 64 << 20;
const LENGTHS: usize = 12;

/// Appends a record, and returns the bytes that it took.
pub(super) fn write(out: &mut Vec<u8>, record: &BackupRecord) -> Result<usize> {
    let before = out.len();
    let head = serde_json::to_vec(&record.head)
        .map_err(|e| Error::unexpected("a record of a backup cannot be written").with_source(e))?;
    let length = u32::try_from(head.len()).ok().filter(|_| head.len() <= MAX_HEAD);
    let length = length.ok_or_else(|| Error::unexpected("a record of a backup is too long"))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(record.body.len() as u64).to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(&record.body);
    Ok(out.len() - before)
}

/// Reads every record of a part's content.
///
/// # Errors
/// `backup_damaged` for content that is not what [`write`] makes.
pub(super) fn read(content: &[u8]) -> Result<Vec<BackupRecord>> {
    let (mut records, mut rest) = (Vec::new(), content);
    while !rest.is_empty() {
        let (lengths, after) = rest.split_at_checked(LENGTHS).ok_or_else(cut)?;
        let (head, body) = lengths.split_at_checked(4).ok_or_else(cut)?;
        let head = u32::from_le_bytes(head.try_into().map_err(|_| cut())?) as usize;
        let body = u64::from_le_bytes(body.try_into().map_err(|_| cut())?);
        let (head, after) = after.split_at_checked(head).ok_or_else(cut)?;
        let body = usize::try_from(body).map_err(|_| cut())?;
        let (body, after) = after.split_at_checked(body).ok_or_else(cut)?;
        let head: Value =
            serde_json::from_slice(head).map_err(|e| cut().with_source(cogniverse_sdk::json_problem(&e)))?;
        records.push(BackupRecord::new(head, body.to_vec()));
        rest = after;
    }
    Ok(records)
}

fn cut() -> Error {
    Error::of(ErrorCode::BackupDamaged, "a part of the backup has a record that cannot be read; use another backup")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn records_are_read_as_they_were_written_and_a_cut_is_no_end() {
        let records = vec![
            BackupRecord::new(json!({"a": "\u{1F600}"}), vec![1, 2, 3]),
            BackupRecord::new(json!(null), Vec::new()),
            BackupRecord::new(json!([1.5]), vec![0; 1000]),
        ];
        let mut content = Vec::new();
        let mut ends = vec![0];
        for record in &records {
            write(&mut content, record).unwrap();
            ends.push(content.len());
        }
        assert_eq!(read(&content).unwrap(), records);
        for cut in (0..content.len()).filter(|cut| !ends.contains(cut)) {
            assert_eq!(read(&content[..cut]).unwrap_err().code(), ErrorCode::BackupDamaged, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn invariant_25_any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
