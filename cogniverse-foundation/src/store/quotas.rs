//! Stores of the use of quotas: in memory, and in a SQLite file that processes share.

use super::sqlite::{Failure, Kind, SharedFile};
use async_trait::async_trait;
use cogniverse_sdk::{Quota, QuotaState, QuotaStore, Result, TenantId};
use parking_lot::Mutex;
use rusqlite::{OptionalExtension, params};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

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

/// A [`QuotaStore`] in one SQLite file, which processes of one machine may share.
///
/// A change is on disk within the time that SQLite needs to move its log, which a loss of power may cut short: what
/// was used in that moment may then be missing. A killed process loses nothing.
#[derive(Debug, Clone)]
pub struct SqliteQuotaStore(SharedFile);

impl SqliteQuotaStore {
    /// Opens a file, or creates it and the folders above it.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened or written, `Corrupt` where it is not a store of quotas,
    /// `FailedPrecondition` where a newer release wrote it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let probe = "SELECT tenant, quota, version, state FROM quotas";
        let kind = Kind { what: "quota store", opening: "open quota store", format: 1, tables: TABLES, probe };
        Ok(Self(SharedFile::open(path.into(), kind).await?))
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

fn unreadable(e: serde_json::Error) -> Failure {
    Failure::Row("a quota that cannot be parsed".to_owned(), e.into())
}

#[async_trait]
impl QuotaStore for SqliteQuotaStore {
    async fn get(&self, tenant: &TenantId, quota: Quota) -> Result<Option<(QuotaState, u64)>> {
        let tenant = tenant.clone();
        self.0
            .run("read quota", move |transaction| {
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
        self.0
            .run("store quota", move |transaction| {
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
        self.0
            .run("count quotas", move |transaction| {
                let count: i64 = transaction
                    .prepare_cached("SELECT count(*) FROM quotas WHERE tenant = ?1")?
                    .query_row([tenant.as_str()], |row| row.get(0))?;
                Ok(count.unsigned_abs())
            })
            .await
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let tenant = tenant.clone();
        let erased = self
            .0
            .run("erase quotas", move |transaction| {
                Ok(transaction.execute("DELETE FROM quotas WHERE tenant = ?1", [tenant.as_str()])? as u64)
            })
            .await?;
        self.0.empty_log("erase quotas").await?;
        Ok(erased)
    }
}
