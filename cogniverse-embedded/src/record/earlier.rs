//! Files of earlier formats.
//!
//! Formats 1 and 2 kept vectors in the SQLite file, in a table for each tensor field, and terms with their document; format 1 had
//! no checksums.

use super::{Record, Tensors, sums};
use crate::layout::TensorField;
use cogniverse_sdk::{DocumentId, FieldName, Result};
use rusqlite::{Connection, OptionalExtension, params};

/// The number of documents that are read at once.
const BATCH: i64 = 200;
/// The number of free pages that are worth writing the file anew.
const WORTH_WRITING: i64 = 256;

/// A document of format 2.
struct Earlier {
    row: i64,
    id: String,
    fields: String,
    terms: Vec<u8>,
    /// The names of the tensor fields of which it has vectors, separated by commas.
    tensors: String,
    sum: i64,
}

impl Record {
    /// Upgrades a file in the transaction that opens it.
    pub(super) fn upgrade(&self, transaction: &Connection, format: i64) -> Result<()> {
        self.rename_tables(transaction)?;
        if format == 1 {
            self.add_sums(transaction)?;
        }
        self.move_vectors(transaction)
    }

    /// Moves the vectors of format 2 into files of their own.
    fn move_vectors(&self, transaction: &Connection) -> Result<()> {
        tracing::info!(schema = %self.schema, "moving the vectors of an earlier version into files of their own");
        let mut vectors = self.appender(transaction)?;
        let mut after = 0;
        loop {
            let batch = self.earlier_after(transaction, after)?;
            let Some(last) = batch.last() else { break };
            after = last.row;
            for document in batch {
                let id = DocumentId::parse(&document.id)
                    .map_err(|_| self.damaged(format!("row {} has no document id", document.row)))?;
                let cut = || self.damaged(format!("document {id} is not as it was written"));
                let Earlier { fields, terms, tensors, .. } = &document;
                if i64::from(sums::document_with_terms(id.as_str(), fields, terms, tensors)) != document.sum {
                    return Err(cut());
                }
                let mut tensors = Tensors::default();
                for name in document.tensors.split(',').filter(|name| !name.is_empty()) {
                    let name = FieldName::parse(name).map_err(|_| cut())?;
                    let cells = self.earlier_cells(transaction, (document.row, &id), &name)?;
                    let at = vectors.append(&cells, sums::cells(id.as_str().as_bytes(), &name, &cells))?;
                    tensors.0.push((name, at));
                }
                let tensors = tensors.to_string();
                let sum = sums::document(id.as_str(), &document.fields, &tensors);
                let sql = "UPDATE documents SET tensors = ?2, sum = ?3 WHERE row = ?1";
                let mut update = transaction.prepare_cached(sql).map_err(self.sqlite())?;
                update.execute(params![document.row, tensors, sum]).map_err(self.sqlite())?;
            }
        }
        self.change_files(transaction, &vectors.finish()?)?;
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'vectors_*'";
        let mut select = transaction.prepare(tables).map_err(self.sqlite())?;
        let tables = select.query_map([], |row| row.get::<_, String>(0)).map_err(self.sqlite())?;
        for table in tables.collect::<rusqlite::Result<Vec<_>>>().map_err(self.sqlite())? {
            transaction.execute_batch(&format!("DROP TABLE \"{table}\"")).map_err(self.sqlite())?;
        }
        transaction.execute_batch("ALTER TABLE documents DROP COLUMN terms").map_err(self.sqlite())
    }

