//! The contract of a place for backups, on a folder.

use cogniverse_core::backup::FolderTarget;
use cogniverse_sdk::BackupTarget;
use std::sync::Arc;
use tempfile::TempDir;

#[expect(clippy::unwrap_used, reason = "a test asserts")]
fn folder() -> (Arc<dyn BackupTarget>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(FolderTarget::new(folder.path().join("backups"))), folder)
}

cogniverse_sdk::backup_target_contract! { make: std::future::ready(folder()), skips: [] }
