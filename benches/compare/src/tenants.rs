//! Many tenants: workload C, and a thousand small ones.
use crate::{
    MULTI, TEXT,
    corpus::{Corpus, Queries, Seeded},
    deploy, field, ids, open as open_backend,
    probe::{Load, anon_mb, disk_mb, f32s, fds, figure, latency, npy, quantile, quiet, rss_mb, threads},
    put, query, tenant_schema,
};
use cogniverse_embedded::EmbeddedConfig;
use cogniverse_sdk::{Document, DocumentId, SearchBackend, TenantId, TenantSchema};
use serde_json::json;
use std::time::Instant;
use tokio::runtime::Runtime;

const DOCS: usize = 200;

fn schema(tenant: usize) -> TenantSchema {
    tenant_schema(&format!("tenant_{tenant}"), MULTI)
}

pub fn feed(runtime: &Runtime, data: &str, dir: &str) {
    let _ = std::fs::remove_dir_all(dir);
    let corpus = Corpus::load("c", data);
    let backend = open_backend(runtime, EmbeddedConfig::new(dir));
    let (mut deploying, mut feeding) = (0.0, 0.0);
    for tenant in 0..corpus.len() / DOCS {
        let begun = Instant::now();
        deploy(runtime, &backend, &schema(tenant));
        deploying += begun.elapsed().as_secs_f64();
        let documents = (tenant * DOCS..(tenant + 1) * DOCS).map(|i| corpus.document(i)).collect();
        feeding += put(runtime, &backend, &schema(tenant), documents);
    }
    let tenants = (corpus.len() / DOCS) as f64;
    figure(
        "c",
        "ours",
        "feed, a batch of 200 a tenant",
        "docs/s",
        corpus.len() as f64 / feeding,
        json!({"seconds": feeding}),
    );
    figure("c", "ours", "deploy a tenant's schema", "ms", deploying * 1e3 / tenants, json!({}));
    drop(backend);
    figure("c", "ours", "on disk", "MB", disk_mb(dir), json!({}));
}

/// Each query another tenant.
pub fn search(runtime: &Runtime, data: &str, dir: &str) {
    let queries = Queries::load("c", data).rows;
    let (shape, bytes) = npy(&format!("{data}/c.npy"));
    let cells = f32s(&bytes);
    drop(bytes);
    let tenants = shape[0] / DOCS;
    let mut seeded = Seeded(0);
    let mut order: Vec<usize> = (0..queries.len()).map(|q| q % tenants).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, seeded.below(i + 1));
    }
    let size = shape[1] * shape[2];
    let exact = |q: usize| {
        let mut scores: Vec<(f32, i64)> = (0..DOCS)
            .map(|place| {
                let i = order[q] * DOCS + place;
                let rows = &cells[i * size..(i + 1) * size];
                let best = |own: &[f32]| {
                    rows.chunks_exact(shape[2])
                        .map(|row| own.iter().zip(row).map(|(a, b)| a * b).sum::<f32>())
                        .fold(f32::NEG_INFINITY, f32::max)
                };
                (queries[q].rows().map(best).sum::<f32>(), i as i64)
            })
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        scores.into_iter().take(10).map(|(_, i)| i).collect::<Vec<i64>>()
    };
    let truth: Vec<Vec<i64>> = (0..queries.len()).map(exact).collect();
    drop(cells);
    let recall = |found: &[Vec<i64>]| {
        let hit = found.iter().zip(&truth).map(|(f, t)| f.iter().filter(|id| t.contains(id)).count()).sum::<usize>();
        hit as f64 / (10 * found.len()) as f64
    };
    let at = |q: usize, strategy: &str| query(&schema(order[q]), strategy).with_vectors(queries[q].clone());
    let held = anon_mb();
    let backend = open_backend(runtime, EmbeddedConfig::new(dir));
    for strategy in ["phased", "float_float"] {
        quiet(5.0);
        let (mut times, mut found) = (Vec::new(), Vec::new());
        for q in 0..queries.len() {
            assert_eq!(backend.close_tenant(schema(order[q]).tenant()), 0);
            let query = at(q, strategy);
            let begun = Instant::now();
            let hits = runtime.block_on(backend.search(query)).unwrap();
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            found.push(ids(&hits));
        }
        let more = json!({"n": times.len(), "p90": quantile(&times, 0.9), "recall": recall(&found)});
        figure("c", "ours", &format!("{strategy}, cold (opened anew)"), "ms", quantile(&times, 0.5), more);
        // Phased reads its 100 from disk unless something had all of the tenant's floats loaded.
        for tenant in 0..tenants {
            assert_eq!(backend.close_tenant(schema(tenant).tenant()), 0);
        }
        for q in 0..queries.len() {
            runtime.block_on(backend.search(at(q, strategy))).unwrap();
        }
        let what = format!("{strategy}, warm");
        let found = latency(("c", "ours", &what, 1), queries.len(), 5, 5.0, None, |q| {
            ids(&runtime.block_on(backend.search(at(q, strategy))).unwrap())
        });
        figure("c", "ours", &what, "recall", recall(&found), json!({}));
        let all: Vec<_> = (0..queries.len()).map(|q| at(q, strategy)).collect();
        for at_once in [2, 16] {
            crate::throughput(runtime, "c", &what, &backend, &all, at_once);
        }
        let more = json!({"rss": rss_mb(), "fds": fds(), "threads": threads()});
        figure("c", "ours", &format!("all tenants open, {strategy}"), "anon MB", anon_mb() - held, more);
    }
}

