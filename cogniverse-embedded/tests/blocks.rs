//! Block files are derived: whatever becomes of them, answers are those of the documents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendHits, BackendQuery, Document, DocumentStore, ErrorKind, FacetRequest, FieldValue, Filter, OwnedDocument,
    SchemaStore, SearchBackend, Sort, Tensor,
    contract::fixture::{axis, deploy, document, field, id, row, schema_of, strategy, tenant},
    document::Fields,
    document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
    filter::Number,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const FOLDER: &str = "COGNIVERSE_BLOCKS_FOLDER";
const WORDS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "ünïcode"];
const DOCUMENTS: i64 = 700;

async fn open(folder: &Path, block_documents: usize) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash);
    EmbeddedBackend::open(config.with_block_documents(block_documents)).await.unwrap()
}

fn segment(number: i64) -> Document {
    let word = |n: i64| WORDS[(n % 5) as usize];
    let words = format!("{} {} {} number{number}", word(number), word(number / 5), word(number * number));
    let mut document = document(&format!("v{}", number % 7), number, &words, axis((number % 8) as usize));
    if number % 11 == 0 {
        document.fields.remove(&field("embedding"));
        document.fields.remove(&field("embedding_binary"));
    }
    document
}

async fn put(backend: &EmbeddedBackend, numbers: std::ops::Range<i64>) {
    for first in numbers.clone().step_by(50) {
        let batch = (first..(first + 50).min(numbers.end)).map(segment).collect();
        let report = backend.put(PutRequest::new(schema_of("acme"), batch)).await.unwrap();
        assert_eq!(report.failures().count(), 0);
    }
}

/// Changes of what lies in block files: deleted, replaced, a field changed.
async fn change(backend: &EmbeddedBackend) {
    let schema = schema_of("acme");
    let filter = Filter::between(field("segment_id"), Number::Integer(40), Number::Integer(140));
    assert_eq!(backend.delete(DeleteRequest::matching(schema.clone(), filter)).await.unwrap(), 100);
    put(backend, 200..230).await;
    let assign = Fields::from([(field("audio_transcript"), FieldValue::from("alpha anew"))]);
    let updates = (300..340).map(|n| DocumentUpdate::assign(segment(n).id, assign.clone())).collect();
    assert_eq!(backend.update(UpdateRequest::new(schema, updates)).await.unwrap().stored(), 40);
}

/// Everything that can be asked.
async fn answers(backend: &EmbeddedBackend) -> (Vec<BackendHits>, Vec<OwnedDocument>, Vec<Option<OwnedDocument>>, u64) {
    let schema = || schema_of("acme");
    let filter = Filter::between(field("segment_id"), Number::Integer(10), Number::Integer(450));
    let mut hits = Vec::new();
    for ranking in ["bm25_only", "float_float", "phased", "hybrid_fused"] {
        for filter in [None, Some(filter.clone())] {
            let query = BackendQuery::new(schema(), strategy(ranking)).with_text("alpha ünïcode number17");
            let query = query.with_vectors(row(axis(3))).with_filter(filter).with_page(0, 60);
            hits.push(backend.search(query).await.unwrap());
        }
    }
    for (name, descending) in [("video_id", false), ("segment_id", true), ("start_time", true)] {
        let facets = ["video_id", "segment_id", "start_time"].map(|name| FacetRequest::new(field(name), 20)).to_vec();
        let query = BackendQuery::new(schema(), strategy("bm25_only")).with_text("alpha beta").with_page(7, 200);
        let query = query.with_sort(Some(Sort { field: field(name), descending })).with_facets(facets);
        hits.push(backend.search(query).await.unwrap());
    }
    let visited = backend.visit(VisitRequest::new(schema()).with_page_size(1000)).await.unwrap().documents;
    let ids = (0..DOCUMENTS).map(|n| segment(n).id).collect();
    let got = backend.get(GetRequest::new(schema(), ids)).await.unwrap();
    let video = Filter::equals(field("video_id"), "v3");
    (hits, visited, got, backend.count(&schema(), Some(&video)).await.unwrap())
}

fn deployment(folder: &Path) -> PathBuf {
    folder.join("tenants/acme/contract_video.1")
}

