//! Connections to the file, and its log.

use super::Record;
use crate::{
    config::Durability,
    error,
    store_file::{StoreConnection, StoreFile},
};
use cogniverse_sdk::{Error, Result};
use rusqlite::{
    Connection, OpenFlags,
    ffi::{SQLITE_ERROR, SQLITE_IOERR_SHORT_READ},
};
use std::{sync::Arc, time::Duration};

/// The size of a connection's page cache, in the form of SQLite's `cache_size`: minus the KiB. Many connections are open and idle,
/// and what is not in this cache is in the operating system's.
const CACHE: i64 = -256;
/// The number of prepared statements that a connection keeps: somewhat more than there are.
const STATEMENTS: usize = 32;

impl Record {
    /// Sets the file that the path must keep naming.
    pub(crate) fn keep(&mut self, file: Arc<StoreFile>) {
        self.file = Some(file);
    }

    /// Checks that the path still names the file that was opened.
    pub(crate) fn check_file(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.check().map_err(|e| self.of_schema(e)))
    }

    fn of_schema(&self, error: Error) -> Error {
        error.with_context("tenant", self.schema.tenant()).with_context("schema", self.schema.base())
    }

    /// Opens a connection for reading or writing.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let connection = self.connect_with(OpenFlags::empty())?;
        self.use_log(&connection).map(|()| connection)
    }

    /// Behaves as [`Record::connect`], for a file that does not exist yet. The folder must exist.
    pub(crate) fn create(&self) -> Result<Connection> {
        let connection = self.connect_with(OpenFlags::SQLITE_OPEN_CREATE)?;
        self.use_log(&connection).map(|()| connection)
    }

    /// Opens a further connection to the file of an open store, whose last published write is `known`.
    pub(crate) fn reconnect(&self, file: &Arc<StoreFile>, known: i64) -> Result<StoreConnection> {
        let open = |is_first| {
            let connection = self.connect_with(OpenFlags::empty())?;
            if is_first {
                // Before anything is written to it.
                self.check_own(&connection, known)?;
                self.use_log(&connection)?;
            }
            Ok(connection)
        };
        file.connect(open).map_err(|e| self.of_schema(e))
    }

    fn connect_with(&self, create: OpenFlags) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(self.sqlite())?;
        let synchronous = match self.durability {
            Durability::PowerLoss => "full",
            Durability::ProcessCrash => "normal",
        };
        let configured = connection
            .busy_timeout(Duration::from_secs(5))
            .and_then(|()| connection.pragma_update(None, "synchronous", synchronous))
            .and_then(|()| connection.pragma_update(None, "cache_size", CACHE));
        configured.map_err(self.sqlite())?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }

    fn use_log(&self, connection: &Connection) -> Result<()> {
        connection.pragma_update(None, "journal_mode", "wal").map_err(self.sqlite())
    }

    /// Checks that what a connection reads is this store with its last published write, as [`StoreFile`] demands.
    fn check_own(&self, connection: &Connection, known: i64) -> Result<()> {
        let sql = "SELECT (SELECT value FROM meta WHERE key = 'store'),
            coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'moment'), 0)";
        match connection.query_row(sql, [], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))) {
            Ok((Some(store), moment)) if store == self.store() && moment >= known => Ok(()),
            Ok((Some(store), _)) if store == self.store() => Err(error::corrupt(
                &self.path,
                "it lacks writes that were stored: an earlier copy was put in its place, or its log (-wal) was removed",
            )),
            Ok(_) => Err(error::corrupt(&self.path, "it was replaced by the file of another store while it was open")),
            // Without tables, or without the pages that the log held.
            Err(e)
                if e.sqlite_error()
                    .is_some_and(|e| matches!(e.extended_code, SQLITE_ERROR | SQLITE_IOERR_SHORT_READ)) =>
            {
                Err(error::corrupt(&self.path, "its tables are missing").with_source(e))
            }
            Err(e) => Err(self.sqlite()(e)),
        }
    }

    /// Returns the size of SQLite's write-ahead log; 0 where there is none.
    pub(crate) fn log_bytes(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |found| found.len())
    }

    /// Checkpoints and truncates the log. Waits for readers up to the lock timeout; `false` where they take longer.
    pub(crate) fn empty_log(&self, writer: &Connection) -> Result<bool> {
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        Ok(busy.map_err(self.sqlite())? == 0)
    }
}
