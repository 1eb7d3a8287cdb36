//! Memory is given back when tenants are closed. Alone in its process, as it reads what the process holds.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, DocumentStore, SearchBackend,
    contract::fixture::{axis, deploy, document, schema_of, strategy, tenant},
    document_store::PutRequest,
};

/// Anonymous memory of this process, in MiB.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_tenants_gives_their_memory_back() {
    let folder = tempfile::tempdir().unwrap();
    // All of the index in memory: in files it takes none to speak of.
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let config = config.with_block_documents(1_000_000);
    let backend = EmbeddedBackend::open(config).await.unwrap();
    let names: Vec<String> = (0..16).map(|n| format!("t{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    deploy(&backend, &all).await;
    for part in 0..4 {
        for name in &all {
            let words = |n: i64| (0..40).map(|word| format!("w{} ", (n * 31 + word * 17) % 50_000)).collect::<String>();
            let batch = (0..500).map(|n| part * 500 + n).map(|n| document(&format!("v{n}"), n, &words(n), axis(0)));
            backend.put(PutRequest::new(schema_of(name), batch.collect())).await.unwrap();
        }
    }
    let close = || names.iter().for_each(|name| assert_eq!(backend.close_tenant(&tenant(name)), 0));
    close();
    let before = held();
    let mut open = 0;
    for _ in 0..3 {
        for name in &all {
            let query = BackendQuery::new(schema_of(name), strategy("bm25_only")).with_text("w17");
            backend.search(query).await.unwrap();
        }
        open = held();
        close();
    }
    let after = held();
    println!("{before} MiB, {open} with all open, {after} closed again");
    assert!(open > before + 10, "the tenants take no memory to speak of: {before}, {open}");
    assert!(after < before + (open - before) / 3, "{before} MiB before, {open} with all open, {after} closed again");
}