fn blocks(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(deployment(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut blocks: Vec<PathBuf> =
        found.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("block.")).collect();
    blocks.sort();
    blocks
}

/// The block files that the record names and does not call removed.
fn named(folder: &Path) -> Vec<(i64, i64, i64)> {
    let connection = rusqlite::Connection::open(deployment(folder).join("documents.sqlite")).unwrap();
    let mut select =
        connection.prepare("SELECT number, first, last FROM blocks WHERE removed = 0 ORDER BY first").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Waits until a condition on the folder is met.
async fn until(folder: &Path, met: impl Fn(&Path) -> bool) {
    let begun = Instant::now();
    while !met(folder) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?} {:?}", blocks(folder), named(folder));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A folder with block files, and the answers of a backend that never wrote one.
async fn folder_of_blocks()
-> (tempfile::TempDir, (Vec<BackendHits>, Vec<OwnedDocument>, Vec<Option<OwnedDocument>>, u64)) {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let reference = open(other.path(), usize::MAX).await;
    deploy(&reference, &["acme"]).await;
    put(&reference, 0..DOCUMENTS).await;
    change(&reference).await;
    assert!(blocks(other.path()).is_empty());
    let backend = open(folder.path(), 64).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, 0..DOCUMENTS).await;
    until(folder.path(), |folder| named(folder).last().is_some_and(|(_, _, last)| *last > DOCUMENTS - 128)).await;
    change(&backend).await;
    let expected = answers(&reference).await;
    assert_eq!(answers(&backend).await, expected);
    drop(backend);
    assert!(!blocks(folder.path()).is_empty());
    (folder, expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_from_block_files_are_those_of_the_documents() {
    let (folder, expected) = folder_of_blocks().await;
    for block_documents in [1_000_000, 64, 1] {
        let backend = open(folder.path(), block_documents).await;
        assert_eq!(answers(&backend).await, expected, "blocks of {block_documents}");
        assert!(backend.verify(&schema_of("acme")).await.unwrap().is_whole());
        drop(backend);
        let files: Vec<i64> = blocks(folder.path())
            .iter()
            .map(|path| path.extension().unwrap().to_str().unwrap().parse().unwrap())
            .collect();
        let mut names: Vec<i64> = named(folder.path()).iter().map(|(number, ..)| *number).collect();
        names.sort_unstable();
        assert!(names.iter().all(|number| files.contains(number)), "{names:?} {files:?}");
        assert!(files.len() <= names.len() + 1, "no file is left behind: {names:?} {files:?}");
    }
    // Everything is deleted: so are the files.
    let backend = open(folder.path(), 64).await;
    let all = Filter::between(field("segment_id"), Number::Integer(0), Number::Integer(DOCUMENTS));
    assert_eq!(backend.delete(DeleteRequest::matching(schema_of("acme"), all)).await.unwrap(), 600);
    assert_eq!(blocks(folder.path()), Vec::<PathBuf>::new());
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap(), 0);
    // And a schema whose blocks are being written is dropped like any other.
    put(&backend, 0..DOCUMENTS).await;
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    assert!(!deployment(folder.path()).exists());
}

/// What lies in block files is not derived again: the documents of which they were made are not looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_opened_by_its_blocks() {
    let (folder, _) = folder_of_blocks().await;
    // What may not have reached the disk is read by the first opening after it was written.
    assert!(open(folder.path(), 64).await.count(&schema_of("acme"), None).await.unwrap() > 0);
    let (_, _, last) = *named(folder.path()).last().unwrap();
    let record = rusqlite::Connection::open(deployment(folder.path()).join("documents.sqlite")).unwrap();
    assert!(record.execute("UPDATE documents SET fields = '{}' WHERE row <= ?1", [last]).unwrap() > 500);
    drop(record);
    let backend = open(folder.path(), 64).await;
    let query = || BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text("alpha").with_page(0, 1);
    // The index says how many match; that the page's document is damaged is an error, and no absence.
    let video = Filter::equals(field("video_id"), "v3");
    assert_eq!(backend.count(&schema_of("acme"), Some(&video)).await.unwrap(), 86);
    assert_eq!(backend.search(query()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    drop(backend);
    fs::remove_file(&blocks(folder.path())[0]).unwrap();
    let backend = open(folder.path(), 64).await;
    assert_eq!(
        backend.count(&schema_of("acme"), None).await.unwrap_err().kind(),
        ErrorKind::Corrupt,
        "nothing is made up"
    );
}

/// Gives a block file the fingerprint that another version of the analysis would have given it.
fn of_another_version(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[16] ^= 1;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..12]);
    sum.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&sum.finalize().to_le_bytes());
    fs::write(path, bytes).unwrap();
}

