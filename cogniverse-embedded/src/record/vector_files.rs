//! The table of the files of vectors.

use super::Record;
use crate::{
    config::Durability,
    error,
    vectors::{Appender, FileChange, Tail, VectorFiles, path},
};
use cogniverse_core::failpoint;
use cogniverse_sdk::Result;
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// The number of bytes that must belong to no document before a file is emptied.
const WORTH_MOVING: i64 = 1 << 20;

/// A file: its committed length, the part of that which is known to be on disk, the bytes that belong to no document, the
/// number of vectors that belong to one, and whether the file is empty and to be removed.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS vector_files (
    number INTEGER PRIMARY KEY, length INTEGER NOT NULL, synced INTEGER NOT NULL, dead INTEGER NOT NULL,
    vectors INTEGER NOT NULL, removed INTEGER NOT NULL DEFAULT 0);";

impl Record {
    /// Returns the store's identity, once it was prepared.
    pub(super) fn store(&self) -> &str {
        self.store.get().map_or("", String::as_str)
    }

    /// Maps the files of vectors of a connection's view, keeping the mappings of `known`.
    pub(crate) fn vector_files(&self, connection: &Connection, known: &VectorFiles) -> Result<VectorFiles> {
        self.map_files(known, &self.lengths(connection)?)
    }

    /// Maps files of vectors with their lengths, keeping the mappings of `known`.
    pub(crate) fn map_files(&self, known: &VectorFiles, files: &[(u32, u64)]) -> Result<VectorFiles> {
        known.at(self.folder(), self.store(), files)
    }

    /// Returns the files in use with their committed lengths, by number.
    pub(super) fn lengths(&self, connection: &Connection) -> Result<Vec<(u32, u64)>> {
        let sql = "SELECT number, length FROM vector_files WHERE removed = 0 ORDER BY number";
        let mut select = connection.prepare_cached(sql).map_err(self.sqlite())?;
        let files = select.query_map([], |row| Ok((row.get(0)?, unsigned(row, 1)?))).map_err(self.sqlite())?;
        files.collect::<rusqlite::Result<_>>().map_err(self.sqlite())
    }

    /// Returns the greatest number that a file has, or 0.
    fn greatest(&self, connection: &Connection) -> Result<u32> {
        let mut select =
            connection.prepare_cached("SELECT coalesce(max(number), 0) FROM vector_files").map_err(self.sqlite())?;
        select.query_row([], |row| row.get(0)).map_err(self.sqlite())
    }

    /// Creates the appender of a transaction.
    pub(super) fn appender(&self, transaction: &Connection) -> Result<Appender> {
        let greatest = self.greatest(transaction)?;
        let last: Option<Tail> = self.lengths(transaction)?.pop().filter(|(number, _)| *number == greatest);
        Ok(Appender::new(self.folder(), self.store(), self.durability, last, greatest))
    }

    /// Records what a transaction did to the files.
    pub(super) fn change_files(&self, transaction: &Connection, changes: &BTreeMap<u32, FileChange>) -> Result<()> {
        let run = |sql: &str, parameters: &dyn Fn(&mut rusqlite::Statement<'_>) -> rusqlite::Result<usize>| {
            let mut statement = transaction.prepare_cached(sql).map_err(self.sqlite())?;
            parameters(&mut statement).map_err(self.sqlite())
        };
        for (number, FileChange { length, vectors, dead }) in changes {
            let length = length.map(|length| i64::try_from(length).unwrap_or(i64::MAX));
            let synced = length.filter(|_| self.durability == Durability::PowerLoss);
            let update = "UPDATE vector_files SET length = coalesce(?2, length), synced = coalesce(?3, synced),
                dead = dead + ?4, vectors = vectors + ?5 WHERE number = ?1";
            if run(update, &|update| update.execute(params![number, length, synced, dead, vectors]))? == 0 {
                let insert =
                    "INSERT INTO vector_files (number, length, synced, dead, vectors) VALUES (?1, ?2, ?3, ?4, ?5)";
                run(insert, &|insert| insert.execute(params![number, length, synced.unwrap_or(0), dead, vectors]))?;
            }
        }
        Ok(())
    }

    /// Returns a file of which more belongs to no document than to one, and the number of its vectors in use.
    pub(crate) fn file_to_empty(&self, connection: &Connection) -> Result<Option<(u32, u64)>> {
        let sql = "SELECT number, vectors FROM vector_files
            WHERE removed = 0 AND dead >= ?1 AND dead * 2 > length ORDER BY number LIMIT 1";
        let mut select = connection.prepare_cached(sql).map_err(self.sqlite())?;
        select.query_row([WORTH_MOVING], |row| Ok((row.get(0)?, unsigned(row, 1)?))).optional().map_err(self.sqlite())
    }

    /// Returns the rows of all documents with vectors in a file, and those of some others.
    pub(crate) fn rows_in_file(&self, connection: &Connection, number: u32) -> Result<Vec<i64>> {
        let sql = "SELECT row FROM documents WHERE instr(tensors, ':' || ?1 || ':') > 0 ORDER BY row";
        let mut select = connection.prepare(sql).map_err(self.sqlite())?;
        let rows = select.query_map([number], |row| row.get(0)).map_err(self.sqlite())?;
        rows.collect::<rusqlite::Result<_>>().map_err(self.sqlite())
    }

    /// Records that a file is empty and to be removed.
    pub(crate) fn begin_removal(&self, transaction: &Connection, number: u32) -> Result<()> {
        let sql = "UPDATE vector_files SET removed = 1 WHERE number = ?1";
        transaction.execute(sql, [number]).map(|_| ()).map_err(self.sqlite())
    }

    /// Removes the files whose removal was recorded. Where one cannot be removed now, the next call tries again.
    pub(crate) fn remove_vector_files(&self, connection: &Connection) -> Result<()> {
        // The greatest number stays, so that no other file gets it while anybody may still read this one.
        let delete = "DELETE FROM vector_files WHERE number = ?1 AND number < (SELECT max(number) FROM vector_files)";
        self.remove_files(connection, ("vector_files", delete), |number| {
            path(self.folder(), u32::try_from(number).unwrap_or(u32::MAX))
        })
    }

    /// Removes the files that a table names as removed, and then their rows.
    pub(super) fn remove_files(
        &self,
        connection: &Connection,
        (table, delete): (&str, &str),
        path_of: impl Fn(i64) -> PathBuf,
    ) -> Result<()> {
        let query = format!("SELECT number FROM {table} WHERE removed = 1");
        let mut select = connection.prepare_cached(&query).map_err(self.sqlite())?;
        let numbers = select.query_map([], |row| row.get(0)).map_err(self.sqlite())?;
        for number in numbers.collect::<rusqlite::Result<Vec<i64>>>().map_err(self.sqlite())? {
            let path = path_of(number);
            failpoint::reach("files.removing");
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    let error = error::io(&path, e);
                    tracing::warn!(schema = %self.schema, "an unused file cannot be removed: {}", error.chain());
                }
                _ => {
                    failpoint::reach("files.removed");
                    connection.execute(delete, [number]).map_err(self.sqlite())?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a column that is never negative.
pub(super) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}
