//! One opened tenant schema: its record, its index, its connections.

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
use cogniverse_sdk::{Error, KeptFile, Result, TenantSchema};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use std::{
    fs,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// How often a reader tries to meet a moment before it holds writers up for one commit.
const ATTEMPTS: usize = 4;
/// Reader connections that stay open between calls.
const IDLE_READERS: usize = 2;
/// Bytes of SQLite's log beyond which it is emptied after a write: many times what SQLite lets it grow to by itself, as that write
/// waits for the searches under way.
const MAX_LOG: u64 = 64 << 20;
/// The file of documents in a deployment's folder.
pub(crate) const FILE: &str = "documents.sqlite";

/// An opened tenant schema. It holds file handles and memory, no thread.
#[derive(Debug)]
pub(crate) struct TenantStore {
    name: TenantSchema,
    /// What the file calls itself.
    store: String,
    schema: RwLock<Arc<Schema>>,
    layout: Arc<Layout>,
    record: Record,
    float_cache: FloatCache,
    snapshot: RwLock<Arc<Snapshot>>,
    writer: Mutex<Connection>,
    /// Held from a commit until what it stored is shown.
    publishing: Mutex<()>,
    readers: Mutex<Vec<Connection>>,
    /// Where files come from when the process has no more to give.
    others: Weak<OpenStores>,
    /// The size of the log at which it is emptied.
    log_limit: AtomicU64,
    dropped: AtomicBool,
}

impl TenantStore {
    /// Opens the deployment's file, or makes it where the deployment is new. Blocking.
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
        })
    }

    /// Reads all of a deployment's file that can be read, without opening it as a store. Blocking.
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

    /// Takes over other rank profiles; the fields are the same.
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

    /// All documents at this moment.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    /// Runs `work` with a connection for reading. Blocking.
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

    /// One more connection, for which files of a store that nobody uses are closed where the process has no more to give.
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

    /// The index and the record as they are together at one moment. Blocking.
    ///
    /// A writer commits first and shows the new index then; between the two the record is one moment ahead. A reader that
    /// begins there tries again, and holds the next commit up when that does not end: it ends always.
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
            moment.snapshot = Arc::new(self.record.load(moment.connection()?)?);
            *self.snapshot.write() = Arc::clone(&moment.snapshot);
        }
        Ok(moment)
    }

    /// Runs one transaction and shows what it changed. Writers of one schema take turns. Blocking.
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

    /// Keeps SQLite's log from growing without end. SQLite begins it anew by itself where nobody reads, and with searches one
    /// over the other somebody always does: beyond a size those under way are waited for. What was written is stored
    /// whatever becomes of it.
    fn bound_log(&self, writer: &Connection) {
        let size = self.record.log_bytes();
        if size < self.log_limit.load(Ordering::Relaxed) {
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

    /// Waits for the writer at work and refuses all later ones.
    pub(crate) fn set_dropped(&self) {
        let _writer = self.writer.lock();
        self.dropped.store(true, Ordering::Release);
    }

    /// A schema that was dropped while a call was under way answers nothing more.
    pub(crate) fn check_not_dropped(&self) -> Result<()> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(Error::unknown("deployed schema", self.name.base(), Vec::<String>::new())
                .with_context("tenant", self.name.tenant())
                .with_context("reason", "it was dropped during this call"));
        }
        Ok(())
    }
}

/// One moment of a store: its index, and a transaction that reads the record as it was then.
#[derive(Debug)]
pub(crate) struct Moment<'s> {
    pub(crate) store: &'s TenantStore,
    pub(crate) snapshot: Arc<Snapshot>,
    /// The number of the record's last write that the transaction sees.
    recorded: i64,
    /// None once the moment is over.
    connection: Option<Connection>,
}

impl<'s> Moment<'s> {
    fn begin(store: &'s TenantStore) -> Result<Self> {
        let connection = store.reader()?;
        connection.execute_batch("BEGIN").map_err(store.record.sqlite())?;
        // The first read fixes the record's moment; the index is taken after it.
        let recorded = store.record.moment(&connection)?;
        Ok(Self { store, snapshot: store.snapshot(), recorded, connection: Some(connection) })
    }

    fn is_one(&self) -> bool {
        self.recorded == self.snapshot.moment()
    }

    pub(crate) fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or_else(|| Error::unexpected("a moment of a store is read after its end"))
    }

    /// The document of a row that the index names.
    pub(crate) fn document(&self, row: i64) -> Result<StoredDocument> {
        let record = &self.store.record;
        record
            .document(self.connection()?, row)?
            .ok_or_else(|| error::corrupt(record.path(), format!("row {row} is in the index and not in the file")))
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
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

    /// What a later search read into memory lacks the vectors of documents that an earlier one still sees.
    #[test]
    fn vectors_that_a_later_search_kept_are_not_an_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        store.write(|_, writer| (0..10).try_for_each(|n| writer.put(document("v", n, "words", axis(0))))).unwrap();
        let before = store.moment().unwrap();
        let row = before.snapshot.blocks()[0].block.rows()[3];
        store.write(|_, writer| writer.delete(row)).unwrap();
        let found = |moment: &Moment<'_>| {
            let query = BackendQuery::new(schema_of("acme"), strategy("float_float"))
                .with_vectors(cogniverse_sdk::contract::fixture::row(axis(0)))
                .with_page(0, 20);
            let prepared = prepare(&store, query, Instant::now(), Arc::default()).unwrap();
            execute(moment, &prepared).unwrap().matched
        };
        assert_eq!(found(&store.moment().unwrap()), 9);
        assert_eq!(found(&before), 10);
    }

    /// Whoever came by the store before it was dropped writes nothing more to it.
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

    /// What a commit stored that said it had failed is found by the next search, and not forgotten by the next write.
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
            assert_eq!(moment.snapshot.moment(), store.record.moment(moment.connection().unwrap()).unwrap());
        }
    }
}
