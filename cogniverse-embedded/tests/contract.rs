//! The contract suites, on the embedded backend.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::SearchBackend;
use std::sync::Arc;
use tempfile::TempDir;

async fn backend(change: impl FnOnce(EmbeddedConfig) -> EmbeddedConfig) -> (Arc<dyn SearchBackend>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    (Arc::new(EmbeddedBackend::open(change(config)).await.unwrap()), folder)
}

/// As it comes.
mod default {
    use super::backend;
    mod schemas {
        cogniverse_sdk::schema_store_contract! { make: super::backend(|config| config), skips: [] }
    }
    mod documents {
        cogniverse_sdk::document_store_contract! { make: super::backend(|config| config), skips: [] }
    }
    mod search {
        cogniverse_sdk::search_backend_contract! { make: super::backend(|config| config), skips: [] }
    }
    mod isolation {
        cogniverse_sdk::isolation_contract! { make: super::backend(|config| config), skips: [] }
    }
}

/// One store open at a time and no float vector kept: every call opens, reads from disk and closes.
mod tight {
    use super::{Arc, SearchBackend, TempDir, backend};
    async fn tight() -> (Arc<dyn SearchBackend>, TempDir) {
        backend(|config| config.with_max_open_schemas(1).with_float_cache_bytes(0)).await
    }
    mod schemas {
        cogniverse_sdk::schema_store_contract! { make: super::tight(), skips: [] }
    }
    mod documents {
        cogniverse_sdk::document_store_contract! { make: super::tight(), skips: [] }
    }
    mod search {
        cogniverse_sdk::search_backend_contract! { make: super::tight(), skips: [] }
    }
    mod isolation {
        cogniverse_sdk::isolation_contract! { make: super::tight(), skips: [] }
    }
}
