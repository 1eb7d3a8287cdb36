//! Conversion of SQLite's and the file system's errors.

use cogniverse_sdk::{Error, ErrorCode, Retry};
use rusqlite::ErrorCode as Sqlite;
use std::{io, path::Path};

/// Converts a SQLite error on a file, adding the remedy.
pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Error {
    let file = path.display();
    // SQLite says an I/O error, not "full", where its shared memory file cannot grow.
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let no_room = extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    let (code, retry, message) = match error.sqlite_error_code() {
        Some(Sqlite::DiskFull) => full(path),
        Some(Sqlite::SystemIoFailure) if no_room => full(path),
        Some(Sqlite::ReadOnly) => (
            ErrorCode::StorageNotWritable,
            Retry::Never,
            format!("{file} is read-only; give the process write permission on the data folder"),
        ),
        Some(Sqlite::DatabaseBusy | Sqlite::DatabaseLocked) => (
            ErrorCode::StorageBusy,
            Retry::After(None),
            format!("{file} is locked by another program; close it and try again"),
        ),
        Some(Sqlite::DatabaseCorrupt | Sqlite::NotADatabase) => (
            ErrorCode::Corrupt,
            Retry::Never,
            format!("{file} is damaged; restore it from a backup, or drop the schema by name and ingest again"),
        ),
        Some(Sqlite::CannotOpen) if no_files_left(path) => {
            (ErrorCode::TooManyOpenFiles, Retry::After(None), format!("{file} cannot be opened, as {OUT_OF_FILES}"))
        }
        Some(Sqlite::CannotOpen | Sqlite::PermissionDenied) => (
            ErrorCode::StorageNotWritable,
            Retry::Never,
            format!("{file} cannot be opened; check that the folder exists and is writable"),
        ),
        Some(Sqlite::SystemIoFailure) => {
            (ErrorCode::Unavailable, Retry::After(None), format!("reading or writing {file} failed; check the disk"))
        }
        _ => (ErrorCode::Unexpected, Retry::Never, format!("SQLite refused an operation on {file}")),
    };
    Error::of(code, message).with_retry(retry).with_source(error)
}

const OUT_OF_FILES: &str =
    "the process may open no more files; raise its limit (ulimit -n), or lower max_idle_connections";

/// Asks the operating system why a file cannot be opened, as SQLite does not say.
fn no_files_left(path: &Path) -> bool {
    // The folder, not the file: closing any descriptor of a file releases the locks that SQLite holds on it in this process.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).is_err_and(|e| is_no_file_left(&e))
}

/// Returns whether the error is EMFILE or ENFILE.
fn is_no_file_left(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(24 | 23))
}

/// Returns whether closing another file would help.
pub(crate) fn is_out_of_files(error: &Error) -> bool {
    error.code() == ErrorCode::TooManyOpenFiles
}

fn full(path: &Path) -> (ErrorCode, Retry, String) {
    let message = format!("the disk that holds {} is full; free space and try again", path.display());
    (ErrorCode::DiskFull, Retry::After(None), message)
}

/// Converts a file system error on a path, adding the remedy.
pub(crate) fn io(path: &Path, error: io::Error) -> Error {
    let file = path.display();
    let (code, retry, message) = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorCode::StorageNotWritable,
            Retry::Never,
            format!("{file} cannot be written; give the process write permission on the data folder"),
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(path),
        _ if is_no_file_left(&error) => {
            (ErrorCode::TooManyOpenFiles, Retry::After(None), format!("{file} cannot be opened, as {OUT_OF_FILES}"))
        }
        _ => (
            ErrorCode::Unavailable,
            Retry::Never,
            format!("{file} cannot be used as a data folder or file; check the path"),
        ),
    };
    Error::of(code, message).with_retry(retry).with_source(error)
}

/// Returns the error of damaged content.
pub(crate) fn corrupt(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::of(
        ErrorCode::Corrupt,
        format!(
            "{} is damaged: {what}; restore it from a backup, or drop the schema by name and ingest again",
            path.display()
        ),
    )
}
