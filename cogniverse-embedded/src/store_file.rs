//! The database file of an open store, and the connections to it.

use cogniverse_sdk::{Error, ErrorKind, KeptFile, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The remedy that an error names where a store's file is lost.
pub(crate) const START_OVER: &str = "drop the schema by name and ingest again";

/// The database file of an open store. It counts the connections, and detects that the file or its log is lost.
///
/// SQLite writes to a log beside the file. Closing the last connection of all processes copies the log into the file and removes
/// it. The identity of the log is therefore known from the first connection of this store to the last, and checked as long; the
/// identity of the file is checked always.
///
/// While no connection is open, a missing log is normal, and may also be one that somebody removed before it was copied, as where
/// the last close found a reader in another process. An inode number proves nothing then either, as nothing keeps it from being
/// given to another file. What makes it right is one invariant, which the first connection checks before anybody uses it: *the
/// file, with the log that lies beside it, names this store and its last published write*. Whatever was lost, replaced or put
/// back meanwhile lacks one of the two.
#[derive(Debug)]
pub(crate) struct StoreFile {
    path: PathBuf,
    state: Mutex<State>,
    /// Signals the end of a turn.
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    kept: KeptFile,
    open: usize,
    /// Whether a connection is being opened or closed. One at a time: whether it is the first or the last stays true until then.
    is_turn: bool,
}

impl StoreFile {
    /// Records the file that a connection opened and read.
    pub(crate) fn opened(path: &Path, connection: Connection) -> Result<StoreConnection> {
        let state = State { kept: KeptFile::opened(path)?, open: 1, is_turn: false };
        let file = Arc::new(Self { path: path.to_owned(), state: Mutex::new(state), ended: Condvar::new() });
        Ok(StoreConnection::new(&file, connection))
    }

    /// Checks that the path still names the file that was opened and, while a connection is open, its log.
    pub(crate) fn check(&self) -> Result<()> {
        self.state.lock().kept.check()
    }

    /// Opens another connection by `open`, which is told whether it is the first: it then has to check what it reads. Blocking.
    pub(crate) fn connect(self: &Arc<Self>, open: impl FnOnce(bool) -> Result<Connection>) -> Result<StoreConnection> {
        self.begin_turn();
        let _turn = Turn(Arc::clone(self));
        let is_first = {
            let state = self.state.lock();
            state.kept.check()?;
            state.open == 0
        };
        if is_first {
            // An empty file would be taken for a new database.
            KeptFile::exists_where_made(&self.path, true, START_OVER)?;
        }
        let connection = open(is_first)?;
        let mut state = self.state.lock();
        if is_first {
            // The connection has read: the log is there, and stays while a connection is open.
            let found = KeptFile::opened(&self.path)?;
            state.kept.check()?;
            state.kept = found;
        }
        state.open += 1;
        drop(state);
        Ok(StoreConnection::new(self, connection))
    }

    /// Waits until no connection is being opened or closed, and keeps it so until a [`Turn`] is dropped. Blocking.
    fn begin_turn(&self) {
        let mut state = self.state.lock();
        while state.is_turn {
            self.ended.wait(&mut state);
        }
        state.is_turn = true;
    }

    fn forget_one(&self) {
        let mut state = self.state.lock();
        state.open = state.open.saturating_sub(1);
        // What was lost while it was open stays lost, although the close may write down what was in the log.
        let is_lost = |error: Error| error.kind() == ErrorKind::Corrupt;
        if state.open == 0 && !state.kept.check().is_err_and(is_lost) {
            state.kept = state.kept.clone().without_log();
        }
    }
}

/// The end, on drop, of the turn in which a connection is opened or closed.
#[derive(Debug)]
struct Turn(Arc<StoreFile>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state.lock().is_turn = false;
        self.0.ended.notify_one();
    }
}

/// An open connection to a store's file. Dropped, it is closed: the last one of a file writes the log down, which may take as long
/// as the disk does.
#[derive(Debug)]
pub(crate) struct StoreConnection {
    // Dropped in this order: a turn begins, the connection is closed in it, and it ends.
    counted: Counted,
    connection: Connection,
    _turn: Turn,
}

impl StoreConnection {
    fn new(file: &Arc<StoreFile>, connection: Connection) -> Self {
        Self { counted: Counted(Arc::clone(file)), connection, _turn: Turn(Arc::clone(file)) }
    }

    /// Returns the file that it reads.
    pub(crate) fn file(&self) -> &Arc<StoreFile> {
        &self.counted.0
    }
}

/// One of the open connections of a file.
#[derive(Debug)]
struct Counted(Arc<StoreFile>);

impl Drop for Counted {
    /// Begins a turn, which the connection's [`Turn`] ends.
    fn drop(&mut self) {
        self.0.begin_turn();
        self.0.forget_one();
    }
}

impl Deref for StoreConnection {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for StoreConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
