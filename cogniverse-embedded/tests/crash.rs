//! kill -9 in the middle of a feed, again and again: the store opens, and holds whole batches only ([invariant 15](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#15)).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, DocumentStore, ErrorKind, Filter, SchemaStore, SearchBackend,
    contract::fixture::{axis, deploy, document, field, schema_of, strategy},
    document_store::PutRequest,
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

const FOLDER: &str = "COGNIVERSE_CRASH_FOLDER";
const BATCH: i64 = 20;
const ROUNDS: usize = 12;

/// Not a test of its own: the process that is killed. It says each batch that is stored.
#[tokio::test]
async fn feeder_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let backend = EmbeddedBackend::open(EmbeddedConfig::new(&folder)).await.unwrap();
    deploy(&backend, &["acme"]).await;
    let first = i64::try_from(backend.count(&schema_of("acme"), None).await.unwrap()).unwrap() / BATCH;
    for batch in first.. {
        let documents =
            (0..BATCH).map(|n| document(&format!("v{batch}"), n, "some words to index", axis((n % 8) as usize)));
        let report = backend.put(PutRequest::new(schema_of("acme"), documents.collect())).await.unwrap();
        assert_eq!(report.stored() as i64, BATCH);
        println!("stored {batch}");
    }
}

fn feed_and_kill(folder: &Path, after: usize) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "feeder_process", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = -1;
    let mut said = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split("stored ").nth(1).and_then(|batch| batch.trim().parse::<i64>().ok()));
    for _ in 0..after {
        last = said.next().expect("the feeder ended by itself");
    }
    // SIGKILL: nothing of the process gets to clean up. The moment falls anywhere in the next batch.
    std::thread::sleep(std::time::Duration::from_micros(137 * after as u64));
    child.kill().unwrap();
    child.wait().unwrap();
    said.last().unwrap_or(last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_15_a_killed_feed_leaves_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 1..=ROUNDS {
        let said = feed_and_kill(folder.path(), round);
        let backend = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
        let schema = schema_of("acme");
        let count = i64::try_from(backend.count(&schema, None).await.unwrap()).unwrap();
        assert_eq!(count % BATCH, 0, "a batch is stored whole or not at all");
        assert!(count >= (said + 1) * BATCH, "batch {said} was reported as stored, and {count} documents are there");
        assert!(count > before, "each round stored something");
        before = count;
        // The index agrees with the record.
        let query = BackendQuery::new(schema.clone(), strategy("bm25_only")).with_text("words").with_page(0, 1);
        assert_eq!(backend.search(query).await.unwrap().matched, count as u64);
        let last = Filter::equals(field("video_id"), format!("v{}", count / BATCH - 1));
        assert_eq!(backend.count(&schema, Some(&last)).await.unwrap(), BATCH as u64);
    }
}

/// What a crash in the middle of a drop leaves is removed on open; what the catalog does not explain stops the opening.
#[tokio::test]
async fn invariant_09_15_leftovers_are_removed_and_riddles_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedBackend::open(EmbeddedConfig::new(folder.path()));
    let backend = open().await.unwrap();
    deploy(&backend, &["acme", "globex"]).await;
    for tenant in ["acme", "globex"] {
        backend.put(PutRequest::new(schema_of(tenant), vec![document("v", 0, "x", axis(0))])).await.unwrap();
    }
    let deployment = folder.path().join("tenants/acme/contract_video.1");
    assert!(deployment.join("documents.sqlite").exists());
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    assert!(!folder.path().join("tenants/acme").exists());
    drop(backend);
    // As if the process had died between the catalog and the folder.
    std::fs::create_dir_all(&deployment).unwrap();
    std::fs::write(deployment.join("documents.sqlite"), "left behind").unwrap();
    // Without a record of the drop it may be anything, such as a backup that was put back.
    drop(open().await.unwrap());
    assert!(deployment.exists());
    rusqlite::Connection::open(folder.path().join("catalog.sqlite"))
        .unwrap()
        .execute("INSERT INTO drops (generation, tenant, base) VALUES (1, 'acme', 'contract_video')", [])
        .unwrap();
    let backend = open().await.unwrap();
    assert!(!deployment.exists() && !folder.path().join("tenants/acme").exists());
    assert_eq!(backend.count(&schema_of("globex"), None).await.unwrap(), 1);
    drop(backend);
    // A catalog that was lost: its folders are not taken for leftovers.
    for file in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "catalog.sqlite-made"] {
        let _ = std::fs::remove_file(folder.path().join(file));
    }
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(folder.path().join("tenants/globex/contract_video.2/documents.sqlite").exists());
}

/// A store whose file is gone, damaged, or another tenant's, is an error and never an empty store.
#[tokio::test]
async fn invariant_09_a_lost_file_is_not_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = |tenant: &str, generation: u32| {
        folder.path().join(format!("tenants/{tenant}/contract_video.{generation}/documents.sqlite"))
    };
    let open = || EmbeddedBackend::open(EmbeddedConfig::new(folder.path()));
    let backend = open().await.unwrap();
    deploy(&backend, &["acme", "globex", "initech"]).await;
    for tenant in ["acme", "globex", "initech"] {
        backend.put(PutRequest::new(schema_of(tenant), vec![document("v", 0, tenant, axis(0))])).await.unwrap();
    }
    drop(backend);
    std::fs::remove_file(file("acme", 1)).unwrap();
    std::fs::copy(file("initech", 3), file("globex", 2)).unwrap();
    std::fs::write(file("initech", 3), vec![7u8; 8192]).unwrap();
    let backend = open().await.unwrap();
    for (tenant, part) in [("acme", "missing"), ("globex", "belongs to tenant initech"), ("initech", "damaged")] {
        let error = backend.count(&schema_of(tenant), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}
