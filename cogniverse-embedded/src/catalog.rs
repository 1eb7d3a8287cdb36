//! The catalog of deployed tenant schemas: one small SQLite file, read in full on open.

use crate::error;
use cogniverse_core::schemas::deployment;
use cogniverse_sdk::{
    BaseSchema, DeployedSchema, Error, ErrorCode, KeptFile, Result, SchemaName, TenantId, TenantSchema, Timestamp,
    schema_store::SchemaAction,
};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The format version of the file; newer ones are refused.
const FORMAT: i64 = 2;

/// A recorded deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) deployed: DeployedSchema,
    /// Distinguishes this deployment from an earlier one of the same pair.
    pub(crate) generation: i64,
    /// Whether its file was created: from then on a missing file is damage, not a new schema.
    pub(crate) initialized: bool,
    /// The identity stored in its file, assigned before the file is created, so that another file in its place is
    /// detected. `None` where an earlier release created it.
    pub(crate) store: Option<String>,
}

/// A pending drop: the folder is removed first, then this record.
#[derive(Debug, Clone)]
pub(crate) struct BegunDrop {
    pub(crate) schema: TenantSchema,
    pub(crate) generation: i64,
}

#[derive(Debug)]
pub(crate) struct Catalog {
    path: PathBuf,
    kept: KeptFile,
    connection: Mutex<Connection>,
}

