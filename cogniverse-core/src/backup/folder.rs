//! Backups in a folder of this machine, or of one that is mounted.

use crate::worker::blocking;
use async_trait::async_trait;
use cogniverse_sdk::{BackupTarget, Error, ErrorKind, Result, backup::check_path};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

/// A folder as a place for backups. Files are written beside their place and renamed into it, and their folder is
/// synchronized: after a loss of power each is there as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderTarget {
    folder: PathBuf,
}

impl FolderTarget {
    /// Creates a target. The folder is made with the first file.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        Ok(self.folder.join(path))
    }
}

#[async_trait]
impl BackupTarget for FolderTarget {
    fn location(&self) -> String {
        self.folder.display().to_string()
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(path)?;
        blocking(move || replace(&path, &bytes).map_err(|e| unusable(&path, e))).await
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(path)?;
        blocking(move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unusable(&path, e)),
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (folder, prefix) = (self.folder.clone(), prefix.to_owned());
        blocking(move || {
            let mut found = Vec::new();
            below(&folder, &folder, &mut found).map_err(|e| unusable(&folder, e))?;
            found.retain(|path| path.starts_with(&prefix));
            Ok(found)
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let path = self.path(path)?;
        blocking(move || match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(unusable(&path, e)),
        })
        .await
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    sync(folder)
}

/// Makes a folder and those above it, each durable in the one above.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new("."));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => sync(if above.as_os_str().is_empty() { Path::new(".") } else { above }),
    }
}

/// Makes the names in a folder durable, where the system can.
fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Lists the files of a folder, without what a write that broke off has left. Links are not followed.
fn below(root: &Path, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // It was never made, or removed by hand during the walk; what is beside it is there all the same.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            below(root, &path, found)?;
        } else if kind.is_file() {
            let parts = path.strip_prefix(root).unwrap_or(&path).components();
            let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
            let path = parts.join("/");
            if !path.rsplit('/').next().is_some_and(|name| name.starts_with(".tmp")) {
                found.push(path);
            }
        }
    }
    Ok(())
}

fn unusable(path: &Path, e: io::Error) -> Error {
    let message = match e.kind() {
        io::ErrorKind::StorageFull => {
            format!("there is no space left for {}; free some, and repeat the call", path.display())
        }
        _ => format!("{} cannot be used for backups; check the space and rights of the folder", path.display()),
    };
    Error::new(ErrorKind::Unavailable, message).with_source(e)
}
