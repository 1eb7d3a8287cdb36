//! Stores of the use of quotas: in memory, and in a SQLite file that processes share.

use super::sqlite::{Failure, connect_shared};
use crate::worker::blocking;
use async_trait::async_trait;
use cogniverse_sdk::{KeptFile, Quota, QuotaState, QuotaStore, Result, TenantId};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The longest that a call waits for its turn.
const QUEUE: Duration = Duration::from_secs(5);
const WHAT: &str = "quota store";
/// The version of the tables, as `PRAGMA user_version`.
const FORMAT: i64 = 1;

/// The number of the last change is in the file itself, so that no version repeats.
const TABLES: &str = "
CREATE TABLE quotas (
    tenant TEXT NOT NULL,
    quota TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (tenant, quota)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (number INTEGER NOT NULL) STRICT;
INSERT INTO changes VALUES (0);";

/// A [`QuotaStore`] in memory, for tests and trials.
#[derive(Debug, Default)]
pub struct InMemoryQuotaStore(Mutex<InMemory>);

#[derive(Debug, Default)]
struct InMemory {
    states: BTreeMap<(TenantId, Quota), (QuotaState, u64)>,
    last: u64,
}

impl InMemoryQuotaStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl QuotaStore for InMemoryQuotaStore {
    async fn get(&self, tenant: &TenantId, quota: Quota) -> Result<Option<(QuotaState, u64)>> {
        Ok(self.0.lock().states.get(&(tenant.clone(), quota)).cloned())
    }

    async fn replace(
        &self,
        tenant: &TenantId,
        quota: Quota,
        expected: Option<u64>,
        state: &QuotaState,
    ) -> Result<Option<u64>> {
        let mut inner = self.0.lock();
        let key = (tenant.clone(), quota);
        if inner.states.get(&key).map(|(_, version)| *version) != expected {
            return Ok(None);
        }
        inner.last += 1;
        let version = inner.last;
        inner.states.insert(key, (state.clone(), version));
        Ok(Some(version))
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        Ok(self.0.lock().states.keys().filter(|(owner, _)| owner == tenant).count() as u64)
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let mut inner = self.0.lock();
        let before = inner.states.len();
        inner.states.retain(|(owner, _), _| owner != tenant);
        Ok((before - inner.states.len()) as u64)
    }
}

struct Shared {
    path: PathBuf,
    kept: KeptFile,
    connection: Mutex<Connection>,
}

/// A [`QuotaStore`] in one SQLite file, which processes of one machine may share.
///
/// A change is on disk within the time that SQLite needs to move its log, which a loss of power may cut short: what
/// was used in that moment may then be missing. A killed process loses nothing.
#[derive(Clone)]
pub struct SqliteQuotaStore(Arc<Shared>);

impl std::fmt::Debug for SqliteQuotaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteQuotaStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl SqliteQuotaStore {
    /// Opens a file, or creates it and the folders above it.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened or written, `Corrupt` where it is not a store of quotas,
    /// `FailedPrecondition` where a newer release wrote it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let opened = blocking(move || match open(&path) {
            Ok((connection, kept)) => Ok(Shared { path, kept, connection: Mutex::new(connection) }),
            Err(failure) => Err(failure.into_error_of(WHAT, &path)),
        });
        Ok(Self(Arc::new(opened.await.map_err(|e| e.with_operation("open quota store"))?)))
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.0);
        let job = move || {
            let held = shared.connection.try_lock_for(QUEUE).ok_or(Failure::Queue);
            let done = held.and_then(|mut connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let result = work(&transaction)?;
                transaction.commit()?;
                shared.kept.check()?;
                Ok(result)
            });
            done.map_err(|failure| failure.into_error_of(WHAT, &shared.path))
        };
        blocking(job).await.map_err(|e| e.with_operation(operation))
    }
}

fn open(path: &Path) -> Result<(Connection, KeptFile), Failure> {
    let connection = connect_shared(path, FORMAT, TABLES)?;
    // Use is counted each second, and a loss of power may take a second of it.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.prepare("SELECT tenant, quota, version, state FROM quotas")?;
    let kept = KeptFile::made(path)?;
    Ok((connection, kept))
}

fn unreadable(e: serde_json::Error) -> Failure {
    Failure::Row("a quota that cannot be parsed".to_owned(), e.into())
}

#[async_trait]
impl QuotaStore for SqliteQuotaStore {
    async fn get(&self, tenant: &TenantId, quota: Quota) -> Result<Option<(QuotaState, u64)>> {
        let tenant = tenant.clone();
        self.run("read quota", move |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT state, version FROM quotas WHERE tenant = ?1 AND quota = ?2")?;
            let row = statement.query_row(params![tenant.as_str(), quota.as_str()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            });
            let Some((state, version)) = row.optional()? else { return Ok(None) };
            let state = serde_json::from_str(&state).map_err(unreadable)?;
            Ok(Some((state, version.unsigned_abs())))
        })
        .await
    }

    async fn replace(
        &self,
        tenant: &TenantId,
        quota: Quota,
        expected: Option<u64>,
        state: &QuotaState,
    ) -> Result<Option<u64>> {
        let tenant = tenant.clone();
        let state = serde_json::to_string(state)
            .map_err(|e| cogniverse_sdk::Error::unexpected("a quota cannot be written as JSON").with_source(e))?;
        self.run("store quota", move |transaction| {
            let stored = transaction
                .prepare_cached("SELECT version FROM quotas WHERE tenant = ?1 AND quota = ?2")?
                .query_row(params![tenant.as_str(), quota.as_str()], |row| row.get::<_, i64>(0))
                .optional()?;
            if stored.map(i64::unsigned_abs) != expected {
                return Ok(None);
            }
            let version: i64 = transaction
                .prepare_cached("UPDATE changes SET number = number + 1 RETURNING number")?
                .query_row([], |row| row.get(0))?;
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO quotas (tenant, quota, version, state) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![tenant.as_str(), quota.as_str(), version, state])?;
            Ok(Some(version.unsigned_abs()))
        })
        .await
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        let tenant = tenant.clone();
        self.run("count quotas", move |transaction| {
            let count: i64 = transaction
                .prepare_cached("SELECT count(*) FROM quotas WHERE tenant = ?1")?
                .query_row([tenant.as_str()], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let tenant = tenant.clone();
        self.run("erase quotas", move |transaction| {
            Ok(transaction.execute("DELETE FROM quotas WHERE tenant = ?1", [tenant.as_str()])? as u64)
        })
        .await
    }
}
