//! A store that cannot be read is an error, and never an empty one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cogniverse_foundation::{ConfigManager, SqliteConfigStore, SystemConfig, Template};
use cogniverse_sdk::{ConfigOwner, ConfigStore, Error, ErrorCode, ErrorKind, TenantId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

async fn filled() -> (SqliteConfigStore, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.db");
    let store = SqliteConfigStore::open(&path).await.unwrap();
    ConfigManager::new(Arc::new(store.clone()))
        .create_from_template(&acme(), Template::Startup, serde_json::Map::new())
        .await
        .unwrap();
    (store, folder, path)
}

fn sql(path: &PathBuf, text: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap();
}

fn names_file(error: &Error, path: &Path) {
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[tokio::test]
async fn invariant_09_a_lost_table_is_not_an_empty_one() {
    let (store, _folder, path) = filled().await;
    sql(&path, "DROP TABLE config_versions");
    let manager = ConfigManager::new(Arc::new(store.clone()));
    let owner = ConfigOwner::Tenant(acme());
    let errors = [
        manager.get_system_config(&acme()).await.unwrap_err(),
        manager.get_routing_config(&acme()).await.unwrap_err(),
        manager.list_profiles(&acme()).await.unwrap_err(),
        manager.export_tenant(&acme()).await.unwrap_err(),
        store.export(&owner, None, 10).await.unwrap_err(),
        store.erase_tenant(&acme()).await.unwrap_err(),
        SqliteConfigStore::open(&path).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        names_file(&error, &path);
    }
}

#[tokio::test]
async fn invariant_09_a_broken_row_is_not_a_missing_one() {
    for (column, bad) in [("value", "{"), ("origin", "x"), ("created_at", "soon"), ("scope", "else")] {
        let (store, _folder, path) = filled().await;
        sql(&path, &format!("UPDATE config_versions SET {column} = '{bad}'"));
        let owner = ConfigOwner::Tenant(acme());
        let error = store.export(&owner, None, 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains("version 1"), "{error}");
    }
}

#[tokio::test]
async fn invariant_09_a_value_of_another_form_is_not_a_default() {
    let (store, _folder, path) = filled().await;
    sql(&path, r#"UPDATE config_versions SET value = '{"tenant_id":"acme","llm_modell":"x"}'"#);
    let manager = ConfigManager::new(Arc::new(store));
    let error = manager.get_system_config(&acme()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.chain().contains("llm_modell"), "{error:?}");
    // A value that names another tenant is never handed out.
    sql(&path, r#"UPDATE config_versions SET value = '{"tenant_id":"globex"}'"#);
    assert_eq!(manager.get_system_config(&acme()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn invariant_09_what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (text, foreign) = (folder.path().join("notes.txt"), folder.path().join("other.db"));
    let notes = "these are notes, and no database at all ".repeat(200);
    std::fs::write(&text, &notes).unwrap();
    sql(&foreign, "CREATE TABLE notes (n)");
    for path in [&text, &foreign] {
        let error = SqliteConfigStore::open(path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        names_file(&error, path);
    }
    assert_eq!(std::fs::read_to_string(&text).unwrap(), notes);
    let kept: i64 = rusqlite::Connection::open(&foreign)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}

/// A configuration that was there and is not is damage: an empty one would forget every tenant.
#[tokio::test]
async fn invariant_09_a_lost_configuration_is_not_an_empty_one() {
    let half_made: fn(&Path) = |path| {
        let _ = std::fs::remove_file(path);
        rusqlite::Connection::open(path).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
    };
    let remove: fn(&Path) = |path| std::fs::remove_file(path).unwrap();
    let empty: fn(&Path) = |path| std::fs::write(path, "").unwrap();
    let ruins = [("missing", remove), ("empty", empty), ("lost its tables", half_made)];
    for (what, ruin) in ruins {
        let (store, _folder, path) = filled().await;
        drop(store);
        ruin(&path);
        let error = SqliteConfigStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
        assert!(error.to_string().contains(what) && error.to_string().contains("start over"), "{what}: {error}");
        names_file(&error, &path);
    }
    // Nobody was told of a file whose maker died before its tables.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.db");
    half_made(&path);
    let manager = ConfigManager::new(Arc::new(SqliteConfigStore::open(&path).await.unwrap()));
    manager
        .create_from_template(&acme(), cogniverse_foundation::Template::Startup, serde_json::Map::new())
        .await
        .unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn invariant_09_nothing_is_kept_in_a_file_that_is_gone() {
    for ending in ["", "-wal"] {
        let (store, _folder, path) = filled().await;
        let manager = ConfigManager::new(Arc::new(store));
        let mut name = path.clone().into_os_string();
        name.push(ending);
        std::fs::remove_file(name).unwrap();
        let error = manager.set_system_config(&acme(), SystemConfig::new(acme())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{ending}: {error:?}");
        assert_eq!(manager.get_system_config(&acme()).await.unwrap_err().kind(), ErrorKind::Corrupt, "{ending}");
    }
}

#[tokio::test]
async fn invariant_09_a_path_that_cannot_be_a_file_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    // A folder in place of the file, and a file in place of the folder (a permission would not stop root).
    for path in [folder.path().to_owned(), file.join("config.db")] {
        let error = SqliteConfigStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        names_file(&error, &path);
    }
    for path in ["", ":memory:"] {
        assert_eq!(SqliteConfigStore::open(path).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let (_store, _folder, path) = filled().await;
    sql(&path, "PRAGMA user_version = 7");
    let error = SqliteConfigStore::open(&path).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StorageFormatNewer);
    assert!(error.to_string().contains("format 7"), "{error}");
}

#[tokio::test]
async fn a_writer_that_does_not_end_is_unavailable_and_worth_a_retry() {
    let (store, _folder, path) = filled().await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let manager = ConfigManager::new(Arc::new(store));
    let error = manager.set_system_config(&acme(), SystemConfig::new(acme())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(manager.get_system_config(&acme()).await.unwrap().version, 1, "readers do not wait for a writer");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(manager.set_system_config(&acme(), SystemConfig::new(acme())).await.unwrap().version, 2);
}
