//! Stores of experiences: in memory, and in a SQLite file that processes share.

use super::sqlite::{Failure, Kind, SharedFile};
use async_trait::async_trait;
use cogniverse_sdk::{
    Error, Experience, ExperienceNote, ExperiencePage, ExperienceStore, Result, SearchId, TenantId,
    experience::MAX_EXPERIENCES,
};
use parking_lot::Mutex;
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// `number` is the order of storing; the number of the last change is in the file itself, so that no version repeats.
const TABLES: &str = "
CREATE TABLE experiences (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    experience TEXT NOT NULL,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX experiences_of_tenant ON experiences (tenant, number);
CREATE TABLE states (
    tenant TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE erased (tenant TEXT NOT NULL PRIMARY KEY, generation INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE changes (number INTEGER NOT NULL) STRICT;
INSERT INTO changes VALUES (0);";

/// An [`ExperienceStore`] in memory, for tests and trials.
#[derive(Debug, Default)]
pub struct InMemoryExperienceStore(Mutex<InMemory>);

#[derive(Debug, Default)]
struct InMemory {
    experiences: BTreeMap<TenantId, BTreeMap<u64, Experience>>,
    states: BTreeMap<TenantId, (Value, u64)>,
    erased: BTreeMap<TenantId, u64>,
    last: u64,
}

impl InMemory {
    fn is_erased(&self, tenant: &TenantId, generation: u64) -> bool {
        self.erased.get(tenant).is_some_and(|erased| generation <= *erased)
    }

    fn find(&self, tenant: &TenantId, id: &SearchId) -> Option<u64> {
        let of_tenant = self.experiences.get(tenant)?;
        of_tenant.iter().find(|(_, known)| known.id == *id).map(|(number, _)| *number)
    }
}

impl InMemoryExperienceStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl ExperienceStore for InMemoryExperienceStore {
    async fn put(&self, tenant: &TenantId, generation: u64, experiences: Vec<Experience>) -> Result<()> {
        let mut inner = self.0.lock();
        if inner.is_erased(tenant, generation) {
            return Ok(());
        }
        let mut known: std::collections::HashSet<SearchId> =
            inner.experiences.get(tenant).into_iter().flatten().map(|(_, known)| known.id.clone()).collect();
        for experience in experiences {
            if known.insert(experience.id.clone()) {
                inner.last += 1;
                let number = inner.last;
                let of_tenant = inner.experiences.entry(tenant.clone()).or_default();
                of_tenant.insert(number, experience);
                while of_tenant.len() > MAX_EXPERIENCES {
                    of_tenant.pop_first();
                }
            }
        }
        Ok(())
    }

    async fn note(&self, tenant: &TenantId, id: &SearchId, note: ExperienceNote) -> Result<bool> {
        let mut inner = self.0.lock();
        let place = inner.find(tenant, id);
        let known = place.and_then(|place| inner.experiences.get_mut(tenant)?.get_mut(&place));
        Ok(known.map(|known| known.note(&note)).is_some())
    }

    async fn page(&self, tenant: &TenantId, after: Option<u64>, limit: usize) -> Result<ExperiencePage> {
        let inner = self.0.lock();
        let Some(of_tenant) = inner.experiences.get(tenant) else { return Ok(ExperiencePage::default()) };
        let mut rest = of_tenant.range(after.map_or(0, |after| after + 1)..);
        let found: Vec<(u64, Experience)> = rest.by_ref().take(limit).map(|(at, found)| (*at, found.clone())).collect();
        let next = rest.next().and(found.last().map(|(number, _)| *number));
        Ok(ExperiencePage::new(found.into_iter().map(|(_, found)| found).collect(), next))
    }

    async fn get(&self, tenant: &TenantId, id: &SearchId) -> Result<Option<Experience>> {
        let inner = self.0.lock();
        Ok(inner.find(tenant, id).and_then(|place| inner.experiences.get(tenant)?.get(&place)).cloned())
    }

    async fn remove(&self, tenant: &TenantId, id: &SearchId) -> Result<bool> {
        let mut inner = self.0.lock();
        let place = inner.find(tenant, id);
        Ok(place.and_then(|place| inner.experiences.get_mut(tenant)?.remove(&place)).is_some())
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        Ok(self.0.lock().experiences.get(tenant).map_or(0, |of_tenant| of_tenant.len() as u64))
    }

    async fn state(&self, tenant: &TenantId) -> Result<Option<(Value, u64)>> {
        Ok(self.0.lock().states.get(tenant).cloned())
    }

    async fn replace_state(
        &self,
        tenant: &TenantId,
        generation: u64,
        expected: Option<u64>,
        state: &Value,
    ) -> Result<Option<u64>> {
        let mut inner = self.0.lock();
        if inner.is_erased(tenant, generation) || inner.states.get(tenant).map(|(_, version)| *version) != expected {
            return Ok(None);
        }
        inner.last += 1;
        let version = inner.last;
        inner.states.insert(tenant.clone(), (state.clone(), version));
        Ok(Some(version))
    }

    async fn erase_tenant(&self, tenant: &TenantId, generation: u64) -> Result<u64> {
        let mut inner = self.0.lock();
        let erased = inner.erased.entry(tenant.clone()).or_default();
        *erased = generation.max(*erased);
        let experiences = inner.experiences.remove(tenant).map_or(0, |of_tenant| of_tenant.len() as u64);
        Ok(experiences + u64::from(inner.states.remove(tenant).is_some()))
    }
}

/// An [`ExperienceStore`] in one SQLite file, which processes of one machine may share.
///
/// A change is on disk within the time that SQLite needs to move its log, which a loss of power may cut short. A killed
/// process loses nothing.
#[derive(Debug, Clone)]
pub struct SqliteExperienceStore(SharedFile);

impl SqliteExperienceStore {
    /// Opens a file, or creates it and the folders above it.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened or written, `Corrupt` where it is not a store of experiences,
    /// `FailedPrecondition` where a newer release wrote it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let probe = "SELECT number, id, experience, version, state FROM experiences JOIN states USING (tenant)";
        let kind =
            Kind { what: "experience store", opening: "open experience store", format: 1, tables: TABLES, probe };
        let path = path.into();
        Ok(Self(SharedFile::open(path, kind).await?))
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

fn unreadable(e: serde_json::Error) -> Failure {
    Failure::Row("an experience that cannot be parsed".to_owned(), e.into())
}

fn written(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::unexpected("an experience cannot be written as JSON").with_source(e))
}

fn read(transaction: &Transaction<'_>, tenant: &str, id: &str) -> Result<Option<Experience>, Failure> {
    let row: Option<String> = transaction
        .prepare_cached("SELECT experience FROM experiences WHERE tenant = ?1 AND id = ?2")?
        .query_row(params![tenant, id], |row| row.get(0))
        .optional()?;
    row.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
}

#[async_trait]
impl ExperienceStore for SqliteExperienceStore {
    async fn put(&self, tenant: &TenantId, generation: u64, experiences: Vec<Experience>) -> Result<()> {
        let tenant = tenant.clone();
        let rows: Vec<(SearchId, String)> =
            experiences.iter().map(|found| Ok((found.id.clone(), written(found)?))).collect::<Result<_>>()?;
        self.0
            .run("store experiences", move |transaction| {
                if is_erased(transaction, tenant.as_str(), generation)? {
                    return Ok(());
                }
                {
                    let mut insert = transaction.prepare_cached(
                        "INSERT OR IGNORE INTO experiences (tenant, id, experience) VALUES (?1, ?2, ?3)",
                    )?;
                    for (id, text) in &rows {
                        insert.execute(params![tenant.as_str(), id.as_str(), text])?;
                    }
                }
                let kept = i64::try_from(MAX_EXPERIENCES).unwrap_or(i64::MAX);
                transaction
                    .prepare_cached(
                        "DELETE FROM experiences WHERE tenant = ?1 AND number <= (
                            SELECT number FROM experiences WHERE tenant = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                    )?
                    .execute(params![tenant.as_str(), kept])?;
                Ok(())
            })
            .await
    }

    async fn note(&self, tenant: &TenantId, id: &SearchId, note: ExperienceNote) -> Result<bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.0
            .run("note an experience", move |transaction| {
                let Some(mut known) = read(transaction, tenant.as_str(), id.as_str())? else { return Ok(false) };
                known.note(&note);
                let text = serde_json::to_string(&known).map_err(unreadable)?;
                transaction
                    .prepare_cached("UPDATE experiences SET experience = ?3 WHERE tenant = ?1 AND id = ?2")?
                    .execute(params![tenant.as_str(), id.as_str(), text])?;
                Ok(true)
            })
            .await
    }

    async fn page(&self, tenant: &TenantId, after: Option<u64>, limit: usize) -> Result<ExperiencePage> {
        let tenant = tenant.clone();
        let after = i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX);
        self.0
            .read("read experiences", move |transaction| {
                let more = i64::try_from(limit).unwrap_or(i64::MAX - 1).saturating_add(1);
                let mut statement = transaction.prepare_cached(
                    "SELECT number, experience FROM experiences WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
                )?;
                let rows = statement.query_map(params![tenant.as_str(), after, more], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })?;
                let mut found = Vec::new();
                for row in rows {
                    let (number, text) = row?;
                    found.push((number.unsigned_abs(), serde_json::from_str(&text).map_err(unreadable)?));
                }
                let has_more = found.len() > limit;
                found.truncate(limit);
                let next = found.last().map(|(number, _)| *number).filter(|_| has_more);
                Ok(ExperiencePage::new(found.into_iter().map(|(_, found)| found).collect(), next))
            })
            .await
    }

    async fn get(&self, tenant: &TenantId, id: &SearchId) -> Result<Option<Experience>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.0.read("read experience", move |transaction| read(transaction, tenant.as_str(), id.as_str())).await
    }

    async fn remove(&self, tenant: &TenantId, id: &SearchId) -> Result<bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.0
            .run("remove experience", move |transaction| {
                let statement = "DELETE FROM experiences WHERE tenant = ?1 AND id = ?2";
                Ok(transaction.execute(statement, params![tenant.as_str(), id.as_str()])? > 0)
            })
            .await
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        let tenant = tenant.clone();
        self.0
            .read("count experiences", move |transaction| {
                let count: i64 = transaction
                    .prepare_cached("SELECT count(*) FROM experiences WHERE tenant = ?1")?
                    .query_row([tenant.as_str()], |row| row.get(0))?;
                Ok(count.unsigned_abs())
            })
            .await
    }

    async fn state(&self, tenant: &TenantId) -> Result<Option<(Value, u64)>> {
        let tenant = tenant.clone();
        self.0
            .read("read state of optimization", move |transaction| {
                let row: Option<(String, i64)> = transaction
                    .prepare_cached("SELECT state, version FROM states WHERE tenant = ?1")?
                    .query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                let Some((text, version)) = row else { return Ok(None) };
                Ok(Some((serde_json::from_str(&text).map_err(unreadable)?, version.unsigned_abs())))
            })
            .await
    }

    async fn replace_state(
        &self,
        tenant: &TenantId,
        generation: u64,
        expected: Option<u64>,
        state: &Value,
    ) -> Result<Option<u64>> {
        let (tenant, text) = (tenant.clone(), written(state)?);
        self.0
            .run("store state of optimization", move |transaction| {
                let stored: Option<i64> = transaction
                    .prepare_cached("SELECT version FROM states WHERE tenant = ?1")?
                    .query_row([tenant.as_str()], |row| row.get(0))
                    .optional()?;
                let is_erased = is_erased(transaction, tenant.as_str(), generation)?;
                if is_erased || stored.map(i64::unsigned_abs) != expected {
                    return Ok(None);
                }
                let version: i64 = transaction
                    .prepare_cached("UPDATE changes SET number = number + 1 RETURNING number")?
                    .query_row([], |row| row.get(0))?;
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO states (tenant, version, state) VALUES (?1, ?2, ?3)")?
                    .execute(params![tenant.as_str(), version, text])?;
                Ok(Some(version.unsigned_abs()))
            })
            .await
    }

    async fn erase_tenant(&self, tenant: &TenantId, generation: u64) -> Result<u64> {
        let (tenant, generation) = (tenant.clone(), i64::try_from(generation).unwrap_or(i64::MAX));
        let erased = self
            .0
            .run("erase experiences", move |transaction| {
                let experiences =
                    transaction.execute("DELETE FROM experiences WHERE tenant = ?1", [tenant.as_str()])?;
                let states = transaction.execute("DELETE FROM states WHERE tenant = ?1", [tenant.as_str()])?;
                transaction.execute(
                    "INSERT INTO erased VALUES (?1, ?2)
                     ON CONFLICT (tenant) DO UPDATE SET generation = max(generation, excluded.generation)",
                    params![tenant.as_str(), generation],
                )?;
                Ok((experiences + states) as u64)
            })
            .await?;
        // What was erased is overwritten in the file, and still stands in its log until that is emptied.
        self.0.empty_log("erase experiences").await?;
        Ok(erased)
    }
}

/// Returns whether a generation of a tenant was erased.
fn is_erased(transaction: &Transaction<'_>, tenant: &str, generation: u64) -> Result<bool, Failure> {
    let erased: Option<i64> = transaction
        .prepare_cached("SELECT generation FROM erased WHERE tenant = ?1")?
        .query_row([tenant], |row| row.get(0))
        .optional()?;
    Ok(erased.is_some_and(|erased| i64::try_from(generation).unwrap_or(i64::MAX) <= erased))
}
