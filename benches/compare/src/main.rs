//! Measures the embedded backend through its public API, for `run.sh`. `CORES=1` keeps each search on one core.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "a bench"
)]

mod corpus;
mod probe;
mod tenants;

use cogniverse_core::schemas::EmbeddedSchemaLoader;
use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendHits, Document, DocumentStore, FieldName, SchemaLoader, SchemaName, SchemaStore, SearchBackend,
    StrategyName, TenantId, TenantSchema,
    document_store::PutRequest,
    schema_store::{DeployRequest, SchemaDeployment},
    search_backend::BackendQuery,
};
use corpus::{Corpus, Queries};
use probe::{Load, anon_mb, disk_mb, fds, figure, latency, quantile, quiet, rss_mb, threads};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

pub const MULTI: &str = "video_colpali_smol500_mv_frame";
pub const SINGLE: &str = "video_videoprism_lvt_base_sv_chunk_6s";
pub const TEXT: &str = "video_text_minilm_mv_segment";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match args.as_slice() {
        // feed PART DATA DIR BATCH [process-crash]
        ["feed", part, data, dir, batch, rest @ ..] => feed(&runtime, part, data, dir, batch.parse().unwrap(), rest),
        // search PART DATA DIR STRATEGY [after STRATEGY]
        ["search", part, data, dir, strategy] => search(&runtime, part, data, dir, strategy, None),
        ["search", part, data, dir, strategy, "after", first] => {
            search(&runtime, part, data, dir, strategy, Some(first));
        }
        // profile PART DATA DIR STRATEGY FILE [after STRATEGY]: `perf record` of warm searches; bm25: STRATEGY is w3 or w10
        ["profile", part, data, dir, strategy, file] => profile(&runtime, part, data, dir, strategy, file, None),
        ["profile", part, data, dir, strategy, file, "after", first] => {
            profile(&runtime, part, data, dir, strategy, file, Some(first));
        }
        ["text", data, dir, ids] => text(&runtime, data, dir, ids),
        ["tenants-feed", data, dir] => tenants::feed(&runtime, data, dir),
        ["tenants", data, dir] => tenants::search(&runtime, data, dir),
        // churn DATA DIR ROUNDS: memory while each of C's tenants is closed and opened again and again
        ["churn", data, dir, rounds] => tenants::churn(&runtime, data, dir, rounds.parse().unwrap()),
        ["open-feed", count, dir] => tenants::open_feed(&runtime, count.parse().unwrap(), dir),
        ["open", count, dir, limit] => tenants::open(&runtime, count.parse().unwrap(), dir, limit.parse().unwrap()),
        _ => panic!("see the README"),
    }
}

pub fn field(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

pub fn tenant_schema(tenant: &str, base: &str) -> TenantSchema {
    TenantSchema::new(&TenantId::parse(tenant).unwrap(), &SchemaName::parse(base).unwrap())
}

pub fn open(runtime: &Runtime, config: EmbeddedConfig) -> EmbeddedBackend {
    let config = match cores() {
        Some(cores) => config.with_max_cores_per_search(cores),
        None => config,
    };
    runtime.block_on(EmbeddedBackend::open(config)).unwrap()
}

/// The cores that one search may use; `None` for all that are free.
fn cores() -> Option<usize> {
    std::env::var("CORES").ok().map(|cores| cores.parse().unwrap())
}

pub fn deploy(runtime: &Runtime, backend: &EmbeddedBackend, schema: &TenantSchema) {
    runtime.block_on(async {
        let definition = EmbeddedSchemaLoader.load(schema.base()).await.unwrap();
        let deployment = SchemaDeployment { schema: schema.clone(), definition };
        backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    });
}

/// Seconds that storing took.
pub fn put(runtime: &Runtime, backend: &EmbeddedBackend, schema: &TenantSchema, documents: Vec<Document>) -> f64 {
    let (wanted, request) = (documents.len(), PutRequest::new(schema.clone(), documents));
    let begun = Instant::now();
    let report = runtime.block_on(backend.put(request)).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(report.stored(), wanted, "{:?}", report.failures().next());
    seconds
}

/// The numbers at the end of the hits' ids.
pub fn ids(hits: &BackendHits) -> Vec<i64> {
    hits.hits.iter().map(|hit| hit.document.id.as_str().rsplit('/').next().unwrap().parse().unwrap()).collect()
}

pub fn base(part: &str) -> &'static str {
    match part {
        "b" => SINGLE,
        "bm25" => TEXT,
        _ => MULTI,
    }
}