    fn earlier_after(&self, connection: &Connection, after: i64) -> Result<Vec<Earlier>> {
        let sql = "SELECT row, id, fields, terms, tensors, sum FROM documents WHERE row > ?1 ORDER BY row LIMIT ?2";
        let mut select = connection.prepare_cached(sql).map_err(self.sqlite())?;
        let read = |row: &rusqlite::Row<'_>| {
            let (row, id, fields, terms, tensors, sum) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(Earlier { row, id, fields, terms, tensors, sum })
        };
        let rows = select.query_map([after, BATCH], read).map_err(self.sqlite())?;
        rows.collect::<rusqlite::Result<_>>().map_err(self.sqlite())
    }

    fn earlier_cells(
        &self,
        connection: &Connection,
        (row, id): (i64, &DocumentId),
        name: &FieldName,
    ) -> Result<Vec<u8>> {
        let sql = format!("SELECT cells, sum FROM {} WHERE row = ?1", table(name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let found = select.query_row([row], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))).optional();
        match found.map_err(self.sqlite())? {
            Some((cells, sum)) if i64::from(sums::cells(id.as_str().as_bytes(), name, &cells)) == sum => Ok(cells),
            Some(_) => {
                Err(self.damaged(format!("the vectors \"{name}\" of document {id} are not as they were written")))
            }
            None => Err(self.damaged(format!("the vectors \"{name}\" of document {id} are missing"))),
        }
    }

    /// Gives the pages back that the vectors took. That only saves space: where it fails, it is left.
    pub(super) fn give_back_pages(&self, connection: &Connection) {
        let free = connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        if free.is_ok_and(|free| free >= WORTH_WRITING)
            && let Err(error) = connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(schema = %self.schema, "the space of moved vectors cannot be given back: {error}");
        }
    }

    /// Renames tables of earlier releases, which were named like their fields: SQLite ignores case in names, and
    /// field names do not.
    fn rename_tables(&self, connection: &Connection) -> Result<()> {
        let exists = |name: &str| {
            let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
            connection.query_row(sql, [name], |row| row.get::<_, bool>(0)).map_err(self.sqlite())
        };
        for field in self.layout.tensors() {
            let (before, now) = (format!("vectors_{}", field.name), table_name(&field.name));
            if before == now || exists(&now)? || !exists(&before)? {
                continue;
            }
            let same = |other: &&TensorField| other.name.as_str().eq_ignore_ascii_case(field.name.as_str());
            if self.layout.tensors().filter(same).count() > 1 {
                return Err(self.damaged(format!(
                    "an earlier version kept the vectors of \"{}\" and of a field that differs by case in one table",
                    field.name
                )));
            }
            connection
                .execute_batch(&format!("ALTER TABLE \"{before}\" RENAME TO \"{now}\""))
                .map_err(self.sqlite())?;
        }
        Ok(())
    }

    /// Adds the checksums of format 2 to a file of format 1. Existing content is trusted.
    fn add_sums(&self, connection: &Connection) -> Result<()> {
        tracing::info!(schema = %self.schema, "adding checksums to the documents of an earlier version");
        let mut ddl = String::from(
            "ALTER TABLE documents ADD COLUMN tensors TEXT NOT NULL DEFAULT '';
             ALTER TABLE documents ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;",
        );
        let lacks = |name: &FieldName| {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = 'sum')";
            connection.query_row(sql, [table_name(name)], |row| row.get::<_, bool>(0)).map_err(self.sqlite())
        };
        for tensor in self.layout.tensors() {
            if lacks(&tensor.name)? {
                let table = table(&tensor.name);
                ddl.push_str(&format!("ALTER TABLE {table} ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"));
            }
        }
        connection.execute_batch(&ddl).map_err(self.sqlite())?;
        let mut after = 0;
        loop {
            let mut select = connection
                .prepare_cached("SELECT row, id, fields, terms FROM documents WHERE row > ?1 ORDER BY row LIMIT 1000")
                .map_err(self.sqlite())?;
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let rows: Vec<(i64, String, String, Vec<u8>)> = select
                .query_map([after], read)
                .and_then(Iterator::collect::<rusqlite::Result<_>>)
                .map_err(self.sqlite())?;
            let Some((last, ..)) = rows.last() else { break };
            after = *last;
            for (row, id, fields, terms) in rows {
                let id = DocumentId::parse(&id).map_err(|_| self.damaged(format!("row {row} has no document id")))?;
                let mut tensors = Vec::new();
                for field in self.layout.tensors() {
                    let name = table(&field.name);
                    let cells: Option<Vec<u8>> = connection
                        .query_row(&format!("SELECT cells FROM {name} WHERE row = ?1"), [row], |row| row.get(0))
                        .optional()
                        .map_err(self.sqlite())?;
                    let Some(cells) = cells else { continue };
                    tensors.push(field.name.as_str());
                    let sum = sums::cells(id.as_str().as_bytes(), &field.name, &cells);
                    let sql = format!("UPDATE {name} SET sum = ?2 WHERE row = ?1");
                    connection.execute(&sql, params![row, sum]).map_err(self.sqlite())?;
                }
                let tensors = tensors.join(",");
                let sum = sums::document_with_terms(id.as_str(), &fields, &terms, &tensors);
                let sql = "UPDATE documents SET tensors = ?2, sum = ?3 WHERE row = ?1";
                connection.execute(sql, params![row, tensors, sum]).map_err(self.sqlite())?;
            }
        }
        Ok(())
    }
}

/// Returns the quoted table name of a tensor field.
fn table(field: &FieldName) -> String {
    format!("\"{}\"", table_name(field))
}

/// Returns the table name of a field. Field names are `[A-Za-z0-9_]` and case-sensitive, table names are not: a
/// capital becomes `^` and its small letter.
fn table_name(field: &FieldName) -> String {
    let mut name = String::from("vectors_");
    for letter in field.as_str().chars() {
        if letter.is_ascii_uppercase() {
            name.push('^');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
