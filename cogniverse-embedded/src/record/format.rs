//! Creation and migration of the file.

use super::{Record, Tensors, sums, table, table_name};
use crate::{catalog::Deployment, error, index::DocumentTerms, layout::TensorField};
use cogniverse_core::text::{ANALYZER_VERSION, Analyzer};
use cogniverse_sdk::{DocumentId, Error, ErrorCode, FieldName, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// The format version of the file; newer ones are refused.
const FORMAT: i64 = 2;

impl Record {
    /// Creates the tables of a new file, or checks the owner of an existing one and migrates it. Returns the identity
    /// stored in the file.
    pub(crate) fn prepare(&self, connection: &mut Connection, exists: bool, deployment: &Deployment) -> Result<String> {
        let known = deployment.store.as_deref();
        let transaction = self.begin(connection)?;
        if exists {
            let tables = "SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'documents')";
            let tables: i64 = transaction.query_row(tables, [], |row| row.get(0)).map_err(self.sqlite())?;
            // A process may have died between making the file and making its tables.
            if tables != 2 && (tables != 0 || deployment.initialized) {
                return Err(self.damaged("its tables are missing"));
            }
        }
        let mut ddl = String::from(
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS documents (
               row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, fields TEXT NOT NULL, terms BLOB NOT NULL,
               tensors TEXT NOT NULL, sum INTEGER NOT NULL);",
        );
        self.rename_tables(&transaction)?;
        for tensor in self.layout.tensors() {
            ddl.push_str(&format!(
                "CREATE TABLE IF NOT EXISTS {} (row INTEGER PRIMARY KEY, cells BLOB NOT NULL, sum INTEGER NOT NULL);",
                table(&tensor.name)
            ));
        }
        transaction.execute_batch(&ddl).map_err(self.sqlite())?;
        self.check_owner(&transaction)?;
        let store = self.check_store(&transaction, known)?;
        self.derive_terms(&transaction)?;
        transaction.commit().map_err(self.sqlite())?;
        if !exists {
            // The file itself holds the tables from here on, not its log alone.
            connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).map_err(self.sqlite())?;
        }
        Ok(store)
    }

    fn meta(&self, connection: &Connection, key: &str, wanted: &str) -> Result<Option<String>> {
        let found = connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, String>(0))
            .optional()
            .map_err(self.sqlite())?;
        if found.is_none() {
            connection
                .execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [key, wanted])
                .map_err(self.sqlite())?;
        }
        Ok(found)
    }

    /// Refuses a file that was moved to another tenant's folder.
    fn check_owner(&self, connection: &Connection) -> Result<()> {
        if let Some(format) = self.meta(connection, "format", &FORMAT.to_string())? {
            let format: i64 = format.parse().map_err(|_| error::corrupt(&self.path, "its format is not a number"))?;
            if format == 1 {
                self.add_sums(connection)?;
            }
            if format > FORMAT {
                return Err(Error::of(
                    ErrorCode::StorageFormatNewer,
                    format!(
                        "{} has format {format} and this version knows {FORMAT}; use a newer cogniverse",
                        self.path.display()
                    ),
                ));
            }
        }
        for (key, wanted) in [("tenant", self.schema.tenant().as_str()), ("base", self.schema.base().as_str())] {
            if let Some(found) = self.meta(connection, key, wanted)?
                && found != wanted
            {
                return Err(error::corrupt(&self.path, format!("it belongs to {key} {found}, not to {wanted}")));
            }
        }
        Ok(())
    }

    /// Checks the identity stored in the file: another store's file, or an earlier one of the same schema, is
    /// refused.
    fn check_store(&self, connection: &Connection, known: Option<&str>) -> Result<String> {
        let wanted = match known {
            Some(known) => known.to_owned(),
            None => {
                let random = "SELECT lower(hex(randomblob(16)))";
                connection.query_row(random, [], |row| row.get(0)).map_err(self.sqlite())?
            }
        };
        match self.meta(connection, "store", &wanted)? {
            Some(found) if known.is_some_and(|known| known != found) => {
                Err(self.damaged("it is the file of another deployment, put in the place of this one's"))
            }
            Some(found) => Ok(found),
            None => Ok(wanted),
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

    /// Migrates a file of format 1, which had no checksums, to format 2. Existing content is trusted.
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
                let mut tensors = Tensors::default();
                for field in self.layout.tensors() {
                    let name = table(&field.name);
                    let cells: Option<Vec<u8>> = connection
                        .query_row(&format!("SELECT cells FROM {name} WHERE row = ?1"), [row], |row| row.get(0))
                        .optional()
                        .map_err(self.sqlite())?;
                    let Some(cells) = cells else { continue };
                    tensors.0.push(field.name.clone());
                    let sum = sums::cells(&id, &field.name, &cells);
                    let sql = format!("UPDATE {name} SET sum = ?2 WHERE row = ?1");
                    connection.execute(&sql, params![row, sum]).map_err(self.sqlite())?;
                }
                let tensors = tensors.to_string();
                let sum = sums::document(&id, &fields, &terms, &tensors);
                let sql = "UPDATE documents SET tensors = ?2, sum = ?3 WHERE row = ?1";
                connection.execute(sql, params![row, tensors, sum]).map_err(self.sqlite())?;
            }
        }
        connection
            .execute("UPDATE meta SET value = ?1 WHERE key = 'format'", [FORMAT.to_string()])
            .map(|_| ())
            .map_err(self.sqlite())
    }

    fn derive_terms(&self, transaction: &Transaction<'_>) -> Result<()> {
        let names: Vec<&str> = self.layout.texts.iter().map(FieldName::as_str).collect();
        let wanted = format!("{ANALYZER_VERSION}:{}", names.join(","));
        match self.meta(transaction, "terms", &wanted)? {
            Some(found) if found != wanted => {}
            _ => return Ok(()),
        }
        tracing::info!(schema = %self.schema, "deriving terms again");
        let analyzer = Analyzer::new();
        let mut after = 0;
        loop {
            let stored = self.documents_after(transaction, after)?;
            let Some(last) = stored.last() else { break };
            after = last.row;
            let mut update = transaction
                .prepare_cached("UPDATE documents SET terms = ?2, sum = ?3 WHERE row = ?1")
                .map_err(self.sqlite())?;
            for document in &stored {
                let terms = DocumentTerms::of(&document.fields, &self.layout, &analyzer).encode();
                let json = transaction
                    .query_row("SELECT fields FROM documents WHERE row = ?1", [document.row], |row| {
                        row.get::<_, String>(0)
                    })
                    .map_err(self.sqlite())?;
                let sum = sums::document(&document.id, &json, &terms, &document.tensors.to_string());
                update.execute(params![document.row, terms, sum]).map_err(self.sqlite())?;
            }
        }
        transaction
            .execute("UPDATE meta SET value = ?1 WHERE key = 'terms'", [wanted])
            .map(|_| ())
            .map_err(self.sqlite())
    }
}
