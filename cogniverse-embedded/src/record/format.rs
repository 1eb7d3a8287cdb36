//! Creation and migration of the file.

use super::{Record, blocks, vector_files};
use crate::{catalog::Deployment, error};
use cogniverse_sdk::{Error, ErrorCode, Result};
use rusqlite::{Connection, OptionalExtension};

/// The format version of the file; newer ones are refused.
const FORMAT: i64 = 3;

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
        let ddl = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS documents (
               row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, fields TEXT NOT NULL,
               tensors TEXT NOT NULL, sum INTEGER NOT NULL);";
        for ddl in [ddl, vector_files::TABLE, blocks::TABLE] {
            transaction.execute_batch(ddl).map_err(self.sqlite())?;
        }
        let format = self.check_owner(&transaction)?;
        let store = self.check_store(&transaction, known)?;
        let _ = self.store.set(store.clone());
        if format < FORMAT {
            self.upgrade(&transaction, format)?;
            let sql = "UPDATE meta SET value = ?1 WHERE key = 'format'";
            transaction.execute(sql, [FORMAT.to_string()]).map_err(self.sqlite())?;
        }
        transaction.commit().map_err(self.sqlite())?;
        if format < FORMAT {
            self.give_back_pages(connection);
        }
        self.remove_vector_files(connection)?;
        self.remove_blocks(connection)?;
        if !exists {
            // The file itself holds the tables from here on, not its log alone.
            connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).map_err(self.sqlite())?;
        }
        Ok(store)
    }

    /// Refuses a file of another format, and learns its identity.
    pub(super) fn require_format(&self, connection: &Connection) -> Result<()> {
        let read = |key: &str| {
            let sql = "SELECT value FROM meta WHERE key = ?1";
            connection.query_row(sql, [key], |row| row.get::<_, String>(0)).map_err(self.sqlite())
        };
        let _ = self.store.set(read("store")?);
        match read("format")? == FORMAT.to_string() {
            true => Ok(()),
            false => Err(self.damaged("it is of another version and cannot be upgraded")),
        }
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

    /// Refuses a file that was moved to another tenant's folder, or was written by a later version. Returns its format.
    fn check_owner(&self, connection: &Connection) -> Result<i64> {
        let mut known = FORMAT;
        if let Some(format) = self.meta(connection, "format", &FORMAT.to_string())? {
            let format: i64 = format.parse().map_err(|_| error::corrupt(&self.path, "its format is not a number"))?;
            known = format;
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
        Ok(known)
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
}
