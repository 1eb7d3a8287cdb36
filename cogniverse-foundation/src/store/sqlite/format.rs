//! Opening the file: connections, settings, and the tables of format 1.

use super::error::Failure;
use cogniverse_sdk::KeptFile;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest a call waits for another writer before it fails with `Unavailable`.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The value of `PRAGMA user_version`.
pub(super) const FORMAT: i64 = 1;
/// The application id `cogn`, which tells our files from other applications' databases.
const APPLICATION: i64 = 0x636f_676e;

/// The owner is empty for the system, as no tenant id is empty. A value is NULL where the version is a deletion.
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

/// The connections of a file, and its identity.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) watcher: Connection,
    pub(super) kept: KeptFile,
}

/// Opens the connections, and records the file's identity.
pub(super) fn open(path: &Path) -> Result<Opened, Failure> {
    let writer = connect_shared(path, FORMAT, TABLES)?;
    // Without SQLITE_OPEN_URI: a path stays a path, whatever it starts with.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let kept = KeptFile::made(path)?;
    // A configuration is written seldom and must not be lost: FULL, as NORMAL may lose the last commits with the power.
    writer.pragma_update(None, "synchronous", "FULL")?;
    let reader = connect(path, flags)?;
    reader.pragma_update(None, "query_only", true)?;
    // A file whose tables are gone must not look like an empty one (invariant 9).
    reader.prepare("SELECT owner, scope, service, key, version, value, origin, created_at FROM config_versions")?;
    let watcher = connect(path, flags)?;
    watcher.pragma_update(None, "query_only", true)?;
    // Whatever the page size, its one page is all that it ever reads.
    watcher.pragma_update(None, "cache_size", 1)?;
    Ok(Opened { writer, reader, watcher, kept })
}

/// Opens a file of ours that holds the given tables, or makes it. For the stores beside the configuration.
pub(in crate::store) fn connect_shared(path: &Path, format: i64, tables: &str) -> Result<Connection, Failure> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let message = format!("the path {path:?} names no file; give one, or use the store in memory");
        return Err(cogniverse_sdk::Error::invalid(message).into());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(Failure::Folder)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let create = if KeptFile::exists(path)? { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_CREATE };
    // The mark comes last: whoever sees it sees the tables too.
    let made = KeptFile::was_made(path)?;
    let mut connection = connect(path, flags | create)?;
    // One transaction for both marks and the tables: another process may be making them right now.
    let before = connection.transaction()?;
    let ours = is_ours(&before, format)?;
    before.finish()?;
    if !ours && made {
        return Err(KeptFile::emptied(path).into());
    }
    if !ours {
        use_wal(&connection)?;
        make_tables(&mut connection, format, tables)?;
        // The file itself holds the tables from here on, not its log alone.
        connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()))?;
    }
    // What is deleted is overwritten: an erased tenant's texts must not stay in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// Returns a number that is another one once any other connection has committed to the file.
pub(super) fn data_version(connection: &Connection) -> Result<u64, Failure> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    let version: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(version.unsigned_abs())
}

/// Moves the log into the file and truncates it. Waits for readers and for other processes as long as any write does.
pub(super) fn empty_log(connection: &Connection) -> Result<(), Failure> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err(Failure::Queue) }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Failure> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Returns whether the tables exist; `false` for a new file.
fn is_ours(connection: &Connection, format: i64) -> Result<bool, Failure> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (number("user_version")?, number("application_id")?) {
        (0, 0) => {
            let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
            if tables == 0 { Ok(false) } else { Err(Failure::Foreign("it holds tables of another application")) }
        }
        (found, APPLICATION) if found == format => Ok(true),
        (newer, APPLICATION) if newer > format => Err(Failure::Newer { found: newer, known: format }),
        _ => Err(Failure::Foreign("another application marked it as its own")),
    }
}

/// Enables WAL, which the file remembers. SQLite does not wait for its lock here, so this code does. A file system
/// without shared memory stays in rollback-journal mode, which is as safe but makes readers wait for the writer.
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

fn make_tables(connection: &mut Connection, format: i64, tables: &str) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made them since.
    if !is_ours(&transaction, format)? {
        transaction.execute_batch(tables)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    transaction.commit()?;
    Ok(())
}
