//! Vectors that may not have reached the disk before a loss of power.

use super::{Record, StoredDocument, sums, vector_files::unsigned};
use crate::{
    error,
    vectors::{VectorFiles, complete_file, path},
};
use cogniverse_sdk::Result;
use rusqlite::{Connection, OptionalExtension, params};

/// A file of which a part is not known to be on disk.
struct Unsynced {
    number: u32,
    length: u64,
    synced: u64,
}

impl Record {
    /// Removes the documents whose vectors were lost with the power, which [`crate::Durability::ProcessCrash`] allows, and
    /// writes the rest to the disk. Files that were written under [`crate::Durability::PowerLoss`] are not read.
    pub(crate) fn recover_unsynced(&self, connection: &mut Connection) -> Result<()> {
        let files = self.unsynced(connection)?;
        if files.is_empty() {
            return Ok(());
        }
        for file in &files {
            complete_file(self.folder(), self.store(), file.number, (file.length, file.synced))?;
        }
        let transaction = self.begin(connection)?;
        let mapped = self.vector_files(&transaction, &VectorFiles::default())?;
        // A vector is no older than the row that names it: earlier rows name none of those that are in doubt.
        let synced = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'synced'";
        let synced = transaction.query_row(synced, [], |row| row.get(0)).optional().map_err(self.sqlite())?;
        let (mut lost, mut after) = (Vec::new(), synced.unwrap_or(0));
        loop {
            let documents = self.documents_between(&transaction, after, i64::MAX)?;
            let Some(last) = documents.last() else { break };
            after = last.row;
            lost.extend(documents.iter().filter(|document| is_lost(document, &files, &mapped)).map(|one| one.row));
        }
        let mut change =
            self.change(&transaction, &mapped, |writer| lost.iter().try_for_each(|row| writer.delete(*row)))?;
        // Block files that hold them are derived anew.
        for row in &lost {
            let unname = "UPDATE blocks SET removed = 1 WHERE first <= ?1 AND last >= ?1";
            transaction.execute(unname, [row]).map_err(self.sqlite())?;
        }
        for file in &files {
            let path = path(self.folder(), file.number);
            let sync = std::fs::File::options().write(true).open(&path).and_then(|file| file.sync_all());
            sync.map_err(|e| error::io(&path, e))?;
            let sql = "UPDATE vector_files SET synced = length WHERE number = ?1";
            transaction.execute(sql, params![file.number]).map_err(self.sqlite())?;
        }
        let synced = "INSERT OR REPLACE INTO meta (key, value)
            VALUES ('synced', (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'documents'))";
        transaction.execute(synced, []).map_err(self.sqlite())?;
        transaction.commit().map_err(self.sqlite())?;
        let lost = std::mem::take(&mut change.removed).len();
        if lost > 0 {
            tracing::warn!(
                schema = %self.schema,
                "{lost} documents are removed, as their vectors were lost with the power before they were on disk; ingest them again"
            );
        }
        Ok(())
    }

    fn unsynced(&self, connection: &Connection) -> Result<Vec<Unsynced>> {
        let sql = "SELECT number, length, synced FROM vector_files WHERE removed = 0 AND synced < length";
        let mut select = connection.prepare(sql).map_err(self.sqlite())?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Unsynced { number: row.get(0)?, length: unsigned(row, 1)?, synced: unsigned(row, 2)? })
        };
        let files = select.query_map([], read).map_err(self.sqlite())?;
        files.collect::<rusqlite::Result<_>>().map_err(self.sqlite())
    }
}

fn is_lost(document: &StoredDocument, files: &[Unsynced], mapped: &VectorFiles) -> bool {
    document.tensors.0.iter().any(|(name, at)| {
        let unsynced = files.iter().any(|file| file.number == at.file && at.offset + u64::from(at.bytes) > file.synced);
        unsynced && mapped.cells(*at, |cells| sums::cells(document.id.as_str().as_bytes(), name, cells)).is_none()
    })
}
