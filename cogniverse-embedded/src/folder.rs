//! The data folder: where things lie in it, and that one process has it.

use crate::error;
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId, TenantSchema};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// A data folder that this process holds until the value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes and locks the folder.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(|e| error::io(root, e))?;
        let path = root.join("LOCK");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| error::io(&path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the data folder {} is in use by another process or another backend of this one; close it, or use another folder",
                    root.display()
                ),
            )),
            Err(TryLockError::Error(e)) => Err(error::io(&path, e)),
        }
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

    /// The folder of one deployment. The generation makes it another folder when a schema is dropped and deployed
    /// again, so that what a crash left of the old one is never taken for the new one.
    pub(crate) fn deployment(&self, schema: &TenantSchema, generation: i64) -> PathBuf {
        self.tenant(schema.tenant()).join(format!("{}.{generation}", schema.base()))
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
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("in use by another process"), "{error}");
        drop(first);
        DataFolder::open(dir.path()).unwrap();
    }
}