fn feed(runtime: &Runtime, part: &str, data: &str, dir: &str, batch: usize, rest: &[&str]) {
    let _ = std::fs::remove_dir_all(dir);
    let schema = tenant_schema("acme_corp", base(part));
    let mut config = EmbeddedConfig::new(dir);
    let mut label = format!("feed, {batch} a batch");
    if rest.contains(&"process-crash") {
        config = config.with_durability(Durability::ProcessCrash);
        label.push_str(", ProcessCrash");
    }
    let backend = open(runtime, config);
    deploy(runtime, &backend, &schema);
    let corpus = Corpus::load(part, data);
    // Under another part's name, and only so many documents.
    let part = &*std::env::var("FEED_AS").unwrap_or(part.to_owned());
    let count = std::env::var("FEED_LIMIT").map_or(usize::MAX, |n| n.parse().unwrap()).min(corpus.len());
    let (held, load) = (anon_mb(), Load::now());
    let mut seconds = 0.0;
    for begin in (0..count).step_by(batch) {
        let documents = (begin..count.min(begin + batch)).map(|i| corpus.document(i)).collect();
        seconds += put(runtime, &backend, &schema, documents);
    }
    let rate = count as f64 / seconds;
    let more =
        json!({"seconds": seconds, "other_cores": load.since().0, "anon_grown_mb": anon_mb() - held, "n": count});
    figure(part, "ours", &label, "docs/s", rate, more);
    drop(backend);
    figure(part, "ours", "on disk", "MB", disk_mb(dir), json!({}));
}

fn query(schema: &TenantSchema, strategy: &str) -> BackendQuery {
    BackendQuery::new(schema.clone(), StrategyName::parse(strategy).unwrap())
        .with_timeout(Some(Duration::from_secs(300)))
}

/// One strategy in a process of its own: cold, warm one at a time, 2 and 16 at once, memory.
fn search(runtime: &Runtime, part: &str, data: &str, dir: &str, strategy: &str, after: Option<&str>) {
    let schema = tenant_schema("acme_corp", base(part));
    let Queries { rows, truth } = Queries::load(part, data);
    let queries: Vec<BackendQuery> = rows.iter().map(|q| query(&schema, strategy).with_vectors(q.clone())).collect();
    let mut what = after.map_or(strategy.to_owned(), |first| format!("{strategy} (after {first})"));
    if cores().is_none() {
        what.push_str(", every core");
    }
    let passes = if part == "b" { 3 } else { 5 };
    quiet(10.0);
    let begun = Instant::now();
    let backend = open(runtime, EmbeddedConfig::new(dir));
    let opened = begun.elapsed().as_secs_f64() * 1e3;
    let begun = Instant::now();
    runtime.block_on(backend.count(&schema, None)).unwrap();
    let loaded = begun.elapsed().as_secs_f64() * 1e3;
    if after.is_none() {
        figure(part, "ours", &what, "open ms", opened + loaded, json!({"folder_ms": opened}));
        figure(part, "ours", &what, "anon MB, index", anon_mb(), json!({}));
    }
    if let Some(first) = after {
        let first = query(&schema, first).with_vectors(rows[0].clone());
        runtime.block_on(backend.search(first)).unwrap();
    }
    let begun = Instant::now();
    let hits = runtime.block_on(backend.search(queries[0].clone())).unwrap();
    let first = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(hits.hits.len(), 10);
    assert_eq!(hits.coverage, cogniverse_sdk::search_backend::Coverage::Full);
    if after.is_none() {
        let cold = opened + loaded + first;
        figure(part, "ours", &what, "cold ms", cold, json!({"first_search_ms": first}));
    }
    let seconds = if part.starts_with("scale") { 8.0 } else { 15.0 };
    latency((part, "ours", &what, 1), queries.len(), passes, seconds, truth.as_ref(), |q| {
        ids(&runtime.block_on(backend.search(queries[q].clone())).unwrap())
    });
    for at_once in [2, 16] {
        throughput(runtime, part, &what, &backend, &queries, at_once);
    }
    let held = backend.resources();
    let more = json!({"rss": rss_mb(), "float_cache_mb": held.float_cache_bytes as f64 / 1e6});
    figure(part, "ours", &what, "anon MB", anon_mb(), more);
    // The rank of the document that each query was made from.
    if part.starts_with("scale") {
        let first = (0..queries.len()).filter(|q| {
            let hits = runtime.block_on(backend.search(queries[*q].clone())).unwrap();
            ids(&hits).first() == Some(&(corpus::target(*q, corpus::scale_of(part)) as i64))
        });
        figure(
            part,
            "ours",
            &what,
            "source found first, share",
            first.count() as f64 / queries.len() as f64,
            json!({}),
        );
    }
}

