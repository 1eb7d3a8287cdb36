//! From SQLite's errors into ours: one total function.

use cogniverse_sdk::{Error, ErrorKind, Retry};
use rusqlite::ErrorCode;
use std::path::Path;
use std::time::Duration;

/// What can go wrong in a call on the file.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite says no.
    Sqlite(rusqlite::Error),
    /// The folder of the file cannot be made.
    Folder(std::io::Error),
    /// Other calls of this process held the connection for too long.
    Queue,
    /// A rule of ours says no.
    Refused(Error),
    /// The file is SQLite's and not ours.
    Foreign(&'static str),
    /// A newer release wrote the file.
    Newer(i64),
    /// A row does not say what it must.
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
    /// Whether another connection holds what this one needs.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(e) if matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)))
    }

    pub(super) fn into_error(self, path: &Path) -> Error {
        let file = path.display();
        match self {
            Self::Sqlite(error) => classify(&error, path).with_source(error),
            Self::Folder(error) => {
                let message =
                    format!("the folder of config store {file} cannot be made; check the path and its permissions");
                Error::new(ErrorKind::Unavailable, message).with_source(error)
            }
            Self::Queue => {
                let message = format!("config store {file} is busy with other calls of this process; try again");
                Error::new(ErrorKind::Unavailable, message).with_retry(BACKOFF)
            }
            Self::Refused(error) => error,
            Self::Foreign(why) => corrupt(format!("{file} is not a cogniverse config store: {why}; give another path")),
            Self::Newer(found) => Error::new(
                ErrorKind::FailedPrecondition,
                format!(
                    "config store {file} has format {found} and this release knows up to {}; upgrade cogniverse",
                    super::format::FORMAT
                ),
            ),
            Self::Row(what, source) => {
                corrupt(format!("config store {file} holds {what}; {RESTORE}")).with_source(source)
            }
        }
    }
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

fn classify(error: &rusqlite::Error, path: &Path) -> Error {
    let file = path.display();
    let unavailable = |what: &str| Error::new(ErrorKind::Unavailable, format!("config store {file}: {what}"));
    let code = match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => error.code,
        rusqlite::Error::InvalidPath(_) | rusqlite::Error::NulError(_) => {
            return Error::invalid(format!("the path {file} cannot name a file; give another path"));
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => {
            return corrupt(format!("config store {file} holds a column of another type; {RESTORE}"));
        }
        _ => return Error::unexpected(format!("config store {file} was used in a way that SQLite refuses")),
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            unavailable("another process is writing; try again").with_retry(BACKOFF)
        }
        ErrorCode::SchemaChanged | ErrorCode::OperationInterrupted | ErrorCode::OperationAborted => {
            unavailable("the call was interrupted; try again").with_retry(BACKOFF)
        }
        ErrorCode::DiskFull => unavailable("the disk is full; free some space"),
        ErrorCode::ReadOnly => unavailable("it cannot be written; check the permissions of the file and its folder"),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            unavailable("it cannot be opened; check that the path is a file and its permissions")
        }
        ErrorCode::SystemIoFailure | ErrorCode::NoLargeFileSupport => unavailable("the disk cannot be read or written"),
        ErrorCode::OutOfMemory => unavailable("memory is used up"),
        ErrorCode::NotADatabase => corrupt(format!("{file} is not a config store; give another path, or {RESTORE}")),
        ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
            corrupt(format!("config store {file} is damaged; {RESTORE}"))
        }
        // Our statements are constants: where one is refused, the tables are not the ones this release made.
        ErrorCode::Unknown => corrupt(format!("config store {file} lacks its tables; {RESTORE}")),
        ErrorCode::TooBig => Error::invalid("a configuration value is larger than SQLite can hold; make it smaller"),
        _ => Error::unexpected(format!("config store {file} was used in a way that SQLite refuses")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn every_refusal_names_the_file_and_says_whether_to_try_again() {
        for (code, kind, retry, words) in [
            (ffi::SQLITE_BUSY, ErrorKind::Unavailable, true, "try again"),
            (ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Unavailable, true, "try again"),
            (ffi::SQLITE_LOCKED, ErrorKind::Unavailable, true, "try again"),
            (ffi::SQLITE_FULL, ErrorKind::Unavailable, false, "the disk is full"),
            (ffi::SQLITE_READONLY, ErrorKind::Unavailable, false, "permissions"),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Unavailable, false, "permissions"),
            (ffi::SQLITE_IOERR_READ, ErrorKind::Unavailable, false, "cannot be read or written"),
            (ffi::SQLITE_CORRUPT, ErrorKind::Corrupt, false, "restore the file from a backup"),
            (ffi::SQLITE_NOTADB, ErrorKind::Corrupt, false, "is not a config store"),
            (ffi::SQLITE_ERROR, ErrorKind::Corrupt, false, "lacks its tables"),
        ] {
            let failure = Failure::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            let error = failure.into_error(Path::new("/data/config.db"));
            assert_eq!((error.kind(), error.is_retryable()), (kind, retry), "{error:?}");
            assert!(error.to_string().contains("/data/config.db"), "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}
