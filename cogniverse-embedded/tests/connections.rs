//! Connections that all stores share: nothing is lost as they are closed and opened again, and what is lost meanwhile is noticed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentStore, Error, ErrorKind, Filter, SearchBackend,
    contract::fixture::{axis, deploy, document, field, id, schema_of, strategy, tenant},
    document_store::{DeleteRequest, GetRequest, PutRequest, VisitRequest},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

async fn open(folder: &Path, idle: usize) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash);
    EmbeddedBackend::open(config.with_max_idle_connections(idle)).await.unwrap()
}

async fn put(backend: &EmbeddedBackend, of: &str, documents: std::ops::Range<i64>) -> Result<(), Error> {
    let documents: Vec<Document> =
        documents.map(|n| document("v", n, &format!("words of {n}"), axis((n % 8) as usize))).collect();
    backend.put(PutRequest::new(schema_of(of), documents)).await.map(drop)
}

fn words(of: &str) -> BackendQuery {
    BackendQuery::new(schema_of(of), strategy("bm25_only")).with_text("words").with_page(0, 5)
}

fn store(folder: &Path, of: &str, generation: u32) -> PathBuf {
    folder.join(format!("tenants/{of}/contract_video.{generation}/documents.sqlite"))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

/// The error of each operation on a store, which has to be the same kind.
async fn errors(backend: &EmbeddedBackend, of: &str) -> Vec<Error> {
    let nothing = DeleteRequest::matching(schema_of(of), Filter::equals(field("video_id"), "nobody"));
    vec![
        backend.search(words(of)).await.unwrap_err(),
        put(backend, of, 90..91).await.unwrap_err(),
        backend.get(GetRequest::new(schema_of(of), vec![id("v/1")])).await.unwrap_err(),
        backend.count(&schema_of(of), None).await.unwrap_err(),
        backend.delete(nothing).await.unwrap_err(),
        backend.visit(VisitRequest::new(schema_of(of))).await.unwrap_err(),
        backend.snapshot(&tenant(of)).await.map(drop).unwrap_err(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_readers_of_more_stores_than_connections_lose_nothing() {
    const WRITES: i64 = 25;
    for idle in [0, 1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c", "d", "e", "f"];
        let backend = open(folder.path(), idle).await;
        deploy(&backend, &names).await;
        let mut tasks = Vec::new();
        for name in names {
            // Two writers of a store, of documents of their own, and a reader.
            for writer in 0..2 {
                let backend = backend.clone();
                tasks.push(tokio::spawn(async move {
                    for n in 0..WRITES {
                        put(&backend, name, writer * WRITES + n..writer * WRITES + n + 1).await.unwrap();
                        let own = id(&format!("v/{}", writer * WRITES + n));
                        let found = backend.get(GetRequest::new(schema_of(name), vec![own])).await.unwrap();
                        assert!(found[0].is_some(), "{name}: what was stored is read");
                    }
                }));
            }
            let backend = backend.clone();
            tasks.push(tokio::spawn(async move {
                let mut before = 0;
                while before < 2 * WRITES as u64 {
                    let found = backend.search(words(name)).await.unwrap();
                    assert!(found.matched >= before, "{name}: {} after {before}", found.matched);
                    before = found.matched;
                }
            }));
        }
        for task in tasks {
            tokio::time::timeout(Duration::from_secs(120), task).await.expect("a deadlock").unwrap();
        }
        let count = 2 * WRITES as u64;
        for _ in 0..2 {
            for name in names {
                assert_eq!(backend.count(&schema_of(name), None).await.unwrap(), count);
                assert!(backend.verify(&schema_of(name)).await.unwrap().is_whole());
                assert_eq!(backend.close_tenant(&tenant(name)), 0);
            }
        }
        drop(backend);
        let backend = open(folder.path(), 8).await;
        for name in names {
            assert_eq!(backend.count(&schema_of(name), None).await.unwrap(), count);
        }
    }
}

#[tokio::test]
async fn the_log_goes_with_the_last_connection_and_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 1).await;
    deploy(&backend, &["acme", "globex"]).await;
    let logs =
        [("acme", 1), ("globex", 2)].map(|(of, generation)| beside(&store(folder.path(), of, generation), "-wal"));
    for round in 0..5 {
        put(&backend, "acme", round..round + 1).await.unwrap();
        assert!(logs[0].exists(), "its connection is idle");
        put(&backend, "globex", round..round + 1).await.unwrap();
        assert!(!logs[0].exists() && logs[1].exists(), "one idle connection at most");
        for of in ["acme", "globex"] {
            assert_eq!(backend.search(words(of)).await.unwrap().matched, round as u64 + 1);
        }
    }
}

/// A copy of the file beside it, for another inode number.
#[cfg(unix)]
fn put_in_place(file: &Path, content: &[u8]) {
    let other = file.with_extension("other");
    fs::write(&other, content).unwrap();
    fs::rename(other, file).unwrap();
}

/// No descriptor keeps the file, so that not even its inode number proves that it is still the same.
#[cfg(unix)]
#[tokio::test]
async fn invariant_09_what_is_lost_while_no_connection_is_open_is_missed() {
    type Ruin = Box<dyn Fn(&Path)>;
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 0).await;
    deploy(&backend, &["acme", "globex"]).await;
    put(&backend, "acme", 0..3).await.unwrap();
    put(&backend, "globex", 0..3).await.unwrap();
    let (file, other) = (store(folder.path(), "acme", 1), store(folder.path(), "globex", 2));
    assert!(!beside(&file, "-wal").exists(), "no connection is open");
    let earlier = fs::read(&file).unwrap();
    put(&backend, "acme", 3..5).await.unwrap();
    let (whole, other) = (fs::read(&file).unwrap(), fs::read(other).unwrap());
    let half_made = {
        let path = folder.path().join("half-made");
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
        fs::read(path).unwrap()
    };
    let with = |content: &Vec<u8>, ruin: fn(&Path, &[u8])| -> Ruin {
        let content = content.clone();
        Box::new(move |file| ruin(file, &content))
    };
    let ruins: [(&str, Ruin); 9] = [
        ("removed while it was open", Box::new(|file| fs::remove_file(file).unwrap())),
        ("is empty", Box::new(|file| fs::write(file, "").unwrap())),
        ("replaced by another file", Box::new(|file| put_in_place(file, b""))),
        ("replaced by another file", with(&whole, put_in_place)),
        ("replaced by another file", with(&other, put_in_place)),
        // In place: the same inode number.
        ("lacks writes that were stored", with(&earlier, |file, content| fs::write(file, content).unwrap())),
        ("the file of another store", with(&other, |file, content| fs::write(file, content).unwrap())),
        ("tables are missing", with(&half_made, |file, content| fs::write(file, content).unwrap())),
        ("damaged", Box::new(|file| fs::write(file, vec![7; 8192]).unwrap())),
    ];
    for (said, ruin) in ruins {
        assert_eq!(backend.search(words("acme")).await.unwrap().matched, 5);
        ruin(&file);
        let there = fs::read(&file).ok();
        for error in errors(&backend, "acme").await {
            assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(said), "{said}: {error:?}");
        }
        assert_eq!(fs::read(&file).ok(), there, "{said}: nothing was made, and nothing written");
        assert_eq!(backend.search(words("globex")).await.unwrap().matched, 3, "{said}: others go on");
        // Closed, and put back, it is there again.
        assert_eq!(backend.close_tenant(&tenant("acme")), 0);
        fs::write(&file, &whole).unwrap();
    }
}

