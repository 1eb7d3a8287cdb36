//! Backups of tenants in any object store: a bucket of S3, Google Cloud Storage or Azure, by the crate [`object_store`].
//!
//! ```
//! use cogniverse_object_store::ObjectStoreTarget;
//! use object_store::memory::InMemory;
//! use std::sync::Arc;
//!
//! let target = ObjectStoreTarget::new(Arc::new(InMemory::new()), "memory");
//! ```
//!
//! The clouds are features of `object_store`, which a service adds to its own dependencies; the crate is exported here, so
//! that the versions agree. Retries, keys and addresses are settings of its builders.

pub use object_store;

use async_trait::async_trait;
use cogniverse_sdk::{BackupTarget, Error, ErrorKind, Result, backup::check_path};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use std::sync::Arc;

/// An object store, or a prefix in one, as a place for backups. An object is there as a whole or not at all.
#[derive(Debug, Clone)]
pub struct ObjectStoreTarget {
    store: Arc<dyn ObjectStore>,
    location: String,
}

impl ObjectStoreTarget {
    /// Creates a target of a store, which may be an [`object_store::prefix::PrefixStore`]. `location` is what operators are
    /// shown, such as `s3://backups/eu`; it must hold no secret.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, location: impl Into<String>) -> Self {
        Self { store, location: location.into() }
    }

    fn path(&self, path: &str) -> Result<Path> {
        check_path(path)?;
        Path::parse(path).map_err(|e| Error::invalid(format!("{path:?} is no path of a backup")).with_source(e))
    }

    fn unusable(&self, what: &str, error: object_store::Error) -> Error {
        let message = format!("{} cannot be {what}; check its address, the key and the network", self.location);
        let kind = match error {
            object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
            object_store::Error::Unauthenticated { .. } => ErrorKind::Unauthenticated,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, message).with_source(error)
    }
}

#[async_trait]
impl BackupTarget for ObjectStoreTarget {
    fn location(&self) -> String {
        self.location.clone()
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(path)?;
        self.store.put(&path, bytes.into()).await.map(drop).map_err(|e| self.unusable("written", e))
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(path)?;
        let found = match self.store.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(self.unusable("read", e)),
        };
        let bytes = found.bytes().await.map_err(|e| self.unusable("read", e))?;
        Ok(Some(bytes.to_vec()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        // A prefix of an object store is one of whole parts of a path.
        let folder = prefix.rsplit_once('/').map(|(folder, _)| self.path(folder)).transpose()?;
        let found = self.store.list(folder.as_ref());
        let found = found.map_ok(|object| object.location.to_string()).try_collect::<Vec<_>>().await;
        let mut paths = match found {
            Ok(paths) => paths,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(e) => return Err(self.unusable("listed", e)),
        };
        paths.retain(|path| path.starts_with(prefix));
        Ok(paths)
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let path = self.path(path)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.unusable("written", e)),
        }
    }
}
