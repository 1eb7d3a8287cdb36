//! Opening the file: connections, settings, and the tables of format 1.

use super::BUSY_TIMEOUT;
use super::error::Failure;
use cogniverse_sdk::KeptFile;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::{Duration, Instant};

/// What `PRAGMA user_version` says.
pub(super) const FORMAT: i64 = 1;
/// `cogn`, so that the database of another application is never taken for ours.
const APPLICATION: i64 = 0x636f_676e;

/// The owner is empty for the system: no tenant id is. A value is NULL where the version is a deletion.
const TABLES: &str = "
CREATE TABLE config_versions (
    owner TEXT NOT NULL,
    scope TEXT NOT NULL,
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    value TEXT,
    origin TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (owner, scope, service, key, version)
) STRICT, WITHOUT ROWID;";

/// The writer and the reader, and which file they are of.
pub(super) fn open(path: &Path) -> Result<(Connection, Connection, KeptFile), Failure> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let message = format!("the path {path:?} names no file; give one, or use InMemoryConfigStore");
        return Err(cogniverse_sdk::Error::invalid(message).into());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(Failure::Folder)?;
    }
    // Without SQLITE_OPEN_URI: a path stays a path, whatever it starts with.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let create = if KeptFile::exists(path)? { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_CREATE };
    // The mark comes last: whoever sees it sees the tables too.
    let made = KeptFile::was_made(path)?;
    let mut writer = connect(path, flags | create)?;
    // One transaction for both marks and the tables: another process may be making them right now.
    let before = writer.transaction()?;
    let ours = is_ours(&before)?;
    before.finish()?;
    if !ours && made {
        return Err(KeptFile::emptied(path).into());
    }
    if !ours {
        use_wal(&writer)?;
        make_tables(&mut writer)?;
        // The file itself holds the tables from here on, not its log alone.
        writer.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()))?;
    }
    let kept = KeptFile::made(path)?;
    // A configuration is written seldom and must not be lost: FULL, as NORMAL may lose the last commits with the power.
    writer.pragma_update(None, "synchronous", "FULL")?;
    let reader = connect(path, flags)?;
    reader.pragma_update(None, "query_only", true)?;
    // A file whose tables are gone must not look like an empty one (invariant 9).
    reader.prepare("SELECT owner, scope, service, key, version, value, origin, created_at FROM config_versions")?;
    Ok((writer, reader, kept))
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Failure> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Whether the tables are there; false where the file is new.
fn is_ours(connection: &Connection) -> Result<bool, Failure> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (number("user_version")?, number("application_id")?) {
        (0, 0) => {
            let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
            if tables == 0 { Ok(false) } else { Err(Failure::Foreign("it holds tables of another application")) }
        }
        (FORMAT, APPLICATION) => Ok(true),
        (newer, APPLICATION) if newer > FORMAT => Err(Failure::Newer(newer)),
        _ => Err(Failure::Foreign("another application marked it as its own")),
    }
}

/// The mode is kept in the file. SQLite does not wait for its lock here, so that this does. A file system without
/// shared memory stays in the older mode, which is as safe and lets readers wait for the writer.
fn use_wal(connection: &Connection) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        let set = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match set.map_err(Failure::from) {
            Err(failure) if failure.is_busy() && start.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result.map(drop),
        }
    }
}

fn make_tables(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made them since.
    if !is_ours(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    transaction.commit()?;
    Ok(())
}
