//! What the gate and the lifecycle of tenants cost.
//!
//! `COGNIVERSE_BENCH_TENANTS` sets the registered tenants of the last group (default 10,000).

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where its tenants cannot be made")]

use cogniverse::{
    Cogniverse, NewTenant, Operation, ProfileName, SearchRequest, StrategyName, Suspend, Template, TenantId,
    config::{InMemoryConfigStore, QuotaConfig, RoutingConfig},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PROFILE: &str = "video_text_minilm_mv_segment";

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

async fn open(folder: &TempDir) -> Cogniverse {
    Cogniverse::builder().data_dir(folder.path()).open().await.unwrap()
}

/// Removes the limits of a tenant, whose use is counted all the same.
async fn unlimited(c: &Cogniverse) {
    c.operator().config().set_quota_config(&tenant("acme"), QuotaConfig::new(tenant("acme"))).await.unwrap();
}

fn admission(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("admission");
    let folder = TempDir::new().unwrap();
    let sqlite = runtime.block_on(open(&folder));
    let memory_folder = TempDir::new().unwrap();
    let in_memory = runtime.block_on(async {
        let store = Arc::new(InMemoryConfigStore::new());
        Cogniverse::builder().data_dir(memory_folder.path()).config_store(store).open().await.unwrap()
    });
    for c in [&sqlite, &in_memory] {
        runtime.block_on(c.create_tenant(&tenant("acme"), Template::Trial)).unwrap();
        runtime.block_on(unlimited(c));
    }
    let admit = async |c: &Cogniverse| drop(c.admit(&tenant("acme"), Operation::Search).await.unwrap());
    group.bench_function("fresh snapshot", |b| b.iter(|| runtime.block_on(admit(&in_memory))));
    group.bench_function("SQLite asked for a change", |b| b.iter(|| runtime.block_on(admit(&sqlite))));
    group.sample_size(30).bench_function("after a change, SQLite read", |b| {
        b.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let routing = RoutingConfig::new(tenant("acme"));
                runtime.block_on(sqlite.operator().config().set_routing_config(&tenant("acme"), routing)).unwrap();
                let begin = Instant::now();
                runtime.block_on(admit(&sqlite));
                total += begin.elapsed();
            }
            total
        });
    });
    group.finish();
}

fn moves(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let c = runtime.block_on(open(&folder));
    let mut group = criterion.benchmark_group("moves");
    group.sample_size(20);
    let mut number = 0;
    group.bench_function("create", |b| {
        b.iter(|| {
            number += 1;
            runtime.block_on(c.create_tenant(&tenant(&format!("t{number}")), Template::Trial)).unwrap();
        });
    });
    group.bench_function("create with a schema", |b| {
        b.iter(|| {
            number += 1;
            let new = NewTenant::new(tenant(&format!("t{number}")), Template::Trial);
            runtime.block_on(c.create(new.with_profile(ProfileName::parse(PROFILE).unwrap()))).unwrap();
        });
    });
    runtime.block_on(c.create_tenant(&tenant("moving"), Template::Trial)).unwrap();
    group.bench_function("suspend, nothing in flight", |b| {
        b.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let begin = Instant::now();
                runtime.block_on(c.suspend(&tenant("moving"), Suspend::new("a bench"))).unwrap();
                total += begin.elapsed();
                runtime.block_on(c.reactivate(&tenant("moving"))).unwrap();
            }
            total
        });
    });
    group.finish();
}

/// The agent over the bare engine, on one segment, so that the engine's own work is least.
fn overhead(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let c = runtime.block_on(open(&folder));
    let (acme, profile) = (tenant("acme"), ProfileName::parse(PROFILE).unwrap());
    let file = folder.path().join("one.jsonl");
    let line = r#"{"video_id":"v","segment_id":0,"start_time":0,"end_time":1,"audio_transcript":"words"}"#;
    std::fs::write(&file, line).unwrap();
    runtime.block_on(async {
        c.create(NewTenant::new(acme.clone(), Template::Trial).with_profile(profile.clone())).await.unwrap();
        let source = cogniverse::IngestSource::Segments(file);
        c.ingest(cogniverse::IngestRequest::new(acme.clone(), profile.clone(), source)).await.unwrap();
        unlimited(&c).await;
    });
    let strategy = StrategyName::parse("bm25_only").unwrap();
    let schema = cogniverse::TenantSchema::new(&acme, &cogniverse::SchemaName::parse(PROFILE).unwrap());
    let mut group = criterion.benchmark_group("overhead");
    group.bench_function("engine", |b| {
        b.iter(|| {
            let query = cogniverse::sdk::BackendQuery::new(schema.clone(), strategy.clone()).with_text("words");
            runtime.block_on(c.operator().backend().search(query)).unwrap()
        });
    });
    group.bench_function("agent", |b| {
        b.iter(|| {
            let request = SearchRequest::new(acme.clone(), profile.clone(), "words").with_strategy(strategy.clone());
            runtime.block_on(c.search(request)).unwrap()
        });
    });
    group.finish();
}

/// Kilobytes of memory that this process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

fn many(criterion: &mut Criterion) {
    let count = std::env::var("COGNIVERSE_BENCH_TENANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    runtime.block_on(async {
        let c = open(&folder).await;
        for number in 0..count {
            c.create_tenant(&tenant(&format!("t{number}")), Template::Trial).await.unwrap();
        }
    });
    let before = resident();
    let c = runtime.block_on(open(&folder));
    for number in 0..count {
        drop(runtime.block_on(c.admit(&tenant(&format!("t{number}")), Operation::Search)).unwrap());
    }
    println!("{count} tenants, each admitted once: {} MB more", resident().saturating_sub(before) / 1024);
    drop(c);
    let mut group = criterion.benchmark_group(format!("{count} registered tenants"));
    group.sample_size(10).bench_function("open", |b| b.iter(|| drop(runtime.block_on(open(&folder)))));
    group.finish();
}

criterion_group!(benches, admission, moves, overhead, many);
criterion_main!(benches);