impl Catalog {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let create = if KeptFile::exists(&path)? { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_CREATE };
        // The mark comes last: a process may have died between the file and its tables, and had told nobody of it.
        let made = KeptFile::was_made(&path)?;
        let connection = Connection::open_with_flags(&path, flags | create)
            .and_then(|c| Self::prepare(&c, !made).map(|format| (c, format)));
        let (connection, format) = connection.map_err(|e| error::sqlite(&path, e))?;
        if format > FORMAT {
            return Err(Error::of(
                ErrorCode::StorageFormatNewer,
                format!(
                    "{} has format {format} and this version knows {FORMAT}; use a newer cogniverse",
                    path.display()
                ),
            ));
        }
        if format == 0 && made {
            return Err(KeptFile::emptied(&path));
        }
        let kept = KeptFile::made(&path)?;
        Ok(Self { path, kept, connection: Mutex::new(connection) })
    }

    /// Migrates the file and returns the format that it had; 0 for a new file.
    fn prepare(connection: &Connection, new: bool) -> rusqlite::Result<i64> {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if format == 0 && new {
            connection.execute_batch(
                "BEGIN IMMEDIATE;
                 CREATE TABLE IF NOT EXISTS deployments (
                   generation INTEGER PRIMARY KEY AUTOINCREMENT,
                   physical TEXT NOT NULL UNIQUE,
                   tenant TEXT NOT NULL,
                   base TEXT NOT NULL,
                   definition TEXT NOT NULL,
                   deployed_at INTEGER NOT NULL,
                   initialized INTEGER NOT NULL DEFAULT 0,
                   store TEXT,
                   UNIQUE (tenant, base));
                 CREATE TABLE IF NOT EXISTS drops (
                   generation INTEGER PRIMARY KEY, tenant TEXT NOT NULL, base TEXT NOT NULL);
                 PRAGMA user_version = 2;
                 COMMIT;",
            )?;
            // The file itself holds the tables from here on, not its log alone.
            connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()))?;
        }
        if format == 1 {
            connection.execute_batch(
                "BEGIN IMMEDIATE;
                 ALTER TABLE deployments ADD COLUMN store TEXT;
                 CREATE TABLE drops (generation INTEGER PRIMARY KEY, tenant TEXT NOT NULL, base TEXT NOT NULL);
                 PRAGMA user_version = 2;
                 COMMIT;",
            )?;
        }
        Ok(format)
    }

    fn error(&self) -> impl Fn(rusqlite::Error) -> Error + '_ {
        |e| error::sqlite(&self.path, e)
    }

    pub(crate) fn get(&self, schema: &TenantSchema) -> Result<Option<Deployment>> {
        let connection = self.connection.lock();
        let row = connection
            .query_row(
                "SELECT tenant, base, definition, deployed_at, generation, initialized, store FROM deployments WHERE tenant = ?1 AND base = ?2",
                params![schema.tenant().as_str(), schema.base().as_str()],
                record,
            )
            .optional()
            .map_err(self.error())?;
        row.map(|row| self.read(row)).transpose()
    }

    /// Returns the deployment, or an error that lists the tenant's other schemas.
    pub(crate) fn require(&self, schema: &TenantSchema) -> Result<Deployment> {
        if let Some(found) = self.get(schema)? {
            return Ok(found);
        }
        // It may have been deployed between the two reads: an error never lists what it misses.
        let (found, others): (Vec<_>, Vec<_>) =
            self.list(schema.tenant())?.into_iter().partition(|deployment| deployment.deployed.schema == *schema);
        let names = others.iter().map(|other| other.deployed.schema.base().clone());
        found.into_iter().next().ok_or_else(|| {
            Error::unknown("deployed schema", schema.base(), names)
                .with_code(ErrorCode::SchemaNotDeployed)
                .with_context("tenant", schema.tenant())
        })
    }

    pub(crate) fn list(&self, tenant: &TenantId) -> Result<Vec<Deployment>> {
        self.select("WHERE tenant = ?1 ORDER BY base", [tenant.as_str()])
    }

    pub(crate) fn all(&self) -> Result<Vec<Deployment>> {
        self.select("ORDER BY generation", [])
    }

    fn select(&self, clause: &str, parameters: impl rusqlite::Params) -> Result<Vec<Deployment>> {
        let connection = self.connection.lock();
        let sql = format!(
            "SELECT tenant, base, definition, deployed_at, generation, initialized, store FROM deployments {clause}"
        );
        let rows = connection
            .prepare(&sql)
            .and_then(|mut statement| statement.query_map(parameters, record)?.collect::<rusqlite::Result<Vec<_>>>())
            .map_err(self.error())?;
        rows.into_iter().map(|row| self.read(row)).collect()
    }

    fn read(
        &self,
        (tenant, base, definition, deployed_at, generation, initialized, store): Record,
    ) -> Result<Deployment> {
        let damaged = |what: String| error::corrupt(&self.path, what);
        let tenant = TenantId::parse(&tenant).map_err(|e| damaged(e.to_string()))?;
        let base = SchemaName::parse(&base).map_err(|e| damaged(e.to_string()))?;
        let definition: BaseSchema = serde_json::from_str(&definition).map_err(|e| damaged(e.to_string()))?;
        let deployed_at = Timestamp::from_millisecond(deployed_at).map_err(|e| damaged(e.to_string()))?;
        let deployed = DeployedSchema::new(TenantSchema::new(&tenant, &base), Arc::new(definition), deployed_at);
        Ok(Deployment { deployed, generation, initialized, store })
    }

    /// Records all changes or none. A physical name that another pair holds is refused ([invariant 2](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#2)).
    pub(crate) fn apply(
        &self,
        changes: &[(TenantSchema, Arc<BaseSchema>, SchemaAction)],
        now: Timestamp,
    ) -> Result<()> {
        let mut connection = self.connection.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(self.error())?;
        for (schema, definition, action) in changes {
            let json = serde_json::to_string(&**definition)
                .map_err(|e| Error::unexpected("a schema definition cannot be written as JSON").with_source(e))?;
            if *action == SchemaAction::Added {
                let holder: Option<(String, String)> = transaction
                    .query_row(
                        "SELECT tenant, base FROM deployments WHERE physical = ?1",
                        [schema.physical_name()],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .optional()
                    .map_err(self.error())?;
                if let Some((tenant, base)) = holder {
                    return Err(deployment::name_is_held(schema, tenant, base));
                }
                transaction
                    .execute(
                        "INSERT INTO deployments (physical, tenant, base, definition, deployed_at, store)
                         VALUES (?1, ?2, ?3, ?4, ?5, lower(hex(randomblob(16))))",
                        params![
                            schema.physical_name(),
                            schema.tenant().as_str(),
                            schema.base().as_str(),
                            json,
                            now.as_millisecond()
                        ],
                    )
                    .map_err(self.error())?;
            } else if matches!(action, SchemaAction::Changed { .. }) {
                transaction
                    .execute(
                        "UPDATE deployments SET definition = ?3, deployed_at = ?4 WHERE tenant = ?1 AND base = ?2",
                        params![schema.tenant().as_str(), schema.base().as_str(), json, now.as_millisecond()],
                    )
                    .map_err(self.error())?;
            }
        }
        transaction.commit().map_err(self.error())?;
        self.kept.check()
    }

    /// Refuses a physical name that another pair holds.
    pub(crate) fn check_name(&self, schema: &TenantSchema) -> Result<()> {
        let holder = self.select("WHERE physical = ?1", [schema.physical_name()])?;
        match holder.first().map(|d| &d.deployed.schema) {
            Some(other) if other != schema => Err(deployment::name_is_held(schema, other.tenant(), other.base())),
            _ => Ok(()),
        }
    }

    /// Records that the deployment's file was created, with its identity.
    pub(crate) fn set_initialized(&self, generation: i64, store: &str) -> Result<()> {
        self.execute(
            "UPDATE deployments SET initialized = 1, store = ?2 WHERE generation = ?1",
            params![generation, store],
        )
    }

    /// Replaces the deployment with the record of its drop, in one transaction.
    pub(crate) fn begin_drop(&self, deployment: &Deployment) -> Result<()> {
        let schema = &deployment.deployed.schema;
        let mut connection = self.connection.lock();
        let begun = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).and_then(|t| {
            t.execute(
                "INSERT INTO drops (generation, tenant, base) VALUES (?1, ?2, ?3)",
                params![deployment.generation, schema.tenant().as_str(), schema.base().as_str()],
            )?;
            t.execute("DELETE FROM deployments WHERE generation = ?1", [deployment.generation])?;
            t.commit()
        });
        begun.map_err(self.error())?;
        self.kept.check()
    }

    /// Returns the pending drops.
    pub(crate) fn drops(&self) -> Result<Vec<BegunDrop>> {
        let connection = self.connection.lock();
        let rows = connection
            .prepare("SELECT generation, tenant, base FROM drops ORDER BY generation")
            .and_then(|mut statement| {
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                statement.query_map([], read)?.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()
            })
            .map_err(self.error())?;
        let read = |(generation, tenant, base): (i64, String, String)| {
            let damaged = |e: Error| error::corrupt(&self.path, e);
            let tenant = TenantId::parse(&tenant).map_err(|e| damaged(e.into()))?;
            let base = SchemaName::parse(&base).map_err(|e| damaged(e.into()))?;
            Ok(BegunDrop { schema: TenantSchema::new(&tenant, &base), generation })
        };
        rows.into_iter().map(read).collect()
    }

    pub(crate) fn end_drop(&self, generation: i64) -> Result<()> {
        self.execute("DELETE FROM drops WHERE generation = ?1", [generation])
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<()> {
        self.connection.lock().execute(sql, parameters).map_err(self.error())?;
        self.kept.check()
    }

    /// Returns the largest generation ever assigned, including those of dropped schemas.
    pub(crate) fn last_generation(&self) -> Result<i64> {
        let connection = self.connection.lock();
        let last = connection
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'deployments'", [], |row| row.get(0))
            .optional()
            .map_err(self.error())?;
        Ok(last.unwrap_or(0))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

type Record = (String, String, String, i64, i64, bool, Option<String>);

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}
