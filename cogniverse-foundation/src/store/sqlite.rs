//! A store in one SQLite file, shared by any number of processes of one machine.

mod error;
mod format;
mod rows;

use async_trait::async_trait;
use cogniverse_sdk::config_store::cursor::{self, Listing};
use cogniverse_sdk::config_store::versioning;
use cogniverse_sdk::config_store::{
    ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigPage, ConfigStore, Expected, ListConfig, PutConfig,
};
use cogniverse_sdk::{Clock, Error, KeptFile, Result, SystemClock, TenantId};
use error::Failure;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a call waits for another writer before it says `Unavailable`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

struct Shared {
    path: PathBuf,
    kept: KeptFile,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

/// Keeps versions in one SQLite file. Clones share its two connections.
///
/// Any number of processes of one machine may open the same file: every write decides and happens in one transaction
/// that holds the file's write lock, so of two that expect the same version one wins. A write that returned has reached
/// the disk. There is no cache: what another process wrote is seen by the next call (invariant 22).
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
    /// Opens a file, or makes it and the folders above it.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened or written, `Corrupt` where it is not a configuration store,
    /// `FailedPrecondition` where a newer release wrote it. None of them changes the file.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let opened = tokio::task::spawn_blocking(move || match format::open(&path) {
            Ok((writer, reader, kept)) => {
                Ok(Shared { path, kept, writer: Mutex::new(writer), reader: Mutex::new(reader) })
            }
            Err(failure) => Err(failure.into_error(&path)),
        });
        let shared = opened.await.map_err(worker_lost)?.map_err(|e| e.with_operation("open config store"))?;
        Ok(Self { shared: Arc::new(shared), clock: Arc::new(SystemClock) })
    }

    /// Takes times from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The file.
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
            let held = shared.reader.try_lock_for(BUSY_TIMEOUT).ok_or(Failure::Queue);
            let done = held.and_then(|connection| {
                shared.kept.check()?;
                work(&connection)
            });
            done.map_err(|failure| failure.into_error(&shared.path))
        };
        tokio::task::spawn_blocking(job).await.map_err(worker_lost)?.map_err(|e| e.with_operation(operation))
    }

    /// One transaction that holds the file's write lock from its start: what is read in it cannot change before it ends.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let job = move || {
            let held = shared.writer.try_lock_for(BUSY_TIMEOUT).ok_or(Failure::Queue);
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
        tokio::task::spawn_blocking(job).await.map_err(worker_lost)?.map_err(|e| e.with_operation(operation))
    }
}

fn worker_lost(error: tokio::task::JoinError) -> Error {
    Error::unexpected("the worker of a configuration call ended early").with_source(error)
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

    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigPage> {
        let limit = versioning::page_limit(limit)?;
        let key = key.clone();
        self.read("read config history", move |connection| {
            let entries = rows::history(connection, &key, before, limit)?;
            let next = entries.last().filter(|last| last.version > 1).map(|last| last.version.to_string());
            Ok(ConfigPage { entries, next })
        })
        .await
    }

    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        let limit = versioning::page_limit(list.limit)?;
        let listing = Listing::of(&list);
        let from = cursor::decode(&listing, list.after.as_deref())?;
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
        self.write("erase tenant config", move |transaction| rows::erase(transaction, &owner)).await
    }

    async fn export(&self, owner: &ConfigOwner, after: Option<String>, limit: usize) -> Result<ConfigPage> {
        let limit = versioning::page_limit(limit)?;
        let listing = Listing::Export { owner: owner.clone() };
        let from = cursor::decode(&listing, after.as_deref())?;
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
}
