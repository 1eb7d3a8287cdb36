//! What routing, reranking and learning cost.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where it cannot begin")]

use cogniverse::{
    agents::{Router, SignalReranker},
    sdk::{Modality, RerankItem, RerankRequest, Reranker},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, time::Instant};
use tokio::runtime::Runtime;

const LABELLED: &str = include_str!("../tests/data/labelled_queries.tsv");

fn queries() -> Vec<&'static str> {
    LABELLED.lines().filter_map(|line| line.splitn(4, '\t').nth(3)).collect()
}

fn fast_path(criterion: &mut Criterion) {
    let queries = queries();
    let began = Instant::now();
    let _ = Router::classify("the first one trains");
    println!("the classifier is trained in {:?}", began.elapsed());
    criterion.benchmark_group("routing").bench_function("fast path, 300 queries", |b| {
        b.iter(|| queries.iter().map(|query| black_box(Router::classify(query)).2).sum::<f64>());
    });
    let mut times: Vec<_> = queries
        .iter()
        .cycle()
        .take(30_000)
        .map(|query| {
            let began = Instant::now();
            black_box(Router::classify(query));
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("fast path: p50 {:?}, p99 {:?} of {} queries", at(50), at(99), times.len());
}

fn reranking(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let texts: Vec<&str> = queries();
    let items: Vec<RerankItem> = (0..100)
        .map(|number| {
            let text: Vec<&str> = texts.iter().skip(number).take(6).copied().collect();
            RerankItem::new(
                number.to_string(),
                (number % 9).to_string(),
                text.join(" "),
                f64::from(100 - number as u32),
            )
            .with_modalities([Modality::Video])
        })
        .collect();
    criterion.benchmark_group("reranking").bench_function("100 results by five signals", |b| {
        b.iter(|| {
            let request = RerankRequest::new("harbour", items.clone()).with_modalities([Modality::Video]);
            runtime.block_on(SignalReranker::default().rerank(request)).unwrap()
        });
    });
}

criterion_group!(benches, fast_path, reranking);
criterion_main!(benches);
