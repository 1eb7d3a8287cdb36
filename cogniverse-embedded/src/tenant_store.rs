//! The open store of one tenant schema: record and index.

mod folding;
mod moment;
#[cfg(test)]
mod tests;

pub(crate) use moment::{Frozen, Moment};

use crate::{
    catalog::Deployment,
    config::Durability,
    connections::Connections,
    derivations::Derivations,
    error,
    index::{CodeCache, Snapshot, StoredChange},
    layout::Layout,
    open_stores::OpenStores,
    record::{Change, Record, Verification, Writer},
    schemas::{Compiled, Schemas},
    store_file::{START_OVER, StoreConnection, StoreFile},
    vectors::VectorFiles,
};
use cogniverse_core::{failpoint, schemas::Schema};
use cogniverse_sdk::{Error, ErrorCode, KeptFile, Result, TenantSchema};
use parking_lot::{Mutex, MutexGuard, RwLock};
use rusqlite::{Connection, Transaction};
use std::{
    fs,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

/// The size of SQLite's log, in bytes, beyond which it is truncated after a write: well above SQLite's own limit, as
/// the truncation waits for running searches.
const MAX_LOG: u64 = 64 << 20;
/// The number of block files' worth of documents in memory beyond which a writer writes them out itself.
const BACKLOG: usize = 4;
/// The name of the file of documents in a deployment's folder.
pub(crate) const FILE: &str = "documents.sqlite";

/// The index and the files of vectors after one write, which belong together.
#[derive(Debug, Clone)]
struct Published {
    snapshot: Arc<Snapshot>,
    files: Arc<VectorFiles>,
}

/// What all stores of a backend share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) durability: Durability,
    /// The number of documents from which they are written to a block file.
    pub(crate) block_documents: usize,
    pub(crate) code_cache: CodeCache,
    pub(crate) schemas: Schemas,
    pub(crate) derivations: Arc<Derivations>,
    pub(crate) connections: Arc<Connections>,
    /// The stores, of which idle ones may be closed.
    pub(crate) others: Weak<OpenStores>,
}

/// The open store of a tenant schema. It holds memory, but no thread, and file descriptors only while it is at work: its idle
/// connections belong to the pool.
#[derive(Debug)]
pub(crate) struct TenantStore {
    name: TenantSchema,
    /// The identity stored in the file.
    store: String,
    schema: RwLock<Arc<Compiled>>,
    layout: Arc<Layout>,
    record: Record,
    file: Arc<StoreFile>,
    shared: Arc<Shared>,
    published: RwLock<Published>,
    /// The turn of writers.
    writing: Mutex<()>,
    /// Held from a commit until its snapshot is published.
    publishing: Mutex<()>,
    /// The log size at which it is truncated next.
    log_limit: AtomicU64,
    dropped: AtomicBool,
    /// Held while blocks are written out or merged.
    folding: Mutex<()>,
    /// The time at which work on blocks, or the emptying of a file of vectors, failed; `None` where it did not, or has succeeded since.
    refused: Mutex<Option<Instant>>,
    /// Whether SQLite's index of documents was compared with the documents.
    order_checked: AtomicBool,
    /// The number of snapshots that are open, during which the log cannot be emptied.
    frozen: AtomicUsize,
}

impl TenantStore {
    /// Opens the deployment's file, or creates it for a new deployment. Blocking.
    pub(crate) fn open(folder: &Path, deployment: &Deployment, shared: &Arc<Shared>) -> Result<Self> {
        let name = deployment.deployed.schema.clone();
        let compiled = shared.schemas.compile(&deployment.deployed.definition)?;
        let layout = Arc::clone(&compiled.layout);
        let path = folder.join(FILE);
        let exists = KeptFile::exists_where_made(&path, deployment.initialized, START_OVER)?;
        if !exists {
            fs::create_dir_all(folder).map_err(|e| error::io(folder, e))?;
        }
        let mut record = Record::new(path.clone(), name.clone(), Arc::clone(&layout), shared.durability)
            .telling(Arc::clone(&shared.derivations));
        let mut connection = if exists { record.connect()? } else { record.create()? };
        let store = record.prepare(&mut connection, exists, deployment)?;
        let mut connection = StoreFile::opened(&path, connection)?;
        let file = Arc::clone(connection.file());
        record.keep(Arc::clone(&file));
        record.recover_unsynced(&mut connection)?;
        let published = RwLock::new(load(&record, &connection, &VectorFiles::default())?);
        drop(shared.connections.put(connection));
        Ok(Self {
            name,
            store,
            schema: RwLock::new(compiled),
            layout,
            record,
            file,
            shared: Arc::clone(shared),
            published,
            writing: Mutex::default(),
            publishing: Mutex::default(),
            log_limit: AtomicU64::new(MAX_LOG),
            dropped: AtomicBool::new(false),
            folding: Mutex::default(),
            refused: Mutex::default(),
            order_checked: AtomicBool::new(false),
            frozen: AtomicUsize::new(0),
        })
    }

