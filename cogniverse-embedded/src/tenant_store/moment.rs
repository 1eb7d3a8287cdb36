//! Views of a store at one moment.

use super::{Published, TenantStore, load};
use crate::{error, index::Snapshot, record::StoredDocument, store_file::StoreConnection, vectors::VectorFiles};
use cogniverse_sdk::{Error, Result};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use rusqlite::Connection;
use std::sync::{Arc, atomic::Ordering};

/// The number of attempts of a reader to get a consistent view before it blocks commits once.
const ATTEMPTS: usize = 4;

impl TenantStore {
    /// Opens a connection whose transaction reads the file as it is now, for as long as it lives. Blocking.
    pub(crate) fn freeze(self: &Arc<Self>) -> Result<Frozen> {
        let connection = self.connection()?;
        connection.execute_batch("BEGIN").map_err(self.record.sqlite())?;
        // The first read fixes the moment. No writer removes a file while the caller keeps writers out.
        let files = self.record.vector_files(&connection, &self.published().files)?;
        self.check_order(&connection, &self.snapshot())?;
        self.frozen.fetch_add(1, Ordering::AcqRel);
        Ok(Frozen { store: Arc::clone(self), connection, files })
    }

    /// Returns a consistent view of index and record. Blocking.
    ///
    /// A writer commits before it publishes the new snapshot, so that the record is briefly one write ahead. A reader
    /// that starts in between retries, and finally blocks the next commit, so that it always succeeds.
    pub(crate) fn moment(&self) -> Result<Moment<'_>> {
        for _ in 0..ATTEMPTS {
            let moment = Moment::begin(self)?;
            if moment.is_one() {
                return Ok(moment);
            }
        }
        let _publishing = self.publishing.lock();
        let mut moment = Moment::begin(self)?;
        if !moment.is_one() {
            // A commit that said it failed and did not.
            let loaded = load(&self.record, &*moment.connection()?, &moment.files)?;
            (moment.snapshot, moment.files) = (Arc::clone(&loaded.snapshot), Arc::clone(&loaded.files));
            *self.published.write() = loaded;
        }
        Ok(moment)
    }
}

/// A connection that reads a store as it was at a moment.
#[derive(Debug)]
pub(crate) struct Frozen {
    store: Arc<TenantStore>,
    connection: StoreConnection,
    pub(crate) files: VectorFiles,
}

impl std::ops::Deref for Frozen {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.store.frozen.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A consistent view of a store: its index, and a transaction that reads the record of the same write.
#[derive(Debug)]
pub(crate) struct Moment<'s> {
    pub(crate) store: &'s TenantStore,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) files: Arc<VectorFiles>,
    /// The number of the last write that the transaction sees.
    recorded: i64,
    /// The connection, which the cores of one search use by turns; `None` once the view is released.
    connection: Mutex<Option<StoreConnection>>,
}

impl<'s> Moment<'s> {
    fn begin(store: &'s TenantStore) -> Result<Self> {
        let connection = store.connection()?;
        connection.execute_batch("BEGIN").map_err(store.record.sqlite())?;
        // The first read fixes the record's moment; the index is taken after it.
        let recorded = store.record.moment(&connection)?;
        let Published { snapshot, files } = store.published();
        Ok(Self { store, snapshot, files, recorded, connection: Mutex::new(Some(connection)) })
    }

    fn is_one(&self) -> bool {
        self.recorded == self.snapshot.moment()
    }

    /// Returns the connection, when no other core reads by it. A thread that holds it must not ask for it again.
    pub(crate) fn connection(&self) -> Result<MappedMutexGuard<'_, Connection>> {
        MutexGuard::try_map(self.connection.lock(), |connection| connection.as_deref_mut())
            .map_err(|_| Error::unexpected("a moment of a store is read after its end"))
    }

    /// Checks that documents are found by their ids, once a store.
    pub(crate) fn check_order(&self, connection: &Connection) -> Result<()> {
        self.store.check_order(connection, &self.snapshot)
    }

    /// Returns the document of a row that the index names, read by this view's connection.
    pub(crate) fn document(&self, connection: &Connection, row: i64) -> Result<StoredDocument> {
        let record = &self.store.record;
        record
            .document(connection, row)?
            .ok_or_else(|| error::corrupt(record.path(), format!("row {row} is in the index and not in the file")))
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.get_mut().take()
            && connection.execute_batch("COMMIT").is_ok()
        {
            drop(self.store.shared.connections.put(connection));
        }
    }
}
