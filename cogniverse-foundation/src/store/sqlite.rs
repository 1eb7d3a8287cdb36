//! A configuration store in one SQLite file, shared by the processes of one machine.

mod error;
mod format;
mod rows;
mod shared;

use crate::worker::blocking;
use async_trait::async_trait;
use cogniverse_sdk::config_store::cursor::{self, ConfigListing};
use cogniverse_sdk::config_store::versioning;
use cogniverse_sdk::config_store::{
    ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigPage, ConfigStore, ConfigVersions, Expected, ListConfig,
    PutConfig,
};
use cogniverse_sdk::{Clock, KeptFile, PageCursor, Result, SystemClock, TenantId};
pub(super) use error::Failure;
use format::connect_shared;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
pub(super) use shared::{Kind, SharedFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Shared {
    path: PathBuf,
    kept: KeptFile,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// A connection that only asks whether another one changed the file. It is used on the runtime's own threads, as
    /// the question reads shared memory and waits for nobody.
    watcher: Mutex<Connection>,
}

/// A [`ConfigStore`] in one SQLite file. Clones share its connections.
///
/// Any number of processes on one machine may open the same file: every write checks and commits in one transaction
/// that holds the file's write lock, so that one of two writers that expect the same version wins. An acknowledged
/// write is on disk. There is no cache: the next call sees what another process wrote ([invariant 22](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#22)).
#[derive(Clone)]
pub struct SqliteConfigStore {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SqliteConfigStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteConfigStore").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl SqliteConfigStore {
    /// Opens a file, or creates it and the folders above it.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened or written, `Corrupt` where it is not a configuration store,
    /// `FailedPrecondition` where a newer release wrote it. None of them changes the file.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let opened = blocking(move || match format::open(&path) {
            Ok(format::Opened { writer, reader, watcher, kept }) => {
                let [writer, reader, watcher] = [writer, reader, watcher].map(Mutex::new);
                Ok(Shared { path, kept, writer, reader, watcher })
            }
            Err(failure) => Err(failure.into_error(&path)),
        });
        let shared = opened.await.map_err(|e| e.with_operation("open config store"))?;
        Ok(Self { shared: Arc::new(shared), clock: Arc::new(SystemClock) })
    }

    /// Sets the clock that stamps versions.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let job = move || {
            let held = shared.reader.try_lock_for(format::BUSY_TIMEOUT).ok_or(Failure::Queue);
            let done = held.and_then(|connection| {
                shared.kept.check()?;
                work(&connection)
            });
            done.map_err(|failure| failure.into_error(&shared.path))
        };
        blocking(job).await.map_err(|e| e.with_operation(operation))
    }

    /// Moves the write-ahead log into the file and empties it.
    async fn empty_log(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let job = move || {
            let held = shared.writer.try_lock_for(format::BUSY_TIMEOUT).ok_or(Failure::Queue);
            held.and_then(|connection| format::empty_log(&connection))
                .map_err(|failure| failure.into_error(&shared.path))
        };
        blocking(job).await.map_err(|e| e.with_operation("erase tenant config"))
    }

    /// Runs a transaction that holds the file's write lock from the start, so that what it reads cannot change before
    /// it ends.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let job = move || {
            let held = shared.writer.try_lock_for(format::BUSY_TIMEOUT).ok_or(Failure::Queue);
            let done = held.and_then(|mut connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let result = work(&transaction)?;
                transaction.commit()?;
                // What was written to a file that is gone was not stored.
                shared.kept.check()?;
                Ok(result)
            });
            done.map_err(|failure| failure.into_error(&shared.path))
        };
        blocking(job).await.map_err(|e| e.with_operation(operation))
    }
}

#[async_trait]
impl ConfigStore for SqliteConfigStore {
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry> {
        versioning::check_put(&put)?;
        let clock = Arc::clone(&self.clock);
        self.write("put config", move |transaction| {
            let head = rows::head(transaction, &put.key)?;
            let version = versioning::next_version(&put.key, put.expected, head)?;
            let PutConfig { key, value, origin, .. } = put;
            let entry = ConfigEntry { key, version, value: Some(value), origin, created_at: clock.now() };
            rows::insert(transaction, &entry)?;
            Ok(entry)
        })
        .await
    }

    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        let key = key.clone();
        self.read("get config", move |connection| rows::get(connection, &key, version)).await
    }

    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions> {
        let limit = versioning::page_limit(limit)?;
        let key = key.clone();
        self.read("read config history", move |connection| {
            let entries = rows::history(connection, &key, before, limit)?;
            let next = entries.last().map(|last| last.version).filter(|version| *version > 1);
            Ok(ConfigVersions { entries, next })
        })
        .await
    }

    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        let limit = versioning::page_limit(list.limit)?;
        let listing = ConfigListing::of(&list);
        let from = cursor::decode(&listing, list.after.as_ref())?;
        self.read("list configs", move |connection| {
            let mut entries = rows::list(connection, &list, &from, limit.saturating_add(1))?;
            let next = cursor::cut(&listing, &mut entries, limit)?;
            Ok(ConfigPage { entries, next })
        })
        .await
    }

    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        let (key, clock) = (key.clone(), Arc::clone(&self.clock));
        self.write("delete config", move |transaction| {
            let head = rows::head(transaction, &key)?;
            let version = versioning::deletion_version(&key, expected, head)?;
            let origin = ConfigOrigin::Deleted;
            let entry = ConfigEntry { key, version, value: None, origin, created_at: clock.now() };
            rows::insert(transaction, &entry)?;
            Ok(entry)
        })
        .await
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let owner = ConfigOwner::Tenant(tenant.clone());
        let erased = self.write("erase tenant config", move |transaction| rows::erase(transaction, &owner)).await?;
        // What was erased is overwritten in the file, and still stands in its log until that is emptied.
        self.empty_log().await?;
        Ok(erased)
    }

    async fn export(&self, owner: &ConfigOwner, after: Option<PageCursor>, limit: usize) -> Result<ConfigPage> {
        let limit = versioning::page_limit(limit)?;
        let listing = ConfigListing::Export { owner: owner.clone() };
        let from = cursor::decode(&listing, after.as_ref())?;
        let owner = owner.clone();
        self.read("export configs", move |connection| {
            let mut entries = rows::export(connection, &owner, &from, limit.saturating_add(1))?;
            let next = cursor::cut(&listing, &mut entries, limit)?;
            Ok(ConfigPage { entries, next })
        })
        .await
    }

    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        self.write("import configs", move |transaction| {
            let added = versioning::import_plan(entries, |key| rows::all(transaction, key))?;
            for entry in &added {
                rows::insert(transaction, entry)?;
            }
            Ok(added.len() as u64)
        })
        .await
    }

    async fn change_mark(&self) -> Result<Option<u64>> {
        let asked = || {
            let connection = self.shared.watcher.lock();
            self.shared.kept.check()?;
            format::data_version(&connection)
        };
        let mark = asked().map_err(|failure: Failure| failure.into_error(&self.shared.path))?;
        Ok(Some(mark))
    }
}
