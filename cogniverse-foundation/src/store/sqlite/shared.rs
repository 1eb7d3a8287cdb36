//! A SQLite file that processes of one machine share: one connection, one immediate transaction for each call.

use super::{Failure, connect_shared, format::empty_log};
use crate::worker::blocking;
use cogniverse_sdk::{KeptFile, Result};
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The longest that a call waits for its turn.
const QUEUE: Duration = Duration::from_secs(5);

struct Inner {
    what: &'static str,
    path: PathBuf,
    kept: KeptFile,
    connection: Mutex<Connection>,
}

/// A file that processes share. A change is on disk within the time that SQLite needs to move its log, which a loss of power
/// may cut short; a killed process loses nothing.
#[derive(Clone)]
pub(crate) struct SharedFile(Arc<Inner>);

impl fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFile").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// The kind of content of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The name in messages, such as `quota store`.
    pub(crate) what: &'static str,
    /// The name of the operation of opening it.
    pub(crate) opening: &'static str,
    /// The version of the tables, as `PRAGMA user_version`.
    pub(crate) format: i64,
    /// The statements that create them.
    pub(crate) tables: &'static str,
    /// A query that only the right tables can answer.
    pub(crate) probe: &'static str,
}

impl SharedFile {
    /// Opens a file, or creates it and the folders above it.
    pub(crate) async fn open(path: PathBuf, kind: Kind) -> Result<Self> {
        let what = kind.what;
        let opened = blocking(move || match open(&path, kind) {
            Ok((connection, kept)) => Ok(Inner { what, path, kept, connection: Mutex::new(connection) }),
            Err(failure) => Err(failure.into_error_of(what, &path)),
        });
        Ok(Self(Arc::new(opened.await.map_err(|e| e.with_operation(kind.opening))?)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Runs work in one transaction, which is undone where it fails.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.transact(operation, TransactionBehavior::Immediate, work).await
    }

    /// Runs work that only reads: as of one moment, without a lock on writers.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.transact(operation, TransactionBehavior::Deferred, work).await
    }

    /// Moves the log into the file and empties it, so that nothing erased is left in it.
    pub(crate) async fn empty_log(&self, operation: &'static str) -> Result<()> {
        let inner = Arc::clone(&self.0);
        let job = move || {
            let held = inner.connection.try_lock_for(QUEUE).ok_or(Failure::Queue);
            held.and_then(|connection| empty_log(&connection))
                .map_err(|failure| failure.into_error_of(inner.what, &inner.path))
        };
        blocking(job).await.map_err(|e| e.with_operation(operation))
    }

    async fn transact<T: Send + 'static>(
        &self,
        operation: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let job = move || {
            let held = inner.connection.try_lock_for(QUEUE).ok_or(Failure::Queue);
            let done = held.and_then(|mut connection| {
                let transaction = connection.transaction_with_behavior(behavior)?;
                let result = work(&transaction)?;
                transaction.commit()?;
                inner.kept.check()?;
                Ok(result)
            });
            done.map_err(|failure| failure.into_error_of(inner.what, &inner.path))
        };
        blocking(job).await.map_err(|e| e.with_operation(operation))
    }
}

fn open(path: &Path, kind: Kind) -> Result<(Connection, KeptFile), Failure> {
    let connection = connect_shared(path, kind.format, kind.tables)?;
    // It is written each second, and a loss of power may take a second of it.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.prepare(kind.probe)?;
    let kept = KeptFile::made(path)?;
    Ok((connection, kept))
}