    /// Verifies a deployment's file as far as it can be read, without opening it as a store. Blocking.
    pub(crate) fn verify_closed(folder: &Path, deployment: &Deployment) -> Result<Verification> {
        let name = deployment.deployed.schema.clone();
        let layout = Layout::of(&Schema::compile(Arc::clone(&deployment.deployed.definition))?);
        let record = Record::new(folder.join(FILE), name, Arc::new(layout), Durability::default());
        record.verify_alone(&record.connect()?)
    }

    pub(crate) fn name(&self) -> &TenantSchema {
        &self.name
    }

    pub(crate) fn store_name(&self) -> &str {
        &self.store
    }

    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().schema)
    }

    /// Applies changed rank profiles; the fields are the same.
    pub(crate) fn set_schema(&self, schema: Arc<Compiled>) {
        *self.schema.write() = schema;
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn code_cache(&self) -> &CodeCache {
        &self.shared.code_cache
    }

    /// Returns the current snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read().snapshot)
    }

    fn published(&self) -> Published {
        self.published.read().clone()
    }

    /// Returns a connection from the pool, or another one. Blocking.
    fn connection(&self) -> Result<StoreConnection> {
        self.record.check_file()?;
        self.shared.connections.take(&self.file).map_or_else(|| self.connect(), Ok)
    }

    /// Opens another connection, closing what is idle where the process has no file descriptors left.
    fn connect(&self) -> Result<StoreConnection> {
        let others = || self.shared.others.upgrade();
        loop {
            // Read before the file is: what is published later is in the file as well.
            let known = self.snapshot().moment();
            match self.record.reconnect(&self.file, known) {
                Err(e) if error::is_out_of_files(&e) && others().is_some_and(|others| others.make_room()) => {}
                result => return result,
            }
        }
    }

    /// Keeps writers out until the guard is dropped. Blocking.
    pub(crate) fn pause(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    /// Runs `work` with a connection while other writers wait, unless the schema was dropped. Blocking.
    fn in_turn<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let turn = self.writing.lock();
        self.check_not_dropped()?;
        let mut connection = self.connection()?;
        let result = work(&mut connection);
        // The next writer finds it in the pool, and does not wait for another store's file to be closed.
        let evicted = self.shared.connections.put(connection);
        drop(turn);
        drop(evicted);
        result
    }

    /// Runs one transaction and publishes its changes. Writers of one schema take turns. Blocking.
    pub(crate) fn write(&self, work: impl FnOnce(&Snapshot, &mut Writer<'_>) -> Result<()>) -> Result<()> {
        self.in_turn(|connection| {
            if self.commit(connection, work)? {
                self.bound_log(connection);
                // The write is stored, whatever becomes of what it left behind.
                if self.may_fold()
                    && let Err(error) = self.empty_a_file(connection)
                {
                    *self.refused.lock() = Some(Instant::now());
                    tracing::warn!(schema = %self.name, "a file of vectors cannot be emptied: {}", error.chain());
                }
            }
            Ok(())
        })?;
        // A writer that is faster than the background thread does the work itself.
        if self.may_fold()
            && self.snapshot().unstored() > self.shared.block_documents.saturating_mul(BACKLOG)
            && let Err(error) = self.fold(&|| true)
        {
            tracing::warn!(schema = %self.name, "blocks cannot be written: {}", error.chain());
        }
        // What was written to a file that is gone was not stored; and "nothing to change" is an answer as well.
        self.record.check_file()
    }

    /// Returns whether anything was changed.
    fn commit(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Snapshot, &mut Writer<'_>) -> Result<()>,
    ) -> Result<bool> {
        let before = self.published();
        let transaction = self.record.begin(connection)?;
        // A commit that said it failed and did not is in the file and not yet in the index.
        let before = match self.record.moment(&transaction)? == before.snapshot.moment() {
            true => before,
            false => load(&self.record, &transaction, &before.files)?,
        };
        self.check_order(&transaction, &before.snapshot)?;
        let change = self.record.change(&transaction, &before.files, |writer| work(&before.snapshot, writer))?;
        if change.is_empty() {
            return Ok(false);
        }
        let Change { removed, added, moment, files } = change;
        let next = before.snapshot.next(&removed, added).at(moment);
        let mut emptied = false;
        for change in next.changes_of_stored(&before.snapshot) {
            match change {
                StoredChange::Live(stored, live) => self.record.set_live(&transaction, stored, live)?,
                StoredChange::Gone(stored) => {
                    self.record.unname_block(&transaction, stored.number)?;
                    emptied = true;
                }
            }
        }
        let files = Arc::new(self.record.map_files(&before.files, &files)?);
        self.publish(transaction, Published { snapshot: Arc::new(next), files })?;
        if emptied && let Err(error) = self.record.remove_blocks(connection) {
            tracing::warn!(schema = %self.name, "an empty block cannot be removed: {}", error.chain());
        }
        Ok(true)
    }

    /// Commits a transaction and publishes what it leads to.
    fn publish(&self, transaction: Transaction<'_>, next: Published) -> Result<()> {
        let _publishing = self.publishing.lock();
        transaction.commit().map_err(self.record.sqlite())?;
        *self.published.write() = next;
        Ok(())
    }

    /// Checks once that SQLite's index of documents lists what the snapshot of the same moment holds: where it does not, a
    /// document would be taken for absent. Searches do not use it.
    fn check_order(&self, connection: &Connection, snapshot: &Snapshot) -> Result<()> {
        if !self.order_checked.load(Ordering::Acquire) {
            self.record.check_order(connection, snapshot)?;
            self.order_checked.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Empties and removes a file of vectors of which most belongs to no document, if there is one. The work is less than what
    /// was done to store and delete what it held.
    fn empty_a_file(&self, connection: &mut Connection) -> Result<()> {
        let Some((number, vectors)) = self.record.file_to_empty(connection)? else { return Ok(()) };
        self.commit(connection, |snapshot, writer| writer.empty_file(number, vectors, snapshot.rows_in_file(number)))?;
        failpoint::reach("vectors.moved");
        self.record.remove_vector_files(connection)
    }

    /// Bounds SQLite's log. SQLite restarts the log only at a moment without readers, which overlapping searches
    /// never leave: beyond a size, this waits for the running ones. The write is stored whatever the outcome.
    fn bound_log(&self, writer: &Connection) {
        let size = self.record.log_bytes();
        // A snapshot keeps the log for longer than a writer may wait.
        if size < self.log_limit.load(Ordering::Relaxed) || self.frozen.load(Ordering::Acquire) > 0 {
            return;
        }
        // Where a search holds it for longer than that, the next try is due when as much again was written.
        let limit = match self.record.empty_log(writer) {
            Ok(true) => MAX_LOG,
            Ok(false) => size.saturating_add(MAX_LOG),
            Err(error) => {
                tracing::warn!(schema = %self.name, "the log cannot be emptied: {}", error.chain());
                size.saturating_add(MAX_LOG)
            }
        };
        self.log_limit.store(limit, Ordering::Relaxed);
    }

    /// Waits for the active writer and for work on blocks, and refuses all later ones.
    pub(crate) fn set_dropped(&self) {
        let writing = self.writing.lock();
        self.dropped.store(true, Ordering::Release);
        drop(writing);
        drop(self.folding.lock());
    }

    /// Behaves as [`TenantStore::set_dropped`] if the store is empty, and returns whether it is.
    pub(crate) fn set_dropped_if_empty(&self) -> Result<bool> {
        let empty = self.in_turn(|connection| {
            let known = self.snapshot();
            let empty = match self.record.moment(connection)? == known.moment() {
                true => known.len() == 0,
                false => load(&self.record, connection, &VectorFiles::default())?.snapshot.len() == 0,
            };
            if empty {
                self.dropped.store(true, Ordering::Release);
            }
            Ok(empty)
        })?;
        if empty {
            drop(self.folding.lock());
        }
        Ok(empty)
    }

    /// Reverts [`TenantStore::set_dropped`] after a drop that failed.
    pub(crate) fn set_kept(&self) {
        self.dropped.store(false, Ordering::Release);
    }

    /// Fails calls on a schema that was dropped meanwhile.
    pub(crate) fn check_not_dropped(&self) -> Result<()> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(Error::unknown("deployed schema", self.name.base(), Vec::<String>::new())
                .with_code(ErrorCode::SchemaNotDeployed)
                .with_context("tenant", self.name.tenant())
                .with_context("reason", "it was dropped during this call"));
        }
        Ok(())
    }
}

impl Drop for TenantStore {
    fn drop(&mut self) {
        self.shared.connections.close_all(&self.file);
    }
}

/// Loads the index and maps the files as a connection sees them.
fn load(record: &Record, connection: &Connection, known: &VectorFiles) -> Result<Published> {
    let files = Arc::new(record.vector_files(connection, known)?);
    Ok(Published { snapshot: Arc::new(record.load(connection, &files)?), files })
}