/// An upgrade that analyzes words otherwise: no answer is made of terms of the earlier version, a call waits as long as it
/// allows and is told how far the derivation is, and what was derived is written out, so that it is derived once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_another_version_of_the_analysis_are_derived_anew_with_progress() {
    let folder = tempfile::tempdir().unwrap();
    let documents = 30_000;
    let backend = open(folder.path(), 4096).await;
    deploy(&backend, &["acme"]).await;
    for first in (0..documents).step_by(1000) {
        let batch = (first..first + 1000).map(segment).collect();
        backend.put(PutRequest::new(schema_of("acme"), batch)).await.unwrap();
    }
    let query = || BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text("alpha number17");
    let expected = backend.search(query()).await.unwrap();
    until(folder.path(), |folder| named(folder).last().is_some_and(|(_, _, last)| *last > documents - 4096)).await;
    drop(backend);
    let before = named(folder.path());
    blocks(folder.path()).iter().for_each(|path| of_another_version(path));
    let backend = open(folder.path(), 4096).await;
    let impatient = backend.search(query().with_timeout(Some(Duration::from_millis(1)))).await.unwrap_err();
    assert_eq!(impatient.code(), cogniverse_sdk::ErrorCode::SchemaOpening);
    let (mut seen, mut told) = (Vec::new(), Vec::new());
    let found = loop {
        seen.extend(backend.deriving());
        match backend.search(query().with_timeout(Some(Duration::from_millis(5)))).await {
            Ok(found) => break found,
            Err(error) if error.code() == cogniverse_sdk::ErrorCode::SchemaOpening => {
                told.extend(error.context().find(|(key, _)| *key == "index_derived_anew").map(|(_, of)| of.to_owned()));
            }
            // The store is open, and 5 ms are too few for a search on a busy machine.
            Err(_) => break backend.search(query()).await.unwrap(),
        }
    };
    assert_eq!(found, expected);
    assert!(seen.iter().any(|of| of.schema == schema_of("acme") && of.done > 0 && of.of > 25_000), "{seen:?}");
    assert!(seen.is_sorted_by_key(|of| of.done), "{seen:?}");
    assert!(told.iter().any(|of| of.to_string().ends_with(" documents")), "{told:?}");
    assert!(backend.deriving().is_empty());
    // What was derived takes the place of the earlier files: the next opening derives nothing.
    until(folder.path(), |folder| before.iter().all(|known| !named(folder).contains(known))).await;
    drop(backend);
    let backend = open(folder.path(), 4096).await;
    let opening = tokio::spawn({
        let backend = backend.clone();
        async move { backend.search(query()).await.unwrap() }
    });
    let mut derived = 0;
    while !opening.is_finished() {
        derived += backend.deriving().len();
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    assert_eq!((opening.await.unwrap(), derived), (expected, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_block_files_are_made_anew_and_never_believed() {
    let (folder, expected) = folder_of_blocks().await;
    let whole: Vec<(PathBuf, Vec<u8>)> =
        blocks(folder.path()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let record = deployment(folder.path()).join("documents.sqlite");
    let whole_record = fs::read(&record).unwrap();
    for round in 0..60_usize {
        for (number, (path, bytes)) in whole.iter().enumerate() {
            let mut bytes = bytes.clone();
            match (round + number) % 6 {
                0 => bytes.truncate(round * 97 % bytes.len()),
                1 => bytes.extend([0; 64]),
                2 => bytes.fill(0),
                3 => bytes = whole[(number + 1) % whole.len()].1.clone(),
                _ => {
                    let bit = (round * 31 + number).wrapping_mul(2_654_435_761) % (bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            }
            fs::write(path, bytes).unwrap();
            if round % 7 == 0 {
                fs::remove_file(path).unwrap();
            }
        }
        // Nothing is written anew, so that each round meets its own damage.
        let backend = open(folder.path(), usize::MAX / 8).await;
        assert_eq!(answers(&backend).await, expected, "round {round}");
    }
    // Then they are written anew, in the background.
    let before = named(folder.path());
    let backend = open(folder.path(), 64).await;
    assert_eq!(answers(&backend).await, expected);
    until(folder.path(), |folder| before.iter().all(|known| !named(folder).contains(known))).await;
    assert_eq!(answers(&backend).await, expected);
    drop(backend);
    // The record of a block is checked as well.
    for (path, bytes) in &whole {
        fs::write(path, bytes).unwrap();
    }
    for damage in [
        "live = x'00'",
        "live = zeroblob(length(live))",
        "first = first + 1",
        "last = last + 100",
        "number = number + 50",
        "sum = 0",
    ] {
        fs::write(&record, &whole_record).unwrap();
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", record.display()));
        }
        rusqlite::Connection::open(&record).unwrap().execute_batch(&format!("UPDATE blocks SET {damage}")).unwrap();
        let backend = open(folder.path(), usize::MAX / 8).await;
        assert_eq!(answers(&backend).await, expected, "{damage}");
    }
}

/// Not a test of its own: the process that is killed. It feeds until it stops at a failpoint.
#[tokio::test]
async fn feeder_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let backend = open(Path::new(&folder), 64).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, 0..DOCUMENTS).await;
    println!("all are stored");
    for round in 0..40 {
        // Each document anew, so that blocks die and are merged.
        put(&backend, 0..DOCUMENTS).await;
        println!("round {round}");
    }
    panic!("no failpoint was reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_any_step_leaves_what_was_stored() {
    for place in ["block.begun", "block.written", "block.named", "block.published", "files.removing", "files.removed"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "feeder_process", "--nocapture"])
            .env(FOLDER, folder.path())
            .env("COGNIVERSE_FAILPOINT", place)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let reached = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains(&format!("failpoint {place}")));
        // What the feeder goes on to store meanwhile is stored as well, and it waits in the end for the stopped thread.
        std::thread::sleep(Duration::from_millis(50));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "{place} was not reached");
        for _ in 0..2 {
            let backend = open(folder.path(), 64).await;
            let schema = schema_of("acme");
            let stored = backend.count(&schema, None).await.unwrap();
            assert_eq!(stored % 50, 0, "{place}: whole batches of 50");
            let words = BackendQuery::new(schema.clone(), strategy("bm25_only")).with_page(0, 1000);
            let all = WORDS.join(" ");
            let found = backend.search(words.with_text(all)).await.unwrap();
            assert_eq!(found.matched, stored, "{place}");
            let page = backend.visit(VisitRequest::new(schema.clone()).with_page_size(1000)).await.unwrap();
            assert_eq!(page.documents.len() as u64, stored, "{place}");
            let near = BackendQuery::new(schema.clone(), strategy("float_float")).with_vectors(row(axis(1)));
            let with_vectors =
                page.documents.iter().filter(|found| found.document.get("embedding").is_some()).count() as u64;
            assert_eq!(backend.search(near).await.unwrap().matched, with_vectors, "{place}");
            assert!(backend.verify(&schema).await.unwrap().is_whole(), "{place}");
            put(&backend, 0..50).await;
        }
    }
}

