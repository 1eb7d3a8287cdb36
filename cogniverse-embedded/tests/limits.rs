//! Bounds of the backend, and disks that are full or read-only.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig, kernel::Kernels};
use cogniverse_sdk::{
    BackendQuery, DocumentStore, Error, ErrorCode, Matrix, SearchBackend,
    contract::fixture::{axis, deploy, document, schema_of, strategy},
    document_store::PutRequest,
};
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

const MOUNT: &str = "COGNIVERSE_SMALL_DISK";

async fn filled(config: EmbeddedConfig, documents: i64) -> EmbeddedBackend {
    let backend = EmbeddedBackend::open(config).await.unwrap();
    deploy(&backend, &["acme"]).await;
    let batch = (0..documents).map(|n| document(&format!("v{}", n / 50), n, "some words", axis((n % 8) as usize)));
    let report = backend.put(PutRequest::new(schema_of("acme"), batch.collect())).await.unwrap();
    assert_eq!(report.stored() as i64, documents);
    backend
}

fn floats() -> BackendQuery {
    BackendQuery::new(schema_of("acme"), strategy("float_float"))
        .with_vectors(Matrix::new(8, axis(1).repeat(64)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_23_searches_beyond_the_bound_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Arc::new(filled(EmbeddedConfig::new(folder.path()).with_search_limits(1, 2), 4000).await);
    let searches: Vec<_> = (0..64)
        .map(|_| {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move { backend.search(floats()).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for search in searches {
        match search.await.unwrap() {
            Ok(hits) => answered += usize::from(hits.matched == 4000),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::SearchQueueFull, "{error}");
                refused += 1;
            }
        }
    }
    assert!(answered >= 1 && refused >= 1 && answered + refused == 64, "{answered} answered, {refused} refused");
    assert_eq!(backend.search(floats()).await.unwrap().matched, 4000, "the places are free again");
}

#[tokio::test]
async fn invariant_23_codes_of_vectors_stay_within_their_budget() {
    let folder = tempfile::tempdir().unwrap();
    let backend = filled(EmbeddedConfig::new(folder.path()), 500).await;
    let answer = backend.search(floats()).await.unwrap();
    let needed = backend.resources().float_cache_bytes;
    if Kernels::detect().has_fast_codes() {
        assert!(needed >= 500 * 8, "{needed}");
    }
    drop(backend);
    for budget in [0, needed.saturating_sub(1)] {
        let config = EmbeddedConfig::new(folder.path()).with_float_cache_bytes(budget);
        let backend = EmbeddedBackend::open(config).await.unwrap();
        assert_eq!(backend.search(floats()).await.unwrap(), answer, "the same answer, without codes");
        assert!(backend.resources().float_cache_bytes <= budget);
    }
}

/// One search on one core and on several finds the same, in the same order, with floats in memory and read anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_does_not_depend_on_the_cores_that_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    // Equal scores in plenty: the order of ids decides, whichever core came first.
    drop(filled(EmbeddedConfig::new(folder.path()), 9_000).await);
    for (ranking, budget) in
        [("float_float", 1 << 30), ("float_float", 0), ("phased", 1 << 30), ("phased", 0), ("bm25_only", 0)]
    {
        let mut answers = Vec::new();
        for cores in [1, 8] {
            let config = EmbeddedConfig::new(folder.path()).with_float_cache_bytes(budget);
            let backend = EmbeddedBackend::open(config.with_max_cores_per_search(cores)).await.unwrap();
            let query = BackendQuery::new(schema_of("acme"), strategy(ranking))
                .with_text("words")
                .with_vectors(Matrix::new(8, axis(1).repeat(64)).unwrap())
                .with_page(90, 40)
                .with_timeout(Some(Duration::from_secs(60)));
            let first = backend.search(query.clone()).await.unwrap();
            assert_eq!((first.matched, first.hits.len()), (9_000, 40), "{ranking}");
            assert_eq!(backend.search(query).await.unwrap(), first);
            answers.push(first);
        }
        assert_eq!(answers[0], answers[1], "{ranking}, {budget} bytes of floats in memory");
    }
    let none = EmbeddedConfig::new(folder.path()).with_max_cores_per_search(0);
    assert_eq!(EmbeddedBackend::open(none).await.unwrap_err().code(), ErrorCode::InvalidInput);
}

fn is_full(error: &Error) -> bool {
    error.code() == ErrorCode::DiskFull && error.to_string().contains("is full; free space")
}

/// Not a test of its own: runs where a small disk is mounted for it alone.
#[tokio::test]
async fn on_a_small_disk() {
    let Some(mount) = std::env::var_os(MOUNT) else { return };
    let (mount, store) = (Path::new(&mount), Path::new(&mount).join("store"));
    let backend = filled(EmbeddedConfig::new(&store), 10).await;
    std::fs::write(mount.join("ballast"), vec![1; 2 << 20]).unwrap();
    let (mut stored, mut full) = (10, false);
    for batch in 1..1_000 {
        let documents = (0..10).map(|n| document(&format!("w{batch}"), n, &"long words ".repeat(400), axis(0)));
        match backend.put(PutRequest::new(schema_of("acme"), documents.collect())).await {
            Ok(report) => {
                stored += report.stored() as u64;
                if let Some(failure) = report.failures().next() {
                    assert!(is_full(failure.error.as_ref().unwrap()), "{failure:?}");
                    full = true;
                }
            }
            Err(error) => {
                assert!(is_full(&error), "{error:?}");
                full = true;
            }
        }
        if full {
            break;
        }
    }
    assert!(full, "the disk never filled up");
    // What was said to be stored is there, in this process and in the next, and nothing else.
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap(), stored);
    let words = || BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text("words").with_page(0, 1);
    assert_eq!(backend.search(words()).await.unwrap().matched, stored);
    drop(backend);
    let error = EmbeddedBackend::open(EmbeddedConfig::new(&store)).await.err();
    assert!(error.as_ref().is_none_or(is_full), "{error:?}");
    std::fs::remove_file(mount.join("ballast")).unwrap();
    let backend = EmbeddedBackend::open(EmbeddedConfig::new(&store)).await.unwrap();
    assert_eq!(backend.search(words()).await.unwrap().matched, stored);
    let one = PutRequest::new(schema_of("acme"), vec![document("after", 0, "words", axis(0))]);
    assert_eq!(backend.put(one.clone()).await.unwrap().stored(), 1);
    drop(backend);
    // The same disk, read-only.
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(mount).status().unwrap().success());
    let error = EmbeddedBackend::open(EmbeddedConfig::new(&store)).await.unwrap_err();
    assert!(error.code() == ErrorCode::StorageNotWritable && error.to_string().contains("write permission"), "{error}");
    assert!(Command::new("mount").args(["-o", "remount,rw"]).arg(mount).status().unwrap().success());
    let backend = EmbeddedBackend::open(EmbeddedConfig::new(&store)).await.unwrap();
    assert_eq!(backend.search(words()).await.unwrap().matched, stored + 1);
    println!("the small disk was full, and read-only");
}

