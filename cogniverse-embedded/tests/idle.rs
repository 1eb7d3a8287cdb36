//! Memory and file descriptors of many tenants that are open and idle. Alone in its process, as it reads what the process holds.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentStore, SearchBackend,
    contract::fixture::{axis, deploy, document, schema_of, strategy},
    document_store::PutRequest,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

const DOCUMENTS: i64 = 20;

/// The memory of this process in KiB: all of it that is resident, and the part that no file backs.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    (of("VmRSS"), of("RssAnon"))
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

fn config(folder: &Path) -> EmbeddedConfig {
    EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash).with_max_open_schemas(1 << 20)
}

fn words(of: &str) -> BackendQuery {
    BackendQuery::new(schema_of(of), strategy("bm25_only")).with_text("words")
}

async fn fill(folder: &Path, names: &[String]) {
    let backend = EmbeddedBackend::open(config(folder)).await.unwrap();
    for names in names.chunks(100) {
        deploy(&backend, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    for name in names {
        let batch: Vec<Document> = (0..DOCUMENTS)
            .map(|n| {
                document("v", n, &format!("some words of document {n} that somebody said"), axis((n % 8) as usize))
            })
            .collect();
        backend.put(PutRequest::new(schema_of(name), batch)).await.unwrap();
    }
}

/// A measurement, printed: `IDLE_TENANTS` (1,000) tenants of 20 documents each, all open, with up to `IDLE_CONNECTIONS`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_open_tenants_hold() {
    let tenants = std::env::var("IDLE_TENANTS").map_or(1000, |tenants| tenants.parse().unwrap());
    let (made, given) = (tempfile::tempdir().unwrap(), std::env::var_os("IDLE_FOLDER").map(PathBuf::from));
    let folder = given.clone().unwrap_or_else(|| made.path().to_owned());
    let names: Vec<String> = (0..tenants).map(|n| format!("t{n}")).collect();
    let begun = Instant::now();
    if let Some(folder) = std::env::var_os("IDLE_FILL").map(PathBuf::from) {
        return fill(&folder, &names).await;
    }
    // Filled by another process, whose memory is not counted.
    if given.is_none_or(|given| !given.exists()) {
        let filled = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_open_tenants_hold", "--ignored"])
            .env("IDLE_FILL", &folder)
            .status();
        assert!(filled.unwrap().success());
        println!("fed in {:?}", begun.elapsed());
    }
    let before = (memory(), descriptors());
    let idle = std::env::var("IDLE_CONNECTIONS").ok().map(|idle| idle.parse().unwrap());
    let config = config(&folder);
    let idle = idle.unwrap_or(config.max_idle_connections);
    let backend = EmbeddedBackend::open(config.with_max_idle_connections(idle)).await.unwrap();
    for (round, at_once) in [1, 1, 1, 1, 8, 8].into_iter().enumerate() {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|part| {
                let (backend, names) = (backend.clone(), names.clone());
                tokio::spawn(async move {
                    for name in names.iter().skip(part).step_by(at_once) {
                        assert_eq!(backend.search(words(name)).await.unwrap().matched, DOCUMENTS as u64);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let now = (memory(), descriptors());
        println!(
            "round {round}, {at_once} at once, in {:?}: {} open, {} KiB more resident, {} KiB more anonymous, {} more descriptors",
            begun.elapsed(),
            backend.resources().open_schemas,
            now.0.0 - before.0.0,
            now.0.1 - before.0.1,
            now.1 - before.1,
        );
    }
}

const FEW_FILES: &str = "COGNIVERSE_IDLE_FEW_FILES";

/// Not a test of its own: the process that may open 256 files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_few_files() {
    const TENANTS: usize = 300;
    // Half of what the process may open, of which each connection takes three.
    const IDLE: usize = 256 / 2 / 3 * 3;
    let Some(folder) = std::env::var_os(FEW_FILES).map(PathBuf::from) else { return };
    let limit = rustix::process::Rlimit { current: Some(256), maximum: Some(256) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let names: Arc<[String]> = (0..TENANTS).map(|n| format!("t{n}")).collect();
    let before = descriptors();
    let backend = EmbeddedBackend::open(config(&folder)).await.unwrap();
    for names in names.chunks(100) {
        deploy(&backend, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let mut largest = 0;
    for round in 0..3_u64 {
        // Four at once, each with its own part of the tenants.
        let tasks: Vec<_> = (0..4)
            .map(|part| {
                let (backend, names) = (backend.clone(), Arc::clone(&names));
                tokio::spawn(async move {
                    let mut largest = 0;
                    for name in names.iter().skip(part).step_by(4) {
                        let own = format!("words of {name}");
                        let one = document("v", round as i64, &own, axis(0));
                        let stored = backend.put(PutRequest::new(schema_of(name), vec![one])).await.unwrap();
                        assert_eq!(stored.stored(), 1);
                        let found = backend.search(words(name)).await.unwrap();
                        assert_eq!(found.matched, round + 1, "{name}");
                        let is_own = |document: &Document| document.text("audio_transcript") == own;
                        assert!(found.hits.iter().all(|hit| is_own(&hit.document)), "{name}");
                        largest = largest.max(descriptors());
                    }
                    largest
                })
            })
            .collect();
        for task in tasks {
            largest = largest.max(task.await.unwrap());
        }
        assert_eq!(backend.resources().open_schemas, TENANTS, "all stay open");
    }
    // Beside those of the idle: the catalog, the lock, the threads' own, and four operations at work.
    assert!(largest - before <= IDLE + 40, "{largest} descriptors, {before} of them before");
    // Others take all that are left: idle connections are closed for the store that is asked for, and no store is.
    let _held: Vec<_> = (0..256).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
    for name in &*names {
        assert_eq!(backend.search(words(name)).await.unwrap().matched, 3, "{name}");
    }
    assert_eq!(backend.resources().open_schemas, TENANTS);
    println!("all were answered");
}

#[test]
fn three_hundred_tenants_are_open_in_a_process_of_few_files() {
    let folder = tempfile::tempdir().unwrap();
    let process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_few_files", "--nocapture"])
        .env(FEW_FILES, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&process.stdout);
    assert!(said.contains("all were answered"), "{said}{}", String::from_utf8_lossy(&process.stderr));
}
