//! The contract of a place for backups, on object stores that need no network.

#![allow(clippy::unwrap_used, reason = "a test asserts")]

use cogniverse_object_store::{
    ObjectStoreTarget,
    object_store::{local::LocalFileSystem, memory::InMemory, prefix::PrefixStore},
};
use cogniverse_sdk::BackupTarget;
use std::sync::Arc;
use tempfile::TempDir;

mod memory {
    use super::*;

    fn target() -> (Arc<dyn BackupTarget>, ()) {
        (Arc::new(ObjectStoreTarget::new(Arc::new(InMemory::new()), "memory")), ())
    }

    cogniverse_sdk::backup_target_contract! { make: std::future::ready(target()), skips: [] }
}

mod files {
    use super::*;

    fn target() -> (Arc<dyn BackupTarget>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        (Arc::new(ObjectStoreTarget::new(Arc::new(store), "files")), folder)
    }

    cogniverse_sdk::backup_target_contract! { make: std::future::ready(target()), skips: [] }
}

mod below_a_prefix {
    use super::*;

    fn target() -> (Arc<dyn BackupTarget>, ()) {
        let store = PrefixStore::new(InMemory::new(), "eu/backups");
        (Arc::new(ObjectStoreTarget::new(Arc::new(store), "memory/eu/backups")), ())
    }

    cogniverse_sdk::backup_target_contract! { make: std::future::ready(target()), skips: [] }
}
