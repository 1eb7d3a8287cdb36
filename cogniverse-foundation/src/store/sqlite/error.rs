//! Conversion of SQLite's errors.

use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Retry};
use rusqlite::ErrorCode as Sqlite;
use std::path::Path;
use std::time::Duration;

/// A failure of a call on the file.
#[derive(Debug)]
pub(in crate::store) enum Failure {
    /// An error of SQLite.
    Sqlite(rusqlite::Error),
    /// The folder of the file cannot be created.
    Folder(std::io::Error),
    /// Other calls of this process held the connection for too long.
    Queue,
    /// A refusal by the rules of the store.
    Refused(Error),
    /// The file is a SQLite database of another application.
    Foreign(&'static str),
    /// A newer release wrote the file.
    Newer { found: i64, known: i64 },
    /// A row has unexpected content.
    Row(String, Box<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

const BACKOFF: Retry = Retry::After(Some(Duration::from_millis(100)));
const RESTORE: &str = "restore the file from a backup, or import an export into a new one";

impl Failure {
    /// Returns whether another connection holds a lock that this one needs.
    pub(in crate::store) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(e) if matches!(e.sqlite_error_code(), Some(Sqlite::DatabaseBusy | Sqlite::DatabaseLocked)))
    }

    pub(in crate::store) fn into_error(self, path: &Path) -> Error {
        self.into_error_of("config store", path)
    }

    /// Returns the error with what the file is, such as `quota store`.
    pub(in crate::store) fn into_error_of(self, what: &'static str, path: &Path) -> Error {
        let file = path.display();
        match self {
            Self::Sqlite(error) => classify(&error, what, path).with_source(error),
            Self::Folder(error) => {
                let message = format!("the folder of {what} {file} cannot be made; check the path and its permissions");
                Error::new(ErrorKind::Unavailable, message).with_source(error)
            }
            Self::Queue => {
                let message = format!("{what} {file} is busy with other calls of this process; try again");
                Error::of(ErrorCode::StorageBusy, message).with_retry(BACKOFF)
            }
            Self::Refused(error) => error,
            Self::Foreign(why) => corrupt(format!("{file} is not a cogniverse {what}: {why}; give another path")),
            Self::Newer { found, known } => Error::of(
                ErrorCode::StorageFormatNewer,
                format!("{what} {file} has format {found} and this release knows up to {known}; upgrade cogniverse"),
            ),
            Self::Row(row, source) => corrupt(format!("{what} {file} holds {row}; {RESTORE}")).with_source(source),
        }
    }
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

fn classify(error: &rusqlite::Error, what: &str, path: &Path) -> Error {
    let file = path.display();
    let unavailable = |why: &str| Error::new(ErrorKind::Unavailable, format!("{what} {file}: {why}"));
    let code = match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => error.code,
        rusqlite::Error::InvalidPath(_) | rusqlite::Error::NulError(_) => {
            return Error::invalid(format!("the path {file} cannot name a file; give another path"));
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => {
            return corrupt(format!("{what} {file} holds a column of another type; {RESTORE}"));
        }
        _ => return Error::unexpected(format!("{what} {file} was used in a way that SQLite refuses")),
    };
    match code {
        Sqlite::DatabaseBusy | Sqlite::DatabaseLocked | Sqlite::FileLockingProtocolFailed => {
            unavailable("another process is writing; try again").with_code(ErrorCode::StorageBusy).with_retry(BACKOFF)
        }
        Sqlite::SchemaChanged | Sqlite::OperationInterrupted | Sqlite::OperationAborted => {
            unavailable("the call was interrupted; try again").with_retry(BACKOFF)
        }
        Sqlite::DiskFull => unavailable("the disk is full; free some space").with_code(ErrorCode::DiskFull),
        Sqlite::ReadOnly => unavailable("it cannot be written; check the permissions of the file and its folder")
            .with_code(ErrorCode::StorageNotWritable),
        Sqlite::CannotOpen | Sqlite::PermissionDenied | Sqlite::AuthorizationForStatementDenied => {
            unavailable("it cannot be opened; check that the path is a file and its permissions")
                .with_code(ErrorCode::StorageNotWritable)
        }
        Sqlite::SystemIoFailure | Sqlite::NoLargeFileSupport => unavailable("the disk cannot be read or written"),
        Sqlite::OutOfMemory => unavailable("memory is used up"),
        Sqlite::NotADatabase => corrupt(format!("{file} is not a {what}; give another path, or {RESTORE}")),
        Sqlite::DatabaseCorrupt | Sqlite::ConstraintViolation | Sqlite::TypeMismatch => {
            corrupt(format!("{what} {file} is damaged; {RESTORE}"))
        }
        // Our statements are constants: where one is refused, the tables are not the ones this release made.
        Sqlite::Unknown => corrupt(format!("{what} {file} lacks its tables; {RESTORE}")),
        Sqlite::TooBig => Error::invalid("a configuration value is larger than SQLite can hold; make it smaller"),
        _ => Error::unexpected(format!("{what} {file} was used in a way that SQLite refuses")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn every_refusal_names_the_file_and_says_whether_to_try_again() {
        for (sqlite, code, retry, words) in [
            (ffi::SQLITE_BUSY, ErrorCode::StorageBusy, true, "try again"),
            (ffi::SQLITE_BUSY_SNAPSHOT, ErrorCode::StorageBusy, true, "try again"),
            (ffi::SQLITE_LOCKED, ErrorCode::StorageBusy, true, "try again"),
            (ffi::SQLITE_FULL, ErrorCode::DiskFull, false, "the disk is full"),
            (ffi::SQLITE_READONLY, ErrorCode::StorageNotWritable, false, "permissions"),
            (ffi::SQLITE_CANTOPEN, ErrorCode::StorageNotWritable, false, "permissions"),
            (ffi::SQLITE_IOERR_READ, ErrorCode::Unavailable, false, "cannot be read or written"),
            (ffi::SQLITE_CORRUPT, ErrorCode::Corrupt, false, "restore the file from a backup"),
            (ffi::SQLITE_NOTADB, ErrorCode::Corrupt, false, "is not a config store"),
            (ffi::SQLITE_ERROR, ErrorCode::Corrupt, false, "lacks its tables"),
        ] {
            let failure = Failure::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(sqlite), None));
            let error = failure.into_error(Path::new("/data/config.db"));
            assert_eq!((error.code(), error.is_retryable()), (code, retry), "{error:?}");
            assert!(error.to_string().contains("/data/config.db"), "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}
