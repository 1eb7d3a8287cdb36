//! The open store of one tenant schema: record, index and connections.

use crate::{
    catalog::Deployment,
    config::Durability,
    error,
    index::{FloatCache, Snapshot},
    layout::Layout,
    open_stores::OpenStores,
    record::{Change, Record, StoredDocument, Verification, Writer},
};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{Error, ErrorCode, KeptFile, Result, TenantSchema};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard, RwLock};
use rusqlite::Connection;
use std::{
    fs,
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
/// The name of the file of documents in a deployment's folder.
pub(crate) const FILE: &str = "documents.sqlite";

/// The open store of a tenant schema. It holds file handles and memory, but no thread.
#[derive(Debug)]
pub(crate) struct TenantStore {
    name: TenantSchema,
    /// The identity stored in the file.
    store: String,
    schema: RwLock<Arc<Schema>>,
    layout: Arc<Layout>,
    record: Record,
    float_cache: FloatCache,
    snapshot: RwLock<Arc<Snapshot>>,
    writer: Mutex<Connection>,
    /// Held from a commit until its snapshot is published.
    publishing: Mutex<()>,
    readers: Mutex<Vec<Connection>>,
    /// Other stores, which may be closed to free file descriptors.
    others: Weak<OpenStores>,
    /// The log size at which it is truncated next.
    log_limit: AtomicU64,
    dropped: AtomicBool,
    /// The number of snapshots that are open, during which the log cannot be emptied.
    frozen: AtomicUsize,
}

impl TenantStore {
    /// Opens the deployment's file, or creates it for a new deployment. Blocking.
    pub(crate) fn open(
        folder: &Path,
        deployment: &Deployment,
        durability: Durability,
        float_cache: FloatCache,
        others: Weak<OpenStores>,
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
        let snapshot = RwLock::new(Arc::new(record.load(&writer)?));
        let (writer, readers) = (Mutex::new(writer), Mutex::default());
        Ok(Self {
            name,
            store,
            schema: RwLock::new(schema),
            layout,
            record,
            float_cache,
            snapshot,
            writer,
            publishing: Mutex::default(),
            readers,
            others,
            log_limit: AtomicU64::new(MAX_LOG),
            dropped: AtomicBool::new(false),
            frozen: AtomicUsize::new(0),
        })
    }

    /// Verifies a deployment's file as far as it can be read, without opening it as a store. Blocking.
    pub(crate) fn verify_closed(folder: &Path, deployment: &Deployment) -> Result<Verification> {
        let name = deployment.deployed.schema.clone();
        let layout = Layout::of(&Schema::compile(Arc::clone(&deployment.deployed.definition))?);
        let record = Record::new(folder.join(FILE), name, Arc::new(layout), Durability::default());
        record.verify(&record.connect()?)
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

    pub(crate) fn float_cache(&self) -> &FloatCache {
        &self.float_cache
    }

    /// Returns the current snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    /// Runs `work` with a read connection. Blocking.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.reader()?;
        let result = work(&connection);
        self.put_back(connection);
        result
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
        // The first read fixes the moment.
        self.record.moment(&connection)?;
        self.frozen.fetch_add(1, Ordering::AcqRel);
        Ok(Frozen { store: Arc::clone(self), connection })
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
            let loaded = Arc::new(self.record.load(&*moment.connection()?)?);
            moment.snapshot = loaded;
            *self.snapshot.write() = Arc::clone(&moment.snapshot);
        }
        Ok(moment)
    }

    /// Runs one transaction and publishes its changes. Writers of one schema take turns. Blocking.
    pub(crate) fn write(&self, work: impl FnOnce(&Snapshot, &mut Writer<'_>) -> Result<()>) -> Result<()> {
        let mut connection = self.writer.lock();
        self.check_not_dropped()?;
        let before = self.snapshot();
        let transaction = self.record.begin(&mut connection)?;
        // A commit that said it failed and did not is in the file and not yet in the index.
        let before = match self.record.moment(&transaction)? == before.moment() {
            true => before,
            false => Arc::new(self.record.load(&transaction)?),
        };
        let change = self.record.change(&transaction, |writer| work(&before, writer))?;
        if change.is_empty() {
            // "Nothing to change" is an answer as well.
            return self.record.check_file();
        }
        let Change { removed, added, moment } = change;
        let next = Arc::new(before.next(&removed, added).at(moment));
        {
            let _publishing = self.publishing.lock();
            transaction.commit().map_err(self.record.sqlite())?;
            *self.snapshot.write() = next;
        }
        self.bound_log(&connection);
        // What was written to a file that is gone was not stored.
        self.record.check_file()?;
        Ok(())
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

    /// Waits for the active writer and refuses all later ones.
    pub(crate) fn set_dropped(&self) {
        let _writer = self.writer.lock();
        self.dropped.store(true, Ordering::Release);
    }

    /// Behaves as [`TenantStore::set_dropped`] if the store is empty, and returns whether it is.
    pub(crate) fn set_dropped_if_empty(&self) -> Result<bool> {
        let writer = self.writer.lock();
        self.check_not_dropped()?;
        let known = self.snapshot();
        let empty = match self.record.moment(&writer)? == known.moment() {
            true => known.len() == 0,
            false => self.record.load(&writer)?.len() == 0,
        };
        if empty {
            self.dropped.store(true, Ordering::Release);
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

/// A connection that reads a store as it was at a moment.
#[derive(Debug)]
pub(crate) struct Frozen {
    store: Arc<TenantStore>,
    connection: Connection,
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
        Ok(Self { store, snapshot: store.snapshot(), recorded, connection: Mutex::new(Some(connection)) })
    }

    fn is_one(&self) -> bool {
        self.recorded == self.snapshot.moment()
    }

    /// Returns the connection, when no other core reads by it. A thread that holds it must not ask for it again.
    pub(crate) fn connection(&self) -> Result<MappedMutexGuard<'_, Connection>> {
        MutexGuard::try_map(self.connection.lock(), Option::as_mut)
            .map_err(|_| Error::unexpected("a moment of a store is read after its end"))
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
        TenantStore::open(folder, &deployment, Durability::ProcessCrash, FloatCache::new(1 << 30), Weak::new()).unwrap()
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
            let before = store.snapshot();
            put(1).unwrap();
            *store.snapshot.write() = before;
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
