//! What the operation of tenants costs: quotas, metrics, a neighbour that floods the backend, the check of isolation, and health.
//!
//! `COGNIVERSE_BENCH_SEGMENTS` sets the segments of each tenant beside a flood (default 5,000), `COGNIVERSE_BENCH_SEARCHES` the
//! searches that are timed (default 300), and `COGNIVERSE_BENCH_TENANTS` the tenants whose health is asked (default 10,000).

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where its tenants cannot be made")]

use cogniverse::{
    Cogniverse, IngestRequest, IngestSource, NewTenant, ProfileName, SchemaName, SearchRequest, StrategyName, Template,
    TenantId, TenantSchema,
    config::{ConfigManager, InMemoryConfigStore, QuotaConfig, SqliteQuotaStore},
    fairness::FairnessConfig,
    metrics::ModalityMetricsTracker,
    quotas::Quotas,
    sdk::{Document, DocumentId, FieldName, Modality, Quota, SystemClock, document_store::PutRequest},
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};
use vespa_testkit::TestServer;

const PROFILE: &str = "video_text_minilm_mv_segment";

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn quotas(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let store = runtime.block_on(SqliteQuotaStore::open(folder.path().join("quotas.sqlite"))).unwrap();
    let manager = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
    let quotas = Quotas::new(Arc::new(store), manager, Arc::new(SystemClock));
    let limited = Quota::ALL
        .into_iter()
        .fold(QuotaConfig::new(tenant("acme")), |config, quota| config.with_limit(quota, Some(1_000_000_000_000)));
    let limited = Arc::new(limited);
    criterion.benchmark_group("quotas").bench_function("one call, checked and counted", |b| {
        b.iter(|| drop(runtime.block_on(quotas.admit(&limited)).unwrap()));
    });
}

fn metrics(criterion: &mut Criterion) {
    let tracker = ModalityMetricsTracker::new(Arc::new(SystemClock));
    let (acme, took) = (tenant("acme"), Duration::from_micros(1_234));
    criterion.benchmark_group("metrics").bench_function("one record", |b| {
        b.iter(|| tracker.record(&acme, Modality::Video, took, None));
    });
}

fn ask(of: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), ProfileName::parse(PROFILE).unwrap(), "harvest of the northern valley")
        .with_strategy(StrategyName::parse("bm25_only").unwrap())
}

async fn p99(c: &Cogniverse, searches: usize) -> Duration {
    let mut times = Vec::with_capacity(searches);
    for _ in 0..searches {
        let began = Instant::now();
        c.search(ask("quiet")).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times.get(searches * 99 / 100).or(times.last()).copied().unwrap_or_default()
}

/// A tenant's slowest searches, alone and beside 64 searches and 64 feeds of another without a pause. Printed and not judged by
/// criterion: the ratio of two percentiles is the figure.
fn flood(_: &mut Criterion) {
    let segments = number("COGNIVERSE_BENCH_SEGMENTS", 5_000);
    Runtime::new().unwrap().block_on(async {
        let folder = TempDir::new().unwrap();
        let c = Cogniverse::builder().data_dir(folder.path()).open().await.unwrap();
        flooded("embedded", &c, &folder, segments).await;
        // Of Vespa the wire alone: the test server ranks one search after another, so that two calls are let through to it.
        let (folder, server) = (TempDir::new().unwrap(), TestServer::start().await.unwrap());
        let vespa = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
        let builder = Cogniverse::builder().data_dir(folder.path()).backend(Arc::new(vespa));
        let c = builder.fairness(FairnessConfig::new(2)).open().await.unwrap();
        flooded("Vespa's wire", &c, &folder, segments.min(500)).await;
    });
}

async fn flooded(of: &str, c: &Cogniverse, folder: &TempDir, segments: usize) {
    let searches = number("COGNIVERSE_BENCH_SEARCHES", 300);
    for name in ["quiet", "loud"] {
        let profile = ProfileName::parse(PROFILE).unwrap();
        c.create(NewTenant::new(tenant(name), Template::Startup).with_profile(profile.clone())).await.unwrap();
        c.operator().config().set_quota_config(&tenant(name), QuotaConfig::new(tenant(name))).await.unwrap();
        let mut lines = String::new();
        for segment in 0..segments {
            let line = serde_json::json!({
                "video_id": format!("v{}", segment / 100), "segment_id": segment % 100,
                "start_time": segment % 100, "end_time": segment % 100 + 1,
                "audio_transcript": format!("the harvest of valley {} in the northern hills {segment}", segment % 37),
            });
            writeln!(lines, "{line}").unwrap();
        }
        let file = folder.path().join(format!("{name}.jsonl"));
        std::fs::write(&file, lines).unwrap();
        c.ingest(IngestRequest::new(tenant(name), profile, IngestSource::Segments(file))).await.unwrap();
    }
    p99(c, searches.min(50)).await;
    let alone = p99(c, searches).await;
    let (ends, mut calls) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for task in 0..128u32 {
        let (c, ends) = (c.clone(), Arc::clone(&ends));
        calls.spawn(async move {
            let schema = TenantSchema::new(&tenant("loud"), &SchemaName::parse(PROFILE).unwrap());
            let words = FieldName::parse("audio_transcript").unwrap();
            let mut done = 0u64;
            while !ends.load(Ordering::Relaxed) {
                if task % 2 == 0 {
                    c.search(ask("loud")).await.unwrap();
                } else {
                    let documents = (0..16u32).map(|place| {
                        let id = DocumentId::parse(format!("flood/{task}/{place}")).unwrap();
                        Document::new(id).with(words.clone(), format!("words of the flood {done}"))
                    });
                    let put = PutRequest::new(schema.clone(), documents.collect());
                    c.operator().backend().put(put).await.unwrap();
                }
                done += 1;
            }
            done
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let beside = p99(c, searches).await;
    ends.store(true, Ordering::Relaxed);
    let served: u64 = calls.join_all().await.into_iter().sum();
    println!(
        "flood on {of}, {segments} segments: p99 of {searches} searches alone {alone:.2?}, beside 64 searches and 64 feeds at once {beside:.2?}: {:.2} times; \
             the flood had {served} calls served",
        beside.as_secs_f64() / alone.as_secs_f64()
    );
}

/// Two tenants attacked from each other on every surface, and the health of many tenants.
fn looks(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let count = number("COGNIVERSE_BENCH_TENANTS", 10_000);
    let c = runtime.block_on(async {
        let c = Cogniverse::builder().data_dir(folder.path()).open().await.unwrap();
        for name in ["acme", "globex"] {
            let profile = ProfileName::parse(PROFILE).unwrap();
            c.create(NewTenant::new(tenant(name), Template::Startup).with_profile(profile)).await.unwrap();
        }
        for place in 2..count {
            c.create_tenant(&tenant(&format!("tenant_{place:06}")), Template::Startup).await.unwrap();
        }
        c
    });
    let mut group = criterion.benchmark_group("operations");
    group.sample_size(10);
    group.bench_function("isolation of two tenants", |b| {
        b.iter(|| {
            let report = runtime.block_on(c.verify_isolation(&tenant("acme"), &tenant("globex"))).unwrap();
            assert!(report.isolated, "{report}");
        });
    });
    group.bench_function("health of all tenants", |b| b.iter(|| runtime.block_on(c.operator().health())));
    group.finish();
}

criterion_group!(benches, quotas, metrics, flood, looks);
criterion_main!(benches);
