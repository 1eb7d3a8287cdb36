//! One opened tenant schema: its record, its index, its connections.

use crate::{
    catalog::Deployment,
    config::Durability,
    error,
    index::{FloatCache, Snapshot},
    layout::Layout,
    record::{Change, Record, Writer},
};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{Error, Result, TenantSchema};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Reader connections that stay open between calls.
const IDLE_READERS: usize = 4;
/// The file of documents in a deployment's folder.
const FILE: &str = "documents.sqlite";

/// An opened tenant schema. It holds file handles and memory, no thread.
#[derive(Debug)]
pub(crate) struct TenantStore {
    name: TenantSchema,
    schema: RwLock<Arc<Schema>>,
    layout: Arc<Layout>,
    record: Record,
    float_cache: FloatCache,
    snapshot: RwLock<Arc<Snapshot>>,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    dropped: AtomicBool,
}

impl TenantStore {
    /// Opens the deployment's file, or makes it where the deployment is new. Blocking.
    pub(crate) fn open(
        folder: &Path,
        deployment: &Deployment,
        durability: Durability,
        float_cache: FloatCache,
    ) -> Result<Self> {
        let name = deployment.deployed.schema.clone();
        let schema = Arc::new(Schema::compile(Arc::clone(&deployment.deployed.definition))?);
        let layout = Arc::new(Layout::of(&schema));
        let path = folder.join(FILE);
        if deployment.initialized && !path.exists() {
            return Err(error::corrupt(&path, "the file is missing"));
        }
        fs::create_dir_all(folder).map_err(|e| error::io(folder, e))?;
        let record = Record::new(path, name.clone(), Arc::clone(&layout), durability);
        let mut writer = record.connect()?;
        record.prepare(&mut writer)?;
        let snapshot = RwLock::new(Arc::new(record.load(&writer)?));
        let (writer, readers) = (Mutex::new(writer), Mutex::default());
        Ok(Self {
            name,
            schema: RwLock::new(schema),
            layout,
            record,
            float_cache,
            snapshot,
            writer,
            readers,
            dropped: AtomicBool::new(false),
        })
    }

    pub(crate) fn name(&self) -> &TenantSchema {
        &self.name
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
        let idle = self.readers.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.record.connect()?,
        };
        let result = work(&connection);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// Runs one transaction and shows what it changed. Writers of one schema take turns. Blocking.
    pub(crate) fn write(&self, work: impl FnOnce(&Snapshot, &mut Writer<'_>) -> Result<()>) -> Result<()> {
        let mut connection = self.writer.lock();
        self.check_not_dropped()?;
        let before = self.snapshot();
        let Change { removed, added } = self.record.write(&mut connection, |writer| work(&before, writer))?;
        if !(removed.is_empty() && added.is_empty()) {
            *self.snapshot.write() = Arc::new(before.next(&removed, added));
        }
        Ok(())
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
