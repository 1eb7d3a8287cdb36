//! Detection of lost data files: a missing file is never mistaken for a new one ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).

use crate::{Error, ErrorKind, Result};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The data file of a store, with detection of its loss.
///
/// Opening a SQLite database that does not exist creates an empty one, so lost data would look like no data. A store
/// therefore marks that its file was created, with an empty file of the same name and the suffix `-made`. Before it
/// acknowledges a write it checks that the path still names the open file, and likewise for SQLite's log (`-wal`),
/// which alone holds the latest writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    /// `None` where there was no log.
    log: Option<Option<(u64, u64)>>,
}

impl KeptFile {
    /// Returns whether the file exists; `false` where it was never created.
    ///
    /// # Errors
    /// `Corrupt` where the file was created and is now missing or empty; `Unavailable` where that cannot be
    /// determined.
    pub fn exists(path: &Path) -> Result<bool> {
        let made = Self::was_made(path)?;
        Self::exists_where_made(path, made, &remove_all(path))
    }

    /// Returns whether the file has the mark that [`KeptFile::made`] writes.
    ///
    /// # Errors
    /// `Unavailable` where that cannot be determined.
    pub fn was_made(path: &Path) -> Result<bool> {
        marker(path).try_exists().map_err(|e| unreadable(path, e))
    }

    /// Behaves as [`KeptFile::exists`], for a file whose creation is recorded elsewhere. `start_over` tells the
    /// operator, in the error, how to discard the data and start anew.
    ///
    /// # Errors
    /// As [`KeptFile::exists`].
    pub fn exists_where_made(path: &Path, made: bool, start_over: &str) -> Result<bool> {
        let lost = |what: &str| lost(path, what, start_over);
        let length = match fs::metadata(path) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) if made => return Err(lost("is no file")),
            Ok(_) => {
                let message = format!("{} is no file; give the path of a file, or of none yet", path.display());
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return if made { Err(lost("is missing")) } else { Ok(false) };
            }
            Err(e) => return Err(unreadable(path, e)),
        };
        match (length, made) {
            (0, true) => Err(lost("is empty")),
            // A process that died while it made the file had told nobody of it.
            (0, false) => Ok(false),
            _ => Ok(true),
        }
    }

    /// Returns the error of a file that was created but holds none of its expected content.
    #[must_use]
    pub fn emptied(path: &Path) -> Error {
        lost(path, "has lost its tables", &remove_all(path))
    }

    /// Marks the file as created and records its identity.
    ///
    /// # Errors
    /// `Unavailable` where the mark cannot be written.
    pub fn made(path: &Path) -> Result<Self> {
        let marker = marker(path);
        if !Self::was_made(path)? {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // The folder is synced too: the mark is there after a loss of power as surely as the file is.
            let marked = File::create(&marker).and_then(|file| file.sync_all()).and_then(|()| sync_folder(folder));
            marked.map_err(|e| unreadable(&marker, e))?;
        }
        Self::opened(path)
    }

    /// Records the identity of the file and, where there is one, of its log. Call it after the database was first
    /// read, with a connection still open.
    ///
    /// # Errors
    /// `Unavailable` where the path names no file.
    pub fn opened(path: &Path) -> Result<Self> {
        let identity = identity_of(path).map_err(|e| unreadable(path, e))?;
        let log = match identity_of(&beside(path, "-wal")) {
            Ok(log) => Some(log),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(unreadable(path, e)),
        };
        Ok(Self { path: path.to_owned(), identity, log })
    }

    /// Returns the same without the log, for the time in which no connection is open: SQLite removes the log as it closes the
    /// last one.
    #[must_use]
    pub fn without_log(self) -> Self {
        Self { log: None, ..self }
    }

    /// Checks that the paths still name the file and the log that were opened; writes to a removed file would be
    /// lost.
    ///
    /// # Errors
    /// `Corrupt` where the file was removed or replaced.
    pub fn check(&self) -> Result<()> {
        self.check_one(&self.path, self.identity, "")?;
        match self.log {
            Some(log) => self.check_one(&beside(&self.path, "-wal"), log, "has lost its log (-wal): it "),
            None => Ok(()),
        }
    }

    fn check_one(&self, path: &Path, opened: Option<(u64, u64)>, whose: &str) -> Result<()> {
        let what = match identity_of(path) {
            Ok(found) if found == opened => return Ok(()),
            Ok(_) => "was replaced by another file while it was open",
            Err(e) if e.kind() == io::ErrorKind::NotFound => "was removed while it was open",
            Err(e) => return Err(unreadable(path, e)),
        };
        Err(lost(&self.path, &format!("{whose}{what}"), "close it, and open what is there"))
    }
}

fn marker(path: &Path) -> PathBuf {
    beside(path, "-made")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Returns the device and inode numbers, where the platform has them.
fn identity_of(path: &Path) -> io::Result<Option<(u64, u64)>> {
    let found = fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok(Some((found.dev(), found.ino())))
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        Ok(None)
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn remove_all(path: &Path) -> String {
    format!("start over by removing everything that belongs to it, {} too", marker(path).display())
}

fn lost(path: &Path, what: &str, start_over: &str) -> Error {
    let message =
        format!("{} {what}, and it was made before; restore it from a backup, or {start_over}", path.display());
    Error::new(ErrorKind::Corrupt, message)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let message = format!("{} cannot be looked at; check the path and its permissions", path.display());
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_missed_until_it_is_no_longer_expected() {
        let folder = std::env::temp_dir().join(format!("kept-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("data");
        fs::write(&path, "content").unwrap();
        fs::write(beside(&path, "-wal"), "log").unwrap();
        let kept = KeptFile::opened(&path).unwrap();
        kept.check().unwrap();
        fs::remove_file(beside(&path, "-wal")).unwrap();
        assert!(kept.check().unwrap_err().to_string().contains("has lost its log"));
        let kept = kept.without_log();
        kept.check().unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(kept.check().unwrap_err().kind(), ErrorKind::Corrupt);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_was_made_and_is_gone_is_no_new_one() {
        let folder = std::env::temp_dir().join(format!("kept-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("data");
        assert!(!KeptFile::exists(&path).unwrap());
        File::create(&path).unwrap();
        assert!(!KeptFile::exists(&path).unwrap(), "whoever made it died before it said so");
        fs::write(&path, "content").unwrap();
        let kept = KeptFile::made(&path).unwrap();
        assert!(KeptFile::exists(&path).unwrap());
        kept.check().unwrap();
        // Made before the first is removed, whose number a later file may get. A store keeps its file open, so none does.
        fs::write(folder.join("other"), "other").unwrap();
        for (what, ruin) in [
            ("empty", Box::new(|| fs::write(&path, "").unwrap()) as Box<dyn Fn()>),
            ("missing", Box::new(|| fs::remove_file(&path).unwrap())),
        ] {
            ruin();
            let error = KeptFile::exists(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(what), "{error}");
        }
        assert!(kept.check().unwrap_err().to_string().contains("removed"));
        fs::rename(folder.join("other"), &path).unwrap();
        if cfg!(unix) {
            assert!(kept.check().unwrap_err().to_string().contains("replaced"));
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
