//! Detection of files that change while they are read: a recording that goes on, a copy that is not finished.

use cogniverse_sdk::{Error, ErrorCode, Result};
use std::{
    fs::{File, Metadata},
    path::Path,
    time::SystemTime,
};

/// The size and the time of change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steady {
    bytes: u64,
    changed: Option<SystemTime>,
}

impl Steady {
    fn of(found: &Metadata) -> Self {
        Self { bytes: found.len(), changed: found.modified().ok() }
    }

    /// Returns the stamp of an open file. Blocking.
    pub(super) fn of_file(file: &File, path: &Path) -> Result<Self> {
        file.metadata().map(|found| Self::of(&found)).map_err(|e| unreadable(path, e))
    }

    /// Refuses a file that is not as it was. Blocking.
    ///
    /// # Errors
    /// `Unavailable`, with both sizes.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let now = std::fs::metadata(path).map(|found| Self::of(&found)).map_err(|e| unreadable(path, e))?;
        if now == *self {
            return Ok(());
        }
        Err(Error::of(
            ErrorCode::FileUnreadable,
            format!(
                "{} changed while it was read (it had {} bytes and has {}); ingest it again when it is complete",
                path.display(),
                self.bytes,
                now.bytes
            ),
        ))
    }
}

fn unreadable(path: &Path, e: std::io::Error) -> Error {
    Error::of(ErrorCode::FileUnreadable, format!("{} cannot be read; check the file", path.display())).with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_grows_or_is_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        std::fs::write(&path, b"12345").unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let stamp = Steady::of_file(&file, &path).unwrap();
        stamp.check(&path).unwrap();
        file.write_all(b"67").unwrap();
        let error = stamp.check(&path).unwrap_err();
        assert!(error.to_string().contains("had 5 bytes and has 7"), "{error}");
        // As many bytes, and others.
        let stamp = Steady::of_file(&file, &path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(stamp.check(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(stamp.check(&path).is_err());
    }
}