/// Searches a second with so many under way all the time, for about three seconds.
pub fn throughput(
    runtime: &Runtime,
    part: &str,
    what: &str,
    backend: &EmbeddedBackend,
    queries: &[BackendQuery],
    at_once: usize,
) {
    quiet(5.0);
    let (next, load, begun) = (Arc::new(AtomicUsize::new(0)), Load::now(), Instant::now());
    let until = Duration::from_secs(3);
    let times: Vec<f64> = runtime.block_on(async {
        let clients: Vec<_> = (0..at_once)
            .map(|_| {
                let (backend, next, queries) = (backend.clone(), Arc::clone(&next), queries.to_vec());
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    while begun.elapsed() < until {
                        let query = queries[next.fetch_add(1, Ordering::Relaxed) % queries.len()].clone();
                        let start = Instant::now();
                        backend.search(query).await.unwrap();
                        times.push(start.elapsed().as_secs_f64() * 1e3);
                    }
                    times
                })
            })
            .collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.unwrap());
        }
        all
    });
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    let (others, own) = load.since();
    let more = json!({
        "threads": at_once, "n": times.len(), "p50_ms": quantile(&times, 0.5), "p95_ms": quantile(&times, 0.95),
        "other_cores": others, "own_cores": own,
    });
    figure(part, "ours", what, &format!("searches/s, {at_once} at once"), rate, more);
}

/// Searches for six seconds while `perf record` looks on. `c` closes the tenant before each search.
fn profile(runtime: &Runtime, part: &str, data: &str, dir: &str, strategy: &str, file: &str, after: Option<&str>) {
    let tenant = if part == "c" { "tenant_0" } else { "acme_corp" };
    let schema = tenant_schema(tenant, base(part));
    let queries: Vec<BackendQuery> = if part == "bm25" {
        let lines = corpus::lines(&format!("{data}/text_q.jsonl"));
        lines.iter().map(|q| query(&schema, "bm25_only").with_text(q[strategy].as_str().unwrap())).collect()
    } else {
        let rows = Queries::load(part, data).rows;
        if let Some(first) = after {
            println!("after {first}");
        }
        rows.into_iter().map(|q| query(&schema, strategy).with_vectors(q)).collect()
    };
    let backend = open(runtime, EmbeddedConfig::new(dir));
    if let Some(first) = after {
        let first = query(&schema, first).with_vectors(queries[0].vectors.clone().unwrap());
        runtime.block_on(backend.search(first)).unwrap();
    }
    for query in &queries {
        runtime.block_on(backend.search(query.clone())).unwrap();
    }
    let pid = std::process::id().to_string();
    let mut perf = std::process::Command::new("perf")
        .args(["record", "-q", "-F", "499", "-e", "cpu-clock", "--call-graph", "dwarf,16384", "-p", &pid, "-o", file])
        .args(["--", "sleep", "6"])
        .spawn()
        .unwrap();
    let mut searches = 0;
    while perf.try_wait().unwrap().is_none() {
        if part == "c" {
            assert_eq!(backend.close_tenant(schema.tenant()), 0);
        }
        runtime.block_on(backend.search(queries[searches % queries.len()].clone())).unwrap();
        searches += 1;
    }
    println!("{part} {strategy}: {searches} searches under perf");
}

fn text(runtime: &Runtime, data: &str, dir: &str, ids_file: &str) {
    let schema = tenant_schema("acme_corp", TEXT);
    let queries = corpus::lines(&format!("{data}/text_q.jsonl"));
    let begun = Instant::now();
    let backend = open(runtime, EmbeddedConfig::new(dir));
    runtime.block_on(backend.count(&schema, None)).unwrap();
    figure("bm25", "ours", "open", "ms", begun.elapsed().as_secs_f64() * 1e3, json!({}));
    let mut all = serde_json::Map::new();
    for kind in ["w3", "w10"] {
        let made: Vec<BackendQuery> =
            queries.iter().map(|q| query(&schema, "bm25_only").with_text(q[kind].as_str().unwrap())).collect();
        let found = latency(("bm25", "ours", kind, 1), made.len(), 20, 5.0, None, |q| {
            ids(&runtime.block_on(backend.search(made[q].clone())).unwrap())
        });
        all.insert(kind.into(), json!(found));
        for at_once in [2, 16] {
            throughput(runtime, "bm25", kind, &backend, &made, at_once);
        }
    }
    std::fs::write(Path::new(ids_file), Value::from(all).to_string()).unwrap();
    figure("bm25", "ours", "memory", "MB", rss_mb(), json!({"anon": anon_mb(), "threads": threads(), "fds": fds()}));
}
