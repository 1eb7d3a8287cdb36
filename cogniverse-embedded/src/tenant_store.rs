//! The open store of one tenant schema: record, index and connections.

use crate::{
    catalog::Deployment,
    config::Durability,
    error,
    index::{Block, CodeCache, Snapshot, StoredChange},
    layout::Layout,
    open_stores::OpenStores,
    record::{Change, Record, StoredDocument, Verification, Writer},
    vectors::VectorFiles,
};
use cogniverse_core::{failpoint, schemas::Schema};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, KeptFile, Result, TenantSchema};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard, RwLock};
use rusqlite::{Connection, Transaction};
use std::{
    fs,
    ops::Range,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// The number of attempts of a reader to get a consistent view before it blocks commits once.
const ATTEMPTS: usize = 4;
/// The number of idle read connections kept open.
const IDLE_READERS: usize = 2;
/// The size of SQLite's log, in bytes, beyond which it is truncated after a write: well above SQLite's own limit, as
/// the truncation waits for running searches.
const MAX_LOG: u64 = 64 << 20;
/// The number of block files' worth of documents in memory beyond which a writer writes them out itself.
const BACKLOG: usize = 8;
/// The name of the file of documents in a deployment's folder.
pub(crate) const FILE: &str = "documents.sqlite";

/// The index and the files of vectors after one write, which belong together.
#[derive(Debug, Clone)]
struct Published {
    snapshot: Arc<Snapshot>,
    files: Arc<VectorFiles>,
}

/// The open store of a tenant schema. It holds file handles and memory, but no thread.
#[derive(Debug)]
pub(crate) struct TenantStore {
    name: TenantSchema,
    /// The identity stored in the file.
    store: String,
    schema: RwLock<Arc<Schema>>,
    layout: Arc<Layout>,
    record: Record,
    code_cache: CodeCache,
    published: RwLock<Published>,
    writer: Mutex<Connection>,
    /// Held from a commit until its snapshot is published.
    publishing: Mutex<()>,
    readers: Mutex<Vec<Connection>>,
    /// Other stores, which may be closed to free file descriptors.
    others: Weak<OpenStores>,
    /// The log size at which it is truncated next.
    log_limit: AtomicU64,
    dropped: AtomicBool,
    /// The number of documents from which they are written to a block file.
    block_documents: usize,
    /// Held while blocks are written out or merged.
    folding: Mutex<()>,
    /// Whether SQLite's index of documents was compared with the documents.
    order_checked: AtomicBool,
    /// The number of snapshots that are open, during which the log cannot be emptied.
    frozen: AtomicUsize,
}

impl TenantStore {
    /// Opens the deployment's file, or creates it for a new deployment. Blocking.
    pub(crate) fn open(
        folder: &Path,
        deployment: &Deployment,
        durability: Durability,
        code_cache: CodeCache,
        others: Weak<OpenStores>,
        block_documents: usize,
    ) -> Result<Self> {
        let name = deployment.deployed.schema.clone();
        let schema = Arc::new(Schema::compile(Arc::clone(&deployment.deployed.definition))?);
        let layout = Arc::new(Layout::of(&schema));
        let path = folder.join(FILE);
        let start_over = "drop the schema by name and ingest again";
        let exists = KeptFile::exists_where_made(&path, deployment.initialized, start_over)?;
        if !exists {
            fs::create_dir_all(folder).map_err(|e| error::io(folder, e))?;
        }
        let mut record = Record::new(path.clone(), name.clone(), Arc::clone(&layout), durability);
        let mut writer = if exists { record.connect()? } else { record.create()? };
        let store = record.prepare(&mut writer, exists, deployment)?;
        record.keep(KeptFile::opened(&path)?);
        record.recover_unsynced(&mut writer)?;
        let published = RwLock::new(load(&record, &writer, &VectorFiles::default())?);
        let (writer, readers) = (Mutex::new(writer), Mutex::default());
        Ok(Self {
            name,
            store,
            schema: RwLock::new(schema),
            layout,
            record,
            code_cache,
            published,
            writer,
            publishing: Mutex::default(),
            readers,
            others,
            log_limit: AtomicU64::new(MAX_LOG),
            dropped: AtomicBool::new(false),
            block_documents,
            folding: Mutex::default(),
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
        Arc::clone(&self.schema.read())
    }

    /// Applies changed rank profiles; the fields are the same.
    pub(crate) fn set_schema(&self, schema: Arc<Schema>) {
        *self.schema.write() = schema;
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn code_cache(&self) -> &CodeCache {
        &self.code_cache
    }

    /// Returns the current snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read().snapshot)
    }

    fn published(&self) -> Published {
        self.published.read().clone()
    }

    fn reader(&self) -> Result<Connection> {
        self.record.check_file()?;
        let idle = self.readers.lock().pop();
        idle.map_or_else(|| self.connect(), Ok)
    }

    /// Opens another connection, closing an idle store where the process has no file descriptors left.
    fn connect(&self) -> Result<Connection> {
        loop {
            match self.record.connect() {
                Err(e)
                    if error::is_out_of_files(&e) && self.others.upgrade().is_some_and(|others| others.close_one()) => {
                }
                result => return result,
            }
        }
    }

    fn put_back(&self, connection: Connection) {
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
    }

    /// Keeps writers out until the guard is dropped. Blocking.
    pub(crate) fn pause(&self) -> parking_lot::MutexGuard<'_, Connection> {
        self.writer.lock()
    }

    /// Opens a connection whose transaction reads the file as it is now, for as long as it lives. Blocking.
    pub(crate) fn freeze(self: &Arc<Self>) -> Result<Frozen> {
        self.record.check_file()?;
        let connection = self.connect()?;
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

    /// Runs one transaction and publishes its changes. Writers of one schema take turns. Blocking.
    pub(crate) fn write(&self, work: impl FnOnce(&Snapshot, &mut Writer<'_>) -> Result<()>) -> Result<()> {
        let mut connection = self.writer.lock();
        self.check_not_dropped()?;
        if self.commit(&mut connection, work)? {
            self.bound_log(&connection);
            // The write is stored, whatever becomes of what it left behind.
            if let Err(error) = self.empty_a_file(&mut connection) {
                tracing::warn!(schema = %self.name, "a file of vectors cannot be emptied: {}", error.chain());
            }
        }
        drop(connection);
        // A writer that is faster than the background thread does the work itself.
        if self.snapshot().unstored() > self.block_documents.saturating_mul(BACKLOG)
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

    /// Returns whether there are documents to write to a block file, or blocks to merge.
    pub(crate) fn wants_folding(&self) -> bool {
        self.snapshot().to_fold(self.block_documents).is_some()
    }

    /// Writes documents to block files and merges those, until nothing is left to do or `goes_on` says no. Blocking.
    pub(crate) fn fold(&self, goes_on: &dyn Fn() -> bool) -> Result<()> {
        let _folding = self.folding.lock();
        while goes_on() && self.fold_once()? {}
        Ok(())
    }

    /// Returns whether anything was done.
    fn fold_once(&self) -> Result<bool> {
        let (held, views, number) = {
            let connection = self.writer.lock();
            self.check_not_dropped()?;
            let Some((held, views)) = self.snapshot().hold_to_fold(self.block_documents) else { return Ok(false) };
            let held = Arc::new(held);
            self.published.write().snapshot = Arc::clone(&held);
            (held, views, self.record.next_block(&connection)?)
        };
        failpoint::reach("block.begun");
        let written = self.record.write_block(number, &held.merged(views.clone()));
        let folded = written.and_then(|block| {
            failpoint::reach("block.written");
            self.name_folded(&held, views, (number, block))
        });
        if folded.is_err() {
            self.record.discard_block(number);
            let _connection = self.writer.lock();
            let mut published = self.published.write();
            published.snapshot = Arc::new(published.snapshot.as_ref().clone().released());
        }
        folded.map(|()| true)
    }

    /// Puts a block in place of those of which it was made.
    fn name_folded(&self, held: &Snapshot, views: Range<usize>, (number, block): (i64, Block)) -> Result<()> {
        let mut connection = self.writer.lock();
        self.check_not_dropped()?;
        let before = self.published();
        let transaction = self.record.begin(&mut connection)?;
        let moment = self.record.moment(&transaction)?;
        let folded = before.snapshot.folded(held, views, number, block).filter(|_| moment == before.snapshot.moment());
        let Some((next, stored, live)) = folded else {
            return Err(Error::new(ErrorKind::Conflict, "the documents were loaded anew while they were written out"));
        };
        self.record.name_block(&transaction, stored, &live)?;
        // No document changes, but who looks at the record sees that the index is of another state of it.
        let moment = self.record.set_moment(&transaction, moment + 1)?;
        failpoint::reach("block.named");
        let next = Published { snapshot: Arc::new(next.at(moment)), files: before.files };
        for change in next.snapshot.changes_of_stored(&before.snapshot) {
            if let StoredChange::Gone(stored) = change {
                self.record.unname_block(&transaction, stored.number)?;
            }
        }
        self.publish(transaction, next)?;
        failpoint::reach("block.published");
        self.record.remove_blocks(&connection)
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
        let writer = self.writer.lock();
        self.dropped.store(true, Ordering::Release);
        drop(writer);
        drop(self.folding.lock());
    }

    /// Behaves as [`TenantStore::set_dropped`] if the store is empty, and returns whether it is.
    pub(crate) fn set_dropped_if_empty(&self) -> Result<bool> {
        let writer = self.writer.lock();
        self.check_not_dropped()?;
        let known = self.snapshot();
        let empty = match self.record.moment(&writer)? == known.moment() {
            true => known.len() == 0,
            false => load(&self.record, &writer, &VectorFiles::default())?.snapshot.len() == 0,
        };
        if empty {
            self.dropped.store(true, Ordering::Release);
            drop(writer);
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

/// Loads the index and maps the files as a connection sees them.
fn load(record: &Record, connection: &Connection, known: &VectorFiles) -> Result<Published> {
    let files = Arc::new(record.vector_files(connection, known)?);
    Ok(Published { snapshot: Arc::new(record.load(connection, &files)?), files })
}

/// A connection that reads a store as it was at a moment.
#[derive(Debug)]
pub(crate) struct Frozen {
    store: Arc<TenantStore>,
    connection: Connection,
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
    connection: Mutex<Option<Connection>>,
}

impl<'s> Moment<'s> {
    fn begin(store: &'s TenantStore) -> Result<Self> {
        let connection = store.reader()?;
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
        MutexGuard::try_map(self.connection.lock(), Option::as_mut)
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
            self.store.put_back(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::{execute, prepare};
    use cogniverse_sdk::{
        BackendQuery, DeployedSchema, ErrorKind, Timestamp,
        contract::fixture::{axis, document, schema, schema_of, strategy},
    };
    use std::time::Instant;

    fn open(folder: &Path) -> TenantStore {
        let deployment = Deployment {
            deployed: DeployedSchema::new(schema_of("acme"), schema(), Timestamp::UNIX_EPOCH),
            generation: 1,
            initialized: false,
            store: None,
        };
        TenantStore::open(folder, &deployment, Durability::ProcessCrash, CodeCache::new(1 << 30), Weak::new(), 1024)
            .unwrap()
    }

    /// Vectors that a later search cached lack documents that an earlier search still sees.
    #[test]
    fn vectors_that_a_later_search_kept_are_not_an_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        store.write(|_, writer| (0..10).try_for_each(|n| writer.put(document("v", n, "words", axis(0))))).unwrap();
        let before = store.moment().unwrap();
        let row = before.snapshot.blocks()[0].block.row(3).unwrap();
        store.write(|_, writer| writer.delete(row)).unwrap();
        let found = |moment: &Moment<'_>| {
            let query = BackendQuery::new(schema_of("acme"), strategy("float_float"))
                .with_vectors(cogniverse_sdk::contract::fixture::row(axis(0)))
                .with_page(0, 20);
            let prepared = prepare(&store, query, Instant::now(), Arc::default()).unwrap();
            execute(moment, &prepared, &crate::cores::Cores::new(2, 2).enter()).unwrap().matched
        };
        assert_eq!(found(&store.moment().unwrap()), 9);
        assert_eq!(found(&before), 10);
    }

    /// A store obtained before its schema was dropped refuses every write.
    #[test]
    fn a_dropped_store_refuses_every_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let put = |number| store.write(|_, writer| writer.put(document("v", number, "words", axis(0))));
        put(0).unwrap();
        store.set_dropped();
        assert_eq!(put(1).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.check_not_dropped().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.snapshot().len(), 1);
    }

    /// A commit that was reported as failed but stored is found by the next search and kept by the next write.
    #[test]
    fn a_commit_that_was_taken_for_failed_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        for then_write in [false, true] {
            let store = open(&folder.path().join(then_write.to_string()));
            let put = |number| store.write(|_, writer| writer.put(document("v", number, "words", axis(0))));
            put(0).unwrap();
            let before = store.published();
            put(1).unwrap();
            *store.published.write() = before;
            if then_write {
                put(2).unwrap();
                assert_eq!(store.snapshot().len(), 3);
            }
            let moment = store.moment().unwrap();
            assert_eq!(moment.snapshot.len(), if then_write { 3 } else { 2 });
            assert_eq!(moment.snapshot.moment(), store.record.moment(&moment.connection().unwrap()).unwrap());
        }
    }
}