/// Deleted and replaced documents stay so, however often the store is opened and its blocks are merged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_merge_under_writers_and_searches() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 16).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, 0..300).await;
    let searching = tokio::spawn({
        let backend = backend.clone();
        async move {
            for _ in 0..400 {
                let query = BackendQuery::new(schema_of("acme"), strategy("phased")).with_vectors(row(axis(2)));
                let found = backend.search(query.with_text("alpha").with_page(0, 300)).await.unwrap();
                assert_eq!(found.hits.len() as u64, found.matched);
                assert!(found.matched >= 250, "{}", found.matched);
            }
        }
    });
    for round in 0..60_i64 {
        let first = round * 5 % 300;
        put(&backend, first..(first + 5).min(300)).await;
    }
    searching.await.unwrap();
    let held = backend.snapshot(&tenant("acme")).await.unwrap().unwrap();
    put(&backend, 0..300).await;
    assert_eq!(
        held.visit(VisitRequest::new(schema_of("acme")).with_page_size(1000)).await.unwrap().documents.len(),
        300
    );
    drop(held);
    drop(backend);
    let backend = open(folder.path(), 16).await;
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap(), 300);
    let bits = |found: &OwnedDocument| {
        matches!(found.document.get("embedding_binary"), Some(FieldValue::Tensor(Tensor::BitRows(_))))
    };
    let page = backend.visit(VisitRequest::new(schema_of("acme")).with_page_size(1000)).await.unwrap();
    assert_eq!(page.documents.iter().filter(|found| bits(found)).count(), 272);
    assert!(backend.get(GetRequest::new(schema_of("acme"), vec![id("v1/1")])).await.unwrap()[0].is_some());
}
