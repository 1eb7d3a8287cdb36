//! From SQLite's and the file system's errors to ours: one table each.

use cogniverse_sdk::{Error, ErrorKind, Retry};
use rusqlite::ErrorCode;
use std::{io, path::Path};

/// A SQLite error on a file, with its remedy.
pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Error {
    let file = path.display();
    // SQLite says an I/O error, not "full", where its shared memory file cannot grow.
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let no_room = extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    let (kind, retry, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(path),
        Some(ErrorCode::SystemIoFailure) if no_room => full(path),
        Some(ErrorCode::ReadOnly) => (
            ErrorKind::Unavailable,
            Retry::Never,
            format!("{file} is read-only; give the process write permission on the data folder"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Unavailable,
            Retry::After(None),
            format!("{file} is locked by another program; close it and try again"),
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            ErrorKind::Corrupt,
            Retry::Never,
            format!("{file} is damaged; restore it from a backup, or drop the schema by name and ingest again"),
        ),
        Some(ErrorCode::CannotOpen) if no_files_left(path) => (
            ErrorKind::Unavailable,
            Retry::After(None),
            format!(
                "{file} cannot be opened, as {OUT_OF_FILES}; raise its limit (ulimit -n), or lower max_open_schemas"
            ),
        ),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            ErrorKind::Unavailable,
            Retry::Never,
            format!("{file} cannot be opened; check that the folder exists and is writable"),
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Unavailable, Retry::After(None), format!("reading or writing {file} failed; check the disk"))
        }
        _ => (ErrorKind::Unexpected, Retry::Never, format!("SQLite refused an operation on {file}")),
    };
    Error::new(kind, message).with_retry(retry).with_source(error)
}

const OUT_OF_FILES: &str = "the process may open no more files";

/// SQLite says only that it cannot open a file; the system says why.
fn no_files_left(path: &Path) -> bool {
    std::fs::File::open(path).is_err_and(|e| is_no_file_left(&e))
}

/// EMFILE and ENFILE, on every Unix.
fn is_no_file_left(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(24 | 23))
}

/// Whether closing another file would help.
pub(crate) fn is_out_of_files(error: &Error) -> bool {
    error.message().contains(OUT_OF_FILES)
}

fn full(path: &Path) -> (ErrorKind, Retry, String) {
    let message = format!("the disk that holds {} is full; free space and try again", path.display());
    (ErrorKind::Unavailable, Retry::After(None), message)
}

/// A file system error on a path, with its remedy.
pub(crate) fn io(path: &Path, error: io::Error) -> Error {
    let file = path.display();
    let (retry, message) = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (Retry::Never, format!("{file} cannot be written; give the process write permission on the data folder"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let (kind, retry, message) = full(path);
            return Error::new(kind, message).with_retry(retry).with_source(error);
        }
        _ if is_no_file_left(&error) => (
            Retry::After(None),
            format!(
                "{file} cannot be opened, as {OUT_OF_FILES}; raise its limit (ulimit -n), or lower max_open_schemas"
            ),
        ),
        _ => (Retry::Never, format!("{file} cannot be used as a data folder or file; check the path")),
    };
    Error::new(ErrorKind::Unavailable, message).with_retry(retry).with_source(error)
}

/// Stored bytes that do not say what they must.
pub(crate) fn corrupt(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "{} is damaged: {what}; restore it from a backup, or drop the schema by name and ingest again",
            path.display()
        ),
    )
}
