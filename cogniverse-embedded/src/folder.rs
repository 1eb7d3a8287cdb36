//! The data folder: its layout and its lock.

use crate::error;
use cogniverse_sdk::{Error, ErrorCode, Result, TenantId, TenantSchema};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write as _,
    path::{Path, PathBuf},
};

/// A data folder, locked by this process until the value is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    /// The locks on the folder, where the platform supports it, and on its file `LOCK`, which earlier releases check.
    locks: Vec<File>,
}

impl DataFolder {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file without a name, which is gone once it is closed, also by a crash.
    pub(crate) fn check_writable(&self) -> Result<()> {
        let write = || tempfile::tempfile_in(&self.root)?.write_all(b"probe");
        write().map_err(|e| error::io(&self.root, e))
    }

    /// Creates and locks the folder.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(|e| error::io(root, e))?;
        let path = root.join("LOCK");
        let mut locks = Vec::new();
        // A file can be removed while it is locked, and the next one of that name is another file; the folder stays.
        #[cfg(unix)]
        {
            let folder = File::open(root).map_err(|e| error::io(root, e))?;
            match folder.try_lock() {
                Ok(()) => locks.push(folder),
                Err(TryLockError::WouldBlock) => return Err(in_use(root)),
                // Some network file systems lock no folders: there the file alone is locked.
                Err(TryLockError::Error(_)) => {}
            }
        }
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| error::io(&path, e))?;
        match file.try_lock() {
            Ok(()) => locks.push(file),
            Err(TryLockError::WouldBlock) => return Err(in_use(root)),
            Err(TryLockError::Error(e)) => return Err(error::io(&path, e)),
        }
        Ok(Self { root: root.to_owned(), locks })
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    pub(crate) fn tenants(&self) -> PathBuf {
        self.root.join("tenants")
    }

    pub(crate) fn tenant(&self, tenant: &TenantId) -> PathBuf {
        self.tenants().join(tenant.file_name())
    }

    /// Returns the folder of a deployment. It includes the generation, so that remains of a dropped schema are never
    /// mistaken for its successor.
    pub(crate) fn deployment(&self, schema: &TenantSchema, generation: i64) -> PathBuf {
        self.tenant(schema.tenant()).join(format!("{}.{generation}", schema.base()))
    }
}

/// Unlocks explicitly: a child process shares the open files until it calls `exec`.
impl Drop for DataFolder {
    fn drop(&mut self) {
        for lock in &self.locks {
            let _ = lock.unlock();
        }
    }
}

fn in_use(root: &Path) -> Error {
    Error::of(
        ErrorCode::DataFolderInUse,
        format!(
            "the data folder {} is in use by another process or another backend of this one; close it, or use another folder",
            root.display()
        ),
    )
}

/// Returns whether a path is a folder and not a symbolic link.
pub(crate) fn is_folder(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(error::io(path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_02_folders_of_tenants_never_meet() {
        let names: Vec<String> = ["acme", "Acme", "acme.prod", "acme:prod", "acme_prod", "acme-prod"]
            .map(|id| TenantId::parse(id).unwrap().file_name())
            .into();
        let lower: std::collections::BTreeSet<String> = names.iter().map(|n| n.to_lowercase()).collect();
        assert_eq!(lower.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|n| !n.contains(['.', ':', '/'])));
    }

    #[test]
    fn a_second_opener_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataFolder::open(dir.path()).unwrap();
        let error = DataFolder::open(dir.path()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DataFolderInUse);
        assert!(error.to_string().contains("in use by another process"), "{error}");
        // Whoever removes the file does not unlock the folder.
        fs::remove_file(dir.path().join("LOCK")).unwrap();
        if cfg!(unix) {
            assert_eq!(DataFolder::open(dir.path()).unwrap_err().code(), ErrorCode::DataFolderInUse);
        }
        drop(first);
        DataFolder::open(dir.path()).unwrap();
    }

    /// Between fork and exec a child shares every open file of its parent, locks included.
    #[test]
    fn a_folder_is_free_at_once_also_while_programs_start() {
        let dir = tempfile::tempdir().unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // With a closure before exec the standard library forks, as many programs do.
                    let _ = std::process::Command::new("true").current_dir("/").env_clear().status();
                }
            });
            let refused = (0..500).filter(|_| DataFolder::open(dir.path()).is_err()).count();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(refused, 0);
        });
    }
}