/// Anonymous memory after each round of closing every tenant and searching it again, and with all closed.
pub fn churn(runtime: &Runtime, data: &str, dir: &str, rounds: usize) {
    let queries = Queries::load("c", data).rows;
    let backend = open_backend(runtime, EmbeddedConfig::new(dir));
    let held = anon_mb();
    for round in 0..rounds {
        for (tenant, rows) in queries.iter().enumerate() {
            assert_eq!(backend.close_tenant(schema(tenant).tenant()), 0);
            let query = query(&schema(tenant), "float_float").with_vectors(rows.clone());
            runtime.block_on(backend.search(query)).unwrap();
        }
        let cached = backend.resources().float_cache_bytes as f64 / 1e6;
        figure(
            "churn",
            "ours",
            &format!("all tenants open, round {round}"),
            "anon MB",
            anon_mb() - held,
            json!({"float_cache_mb": cached}),
        );
    }
    for tenant in 0..queries.len() {
        assert_eq!(backend.close_tenant(schema(tenant).tenant()), 0);
    }
    figure("churn", "ours", "all tenants closed", "anon MB", anon_mb() - held, json!({"threads": threads()}));
}

fn small(tenant: usize) -> TenantSchema {
    tenant_schema(&format!("small_{tenant}"), TEXT)
}

pub fn open_feed(runtime: &Runtime, count: usize, dir: &str) {
    let _ = std::fs::remove_dir_all(dir);
    let backend = open_backend(runtime, EmbeddedConfig::new(dir));
    let (mut deploying, mut feeding) = (0.0, 0.0);
    for tenant in 0..count {
        let begun = Instant::now();
        deploy(runtime, &backend, &small(tenant));
        deploying += begun.elapsed().as_secs_f64();
        let mut seeded = Seeded(tenant as u64);
        let documents = (0..20).map(|i| {
            Document::new(DocumentId::parse(format!("v/{i}")).unwrap())
                .with(field("video_id"), "v")
                .with(field("video_title"), seeded.text(4))
                .with(field("segment_description"), seeded.text(20))
                .with(field("audio_transcript"), seeded.text(20))
        });
        feeding += put(runtime, &backend, &small(tenant), documents.collect());
    }
    figure("open", "ours", "deploy a tenant's schema", "ms", deploying * 1e3 / count as f64, json!({"tenants": count}));
    figure("open", "ours", "feed a tenant's first 20", "ms", feeding * 1e3 / count as f64, json!({}));
    drop(backend);
    figure("open", "ours", "on disk, a tenant", "MB", disk_mb(dir) / count as f64, json!({}));
}

/// `limit` is `max_open_schemas`; 256 is the default.
pub fn open(runtime: &Runtime, count: usize, dir: &str, limit: usize) {
    let held = (rss_mb(), anon_mb(), fds(), threads());
    let begun = Instant::now();
    let backend = open_backend(runtime, EmbeddedConfig::new(dir).with_max_open_schemas(limit));
    // `OPEN_NOTE`: what else is special, such as `ulimit -n 1024`.
    let note = std::env::var("OPEN_NOTE").map_or(String::new(), |note| format!(", {note}"));
    let label = |what: &str| format!("{what}, at most {limit} open{note}");
    figure(
        "open",
        "ours",
        &label("open the folder"),
        "ms",
        begun.elapsed().as_secs_f64() * 1e3,
        json!({"tenants": count}),
    );
    quiet(5.0);
    for round in ["first search of a tenant", "search again, in the same order"] {
        let (mut times, load, begun) = (Vec::new(), Load::now(), Instant::now());
        let (mut failed, mut why) = (0, String::new());
        for tenant in 0..count {
            let words = Seeded(tenant as u64).text(3);
            let query = query(&small(tenant), "bm25_only").with_text(words);
            let start = Instant::now();
            match runtime.block_on(backend.search(query)) {
                Ok(hits) => {
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                    let own = TenantId::parse(format!("small_{tenant}")).unwrap();
                    assert!(!hits.hits.is_empty() && hits.hits.iter().all(|hit| *hit.schema.tenant() == own));
                }
                Err(e) => {
                    failed += 1;
                    if why.is_empty() {
                        why = format!(
                            "tenant {tenant}: {e}; {:?}",
                            std::error::Error::source(&e).map(ToString::to_string)
                        );
                    }
                }
            }
        }
        if failed > 0 {
            // Out of descriptors: some back, to say so, and no other figure.
            for tenant in count.saturating_sub(50)..count {
                let _ = backend.close_tenant(small(tenant).tenant());
            }
            figure(
                "open",
                "ours",
                &label(&format!("{round}: FAILED")),
                "count",
                f64::from(failed),
                json!({"why": why, "n": count}),
            );
            return;
        }
        let more = json!({
            "n": count, "p90": quantile(&times, 0.9), "p99": quantile(&times, 0.99), "max": quantile(&times, 1.0),
            "all_seconds": begun.elapsed().as_secs_f64(), "other_cores": load.since().0,
        });
        figure("open", "ours", &label(round), "ms", quantile(&times, 0.5), more);
    }
    let more = json!({"anon_mb": anon_mb() - held.1, "open_schemas": backend.resources().open_schemas});
    figure("open", "ours", &label("memory for all touched"), "MB", rss_mb() - held.0, more);
    figure("open", "ours", &label("file descriptors"), "count", fds() - held.2, json!({}));
    figure("open", "ours", &label("threads"), "count", threads(), json!({"before": held.3}));
}
