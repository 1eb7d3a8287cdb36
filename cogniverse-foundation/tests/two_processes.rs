//! Two processes that write one file at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cogniverse_foundation::SqliteConfigStore;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, ConfigScope, ConfigStore, Expected, PutConfig};
use cogniverse_sdk::{ErrorKind, TenantId};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

const FILE: &str = "COGNIVERSE_TEST_CONFIG_FILE";
const PROCESSES: u64 = 2;
const EACH: u64 = 200;

fn counter() -> ConfigKey {
    ConfigKey::tenant(&TenantId::parse("acme").unwrap(), ConfigScope::System, "test", "counter")
}

fn count(entry: Option<&ConfigEntry>) -> u64 {
    entry.and_then(|entry| entry.value.as_ref()?.as_u64()).unwrap_or(0)
}

/// The body of a child; does nothing where the test runner starts it as a test of its own.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let store = SqliteConfigStore::open(path).await.unwrap();
    let key = counter();
    let (mut won, mut lost) = (0, 0);
    while won < EACH {
        let newest = store.get(&key, None).await.unwrap();
        let expected = newest.as_ref().map_or(Expected::Absent, |entry| Expected::Version(entry.version));
        let next = json!(count(newest.as_ref()) + 1);
        match store.put(PutConfig::new(key.clone(), next).expecting(expected)).await {
            Ok(_) => won += 1,
            Err(error) if error.kind() == ErrorKind::Conflict => lost += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    println!("won {won}, came second {lost} times");
}

fn start(path: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Both also find no file and make it, at the same time.
#[tokio::test]
async fn invariant_13_two_processes_lose_no_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.db");
    let children: Vec<_> = (0..PROCESSES).map(|_| start(&path)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}");
        assert!(text.contains(&format!("won {EACH},")), "{text}");
    }
    let store = SqliteConfigStore::open(&path).await.unwrap();
    let newest = store.get(&counter(), None).await.unwrap();
    assert_eq!(newest.as_ref().map(|entry| entry.version), Some(PROCESSES * EACH));
    assert_eq!(count(newest.as_ref()), PROCESSES * EACH);
    let page = store.history(&counter(), None, 1000).await.unwrap();
    assert!(page.entries.iter().all(|entry| count(Some(entry)) == entry.version), "an increment was lost");
}

/// There is no cache: the next call sees what another process wrote.
#[tokio::test]
async fn invariant_22_the_next_call_sees_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.db");
    let store = SqliteConfigStore::open(&path).await.unwrap();
    assert_eq!(store.get(&counter(), None).await.unwrap(), None);
    assert!(start(&path).wait_with_output().unwrap().status.success());
    assert_eq!(count(store.get(&counter(), None).await.unwrap().as_ref()), EACH);
}