/// A program that reads keeps the last connection of ours from copying the log: its loss is then one of writes.
#[cfg(unix)]
#[tokio::test]
async fn invariant_09_a_log_that_the_last_close_left_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path(), "acme", 1);
    let backend = open(folder.path(), 0).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 0..3).await.unwrap();
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM documents").unwrap();
    put(&backend, "acme", 3..5).await.unwrap();
    let log = beside(&file, "-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0, "the reader holds it");
    assert_eq!(backend.search(words("acme")).await.unwrap().matched, 5);
    fs::remove_file(&log).unwrap();
    for error in errors(&backend, "acme").await {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    }
    // The reader has the removed log still, and its close is the last: nothing is lost.
    drop(other);
    assert_eq!(backend.search(words("acme")).await.unwrap().matched, 5);
}

/// The close writes down what was in the log, but who wrote in between was told that it is lost.
#[cfg(unix)]
#[tokio::test]
async fn invariant_09_a_log_that_was_lost_while_it_was_open_stays_lost() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 1).await;
    deploy(&backend, &["acme", "globex"]).await;
    put(&backend, "acme", 0..3).await.unwrap();
    fs::remove_file(beside(&store(folder.path(), "acme", 1), "-wal")).unwrap();
    put(&backend, "globex", 0..3).await.unwrap();
    for error in errors(&backend, "acme").await {
        assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("has lost its log"), "{error:?}");
    }
    assert_eq!(backend.close_tenant(&tenant("acme")), 0);
    assert_eq!(backend.search(words("acme")).await.unwrap().matched, 3);
}

/// A snapshot holds its own connection, and sees its moment however many are closed and opened beside it.
#[tokio::test]
async fn a_snapshot_outlives_the_connections_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 0).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 0..3).await.unwrap();
    let snapshot = backend.snapshot(&tenant("acme")).await.unwrap().unwrap();
    for n in 3..8 {
        put(&backend, "acme", n..n + 1).await.unwrap();
    }
    let page = snapshot.visit(VisitRequest::new(schema_of("acme"))).await.unwrap();
    assert_eq!(page.documents.len(), 3);
    let log = beside(&store(folder.path(), "acme", 1), "-wal");
    assert!(log.exists());
    drop((snapshot, page));
    assert!(!log.exists(), "its connection was the last");
    assert_eq!(backend.search(words("acme")).await.unwrap().matched, 8);
}