#[test]
fn a_full_disk_and_a_read_only_one_lose_nothing() {
    let mount = tempfile::tempdir().unwrap();
    // A mount that only the child sees: nothing to clean up. Without root it takes a user namespace, which some machines forbid.
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let script = r#"mount -t tmpfs -o size=5m tmpfs "$1" && exec $2"#;
    let runs = |way: &&&[&str], then: &str| {
        let mut command = Command::new("unshare");
        command.args(**way).args(["sh", "-c", script, "sh"]).arg(mount.path()).arg(then);
        command.env(MOUNT, mount.path()).stdin(Stdio::null()).output()
    };
    let Some(way) = ways.iter().find(|way| runs(way, "true").is_ok_and(|output| output.status.success())) else {
        eprintln!("skipped: this machine lets nobody mount a disk of their own (unshare --mount)");
        return;
    };
    let test = format!("{} --exact on_a_small_disk --nocapture", std::env::current_exe().unwrap().display());
    let child = runs(&way, &test);
    let output = child.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("the small disk was full"), "{said}\n{errors}");
}

/// A search that is given up frees its place at once or at the next look at the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_23_a_search_given_up_frees_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Arc::new(filled(EmbeddedConfig::new(folder.path()).with_search_limits(1, 1), 2000).await);
    for _ in 0..50 {
        let search = tokio::spawn({
            let backend = Arc::clone(&backend);
            async move { backend.search(floats()).await }
        });
        tokio::time::sleep(Duration::from_micros(200)).await;
        search.abort();
        let _ = search.await;
    }
    let answer = tokio::time::timeout(Duration::from_secs(10), backend.search(floats())).await.unwrap();
    assert_eq!(answer.unwrap().matched, 2000);
}
