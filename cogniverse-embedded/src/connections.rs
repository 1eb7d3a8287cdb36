//! The pool of idle connections to the files of all stores.

use crate::{
    returned::give_back,
    store_file::{StoreConnection, StoreFile},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The number of evicted connections after which free memory is given back. Threads with heaps of their own open and close them, and
/// each heap would keep the room for as many as it ever had.
const TRIM_AFTER: u64 = 256;

/// The idle connections of all open stores, bounded: beyond the limit, the longest unused one is closed.
///
/// Connections in use are not counted. No lock of the pool is held while a connection is opened or closed.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The number of connections that were ever put back.
    count: u64,
    /// The number of connections that were ever evicted.
    evicted: u64,
    /// By the turn in which each was put back.
    by_turn: BTreeMap<u64, StoreConnection>,
    /// The turns of each file's connections, ascending. A file is named by its address, which is nobody else's while a connection
    /// of it is in the pool.
    by_file: HashMap<usize, Vec<u64>>,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, idle: Mutex::default() }
    }

    /// Takes the connection to a file that was used last.
    pub(crate) fn take(&self, file: &Arc<StoreFile>) -> Option<StoreConnection> {
        let mut idle = self.idle.lock();
        let turn = *idle.by_file.get(&address(file))?.last()?;
        let connection = idle.remove(turn)?;
        drop(idle);
        // Always: a connection of another store must never be used, whatever the maps say.
        Arc::ptr_eq(connection.file(), file).then_some(connection)
    }

    /// Puts a connection back, and returns what is to be closed for it. The caller drops that, without locks that others need.
    #[must_use]
    pub(crate) fn put(&self, connection: StoreConnection) -> Option<Evicted> {
        let mut idle = self.idle.lock();
        // What an error left in the middle of a transaction is of no use to the next.
        if self.limit == 0 || !connection.is_autocommit() {
            return Some(idle.evict(connection));
        }
        let oldest = if idle.by_turn.len() < self.limit { None } else { idle.remove_oldest() };
        let evicted = oldest.map(|oldest| idle.evict(oldest));
        let turn = idle.count;
        idle.count += 1;
        idle.by_file.entry(address(connection.file())).or_default().push(turn);
        idle.by_turn.insert(turn, connection);
        evicted
    }

    /// Closes the connection that was unused for the longest time; `false` where there is none.
    pub(crate) fn close_one(&self) -> bool {
        let closed = self.idle.lock().remove_oldest();
        closed.is_some()
    }

    /// Closes all connections to a file.
    pub(crate) fn close_all(&self, file: &Arc<StoreFile>) {
        while let Some(connection) = self.take(file) {
            drop(connection);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.idle.lock().by_turn.len()
    }
}

/// A connection that is to be closed, by dropping it.
#[derive(Debug)]
pub(crate) struct Evicted {
    // Dropped in this order.
    _connection: StoreConnection,
    _memory: Option<Memory>,
}

/// The memory of closed connections, which is given back on drop.
#[derive(Debug)]
struct Memory;

impl Drop for Memory {
    fn drop(&mut self) {
        give_back();
    }
}

impl Idle {
    fn evict(&mut self, connection: StoreConnection) -> Evicted {
        self.evicted += 1;
        Evicted { _connection: connection, _memory: self.evicted.is_multiple_of(TRIM_AFTER).then_some(Memory) }
    }

    fn remove_oldest(&mut self) -> Option<StoreConnection> {
        let turn = *self.by_turn.first_key_value()?.0;
        self.remove(turn)
    }

    fn remove(&mut self, turn: u64) -> Option<StoreConnection> {
        let connection = self.by_turn.remove(&turn)?;
        let file = address(connection.file());
        if let Some(turns) = self.by_file.get_mut(&file) {
            turns.retain(|other| *other != turn);
            if turns.is_empty() {
                self.by_file.remove(&file);
            }
        }
        Some(connection)
    }
}

fn address(file: &Arc<StoreFile>) -> usize {
    Arc::as_ptr(file).addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::path::Path;

    /// A file, and as many connections to it as are asked for, each told apart by the size of its cache.
    fn connections(folder: &Path, name: &str, count: i64) -> (Arc<StoreFile>, Vec<StoreConnection>) {
        let path = folder.join(name);
        let open = |number: i64| {
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (n)").unwrap();
            connection.pragma_update(None, "cache_size", 100 + number).unwrap();
            connection
        };
        let first = StoreFile::opened(&path, open(0)).unwrap();
        let file = Arc::clone(first.file());
        let mut all = vec![first];
        all.extend((1..count).map(|number| file.connect(|_| Ok(open(number))).unwrap()));
        (file, all)
    }

    fn number(connection: &StoreConnection) -> i64 {
        connection.pragma_query_value(None, "cache_size", |row| row.get::<_, i64>(0)).unwrap() - 100
    }

    #[test]
    fn the_longest_unused_is_closed_beyond_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Connections::new(3);
        let (a, of_a) = connections(folder.path(), "a", 2);
        let (b, of_b) = connections(folder.path(), "b", 2);
        let mut closed = Vec::new();
        for connection in of_a.into_iter().chain(of_b) {
            closed.extend(pool.put(connection));
        }
        let closed: Vec<_> = closed
            .iter()
            .map(|Evicted { _connection: connection, .. }| (Arc::ptr_eq(connection.file(), &a), number(connection)))
            .collect();
        assert_eq!((closed, pool.len()), (vec![(true, 0)], 3));
        // The one that was used last is taken first, so that the others grow old.
        let taken = pool.take(&b).unwrap();
        assert_eq!(number(&taken), 1);
        assert!(pool.put(taken).is_none());
        assert!(pool.close_one());
        assert!(pool.take(&a).is_none(), "it was the oldest");
        assert_eq!((pool.take(&b).map(|one| number(&one)), pool.take(&b).map(|one| number(&one))), (Some(1), Some(0)));
        assert!(!pool.close_one() && pool.len() == 0);
        let none = Connections::new(0);
        let (_, one) = connections(folder.path(), "c", 1);
        assert!(one.into_iter().all(|one| none.put(one).is_some()));
    }

    #[test]
    fn a_store_gets_connections_of_its_own_opening_only() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Connections::new(8);
        let (before, first) = connections(folder.path(), "a", 2);
        let (now, second) = connections(folder.path(), "a", 1);
        for connection in first.into_iter().chain(second) {
            assert!(pool.put(connection).is_none());
        }
        let taken = pool.take(&now).unwrap();
        assert!(
            Arc::ptr_eq(taken.file(), &now) && pool.take(&now).is_none(),
            "two are of an earlier opening of the path"
        );
        pool.close_all(&before);
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn a_connection_in_a_transaction_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Connections::new(8);
        let (_, mut one) = connections(folder.path(), "a", 1);
        let one = one.pop().unwrap();
        one.execute_batch("BEGIN").unwrap();
        assert!(pool.put(one).is_some() && pool.len() == 0);
    }
}
