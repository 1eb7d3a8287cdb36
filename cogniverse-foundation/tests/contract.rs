//! The contract of `ConfigStore`, on every store and behind a shared pointer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cogniverse_foundation::{InMemoryAuditLog, InMemoryConfigStore, SqliteConfigStore, StoredAuditLog};
use cogniverse_sdk::{SystemClock, config_store_contract};
use std::sync::Arc;

async fn sqlite() -> (Arc<SqliteConfigStore>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteConfigStore::open(folder.path().join("made/on/demand/config.db")).await.unwrap();
    (Arc::new(store), folder)
}

mod policy {
    cogniverse_sdk::access_policy_contract! { async { (std::sync::Arc::new(cogniverse_sdk::SameTenant), ()) } }
}

mod audit_in_memory {
    use super::*;
    cogniverse_sdk::audit_log_contract! { async { (Arc::new(InMemoryAuditLog::new(Arc::new(SystemClock))), ()) } }
}

mod audit_on_sqlite {
    use super::*;

    async fn log() -> (Arc<StoredAuditLog>, tempfile::TempDir) {
        let (store, folder) = sqlite().await;
        (Arc::new(StoredAuditLog::new(store, Arc::new(SystemClock))), folder)
    }

    cogniverse_sdk::audit_log_contract! { log() }
}

mod quotas_in_memory {
    use super::*;
    cogniverse_sdk::quota_store_contract! { async { (Arc::new(cogniverse_foundation::InMemoryQuotaStore::new()), ()) } }
}

mod quotas_on_sqlite {
    use super::*;

    async fn store() -> (Arc<cogniverse_foundation::SqliteQuotaStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = cogniverse_foundation::SqliteQuotaStore::open(folder.path().join("made/quotas.sqlite")).await;
        (Arc::new(store.unwrap()), folder)
    }

    cogniverse_sdk::quota_store_contract! { store() }
}

mod experiences_in_memory {
    use super::*;
    cogniverse_sdk::experience_store_contract! { async { (Arc::new(cogniverse_foundation::InMemoryExperienceStore::new()), ()) } }
}

mod experiences_on_sqlite {
    use super::*;

    async fn store() -> (Arc<cogniverse_foundation::SqliteExperienceStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/experience.sqlite");
        (Arc::new(cogniverse_foundation::SqliteExperienceStore::open(path).await.unwrap()), folder)
    }

    cogniverse_sdk::experience_store_contract! { store() }
}

mod memory {
    use super::*;
    config_store_contract! { make: async { (Arc::new(InMemoryConfigStore::new()), ()) }, skips: [] }
}

mod file {
    use super::*;
    config_store_contract! { make: sqlite(), skips: [] }
}

mod shared {
    use super::*;
    use cogniverse_sdk::ConfigStore;

    async fn shared() -> (Arc<dyn ConfigStore>, tempfile::TempDir) {
        let (store, folder) = sqlite().await;
        (store, folder)
    }

    config_store_contract! { make: shared(), skips: [] }
}
