//! Files that must not be lost unnoticed: an absent one is never taken for a new one (invariant 9).

use crate::{Error, ErrorKind, Result};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A file that a store keeps its data in.
///
/// Opening a database that does not exist makes an empty one, which answers "nothing is there" of data that was lost. So
/// a store marks that its file was made, by an empty file of the same name with `-made` behind it; and it asks, before it
/// says that something was stored, whether the path still names the file that it writes to, and so for SQLite's log beside
/// it (`-wal`): the latest writes stand in the log alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    /// None where there was no log.
    log: Option<Option<(u64, u64)>>,
}

impl KeptFile {
    /// Whether the file is there; false where it was never made.
    ///
    /// # Errors
    /// `Corrupt` where it was made and is gone or empty; `Unavailable` where that cannot be told.
    pub fn exists(path: &Path) -> Result<bool> {
        let made = Self::was_made(path)?;
        Self::exists_where_made(path, made, &remove_all(path))
    }

    /// Whether the file bears the mark of [`KeptFile::made`].
    ///
    /// # Errors
    /// `Unavailable` where that cannot be told.
    pub fn was_made(path: &Path) -> Result<bool> {
        marker(path).try_exists().map_err(|e| unreadable(path, e))
    }

    /// As [`KeptFile::exists`], where another record says whether the file was made. `start_over` is the way to do without
    /// what was in it, for the error.
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

    /// What to say of a file that bears the mark and holds nothing that its maker put into it.
    #[must_use]
    pub fn emptied(path: &Path) -> Error {
        lost(path, "has lost its tables", &remove_all(path))
    }

    /// Marks that the file was made, and remembers which one it is.
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

    /// Remembers which file a path names, and which log, where there is one: call it when the database was read, and while
    /// a connection stays open.
    ///
    /// # Errors
    /// `Unavailable` where it names none.
    pub fn opened(path: &Path) -> Result<Self> {
        let identity = identity_of(path).map_err(|e| unreadable(path, e))?;
        let log = match identity_of(&beside(path, "-wal")) {
            Ok(log) => Some(log),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(unreadable(path, e)),
        };
        Ok(Self { path: path.to_owned(), identity, log })
    }

    /// Whether the paths still name the file and the log that were opened: what is written to one that was removed is lost.
    ///
    /// # Errors
    /// `Corrupt` where it was removed or another file stands in its place.
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

/// Device and number of the file, where the platform has them.
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
