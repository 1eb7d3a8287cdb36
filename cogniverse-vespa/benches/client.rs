//! What the client's own thread spends on one search (20 vectors x 128 and a text; ten hits) and on one document, on a sink
//! in the same process that answers at once. The times are CPU of that thread where Linux counts it, else wall clock.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

#[path = "../examples/sink/answers.rs"]
mod answers;
#[path = "../examples/measured/corpus.rs"]
mod corpus;
#[path = "../examples/sink/server.rs"]
mod server;

use cogniverse_sdk::{
    BackendQuery, Document, DocumentId, FieldName, Matrix, SearchBackend, StrategyName, TenantSchema, Tensor,
    quantize::pack_rows,
};
use cogniverse_vespa::{FeedOperation, VespaBackend, VespaConfig};
use corpus::Seeded;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{StreamExt, stream};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, runtime::Runtime};

const DIMS: usize = 128;

/// CPU of this thread.
fn spent(started: Instant) -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = counted.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| started.elapsed(), Duration::from_nanos)
}

fn name(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

fn matrix(seeded: &mut Seeded, rows: usize) -> Matrix<f32> {
    Matrix::new(DIMS, (0..rows * DIMS).map(|_| (seeded.unit() - 0.5) * 0.2).collect()).unwrap()
}

fn document(rows: usize) -> Document {
    let mut seeded = Seeded(3);
    let document = Document::new(DocumentId::parse("v1/1").unwrap())
        .with(name("video_id"), "v1")
        .with(name("segment_id"), 1)
        .with(name("segment_description"), seeded.text(440))
        .with(name("audio_transcript"), seeded.text(440));
    if rows == 0 {
        return document;
    }
    let rows = matrix(&mut seeded, rows);
    let bits = pack_rows(&rows).unwrap();
    document.with(name("embedding"), Tensor::Vectors(rows)).with(name("embedding_binary"), Tensor::BitRows(bits))
}

fn search(criterion: &mut Criterion, client: &Runtime, backend: &VespaBackend, schema: &TenantSchema) {
    let mut group = criterion.benchmark_group("search");
    group.sample_size(20);
    for strategy in ["bm25_only", "binary_binary", "float_float", "phased"] {
        let mut seeded = Seeded(11);
        let query = BackendQuery::new(schema.clone(), StrategyName::parse(strategy).unwrap())
            .with_text(seeded.text(20))
            .with_vectors(matrix(&mut seeded, 20));
        group.bench_function(strategy, |bencher| {
            bencher.iter_custom(|times| {
                client.block_on(async {
                    let started = Instant::now();
                    let before = spent(started);
                    for _ in 0..times {
                        black_box(backend.search(query.clone()).await.unwrap());
                    }
                    spent(started) - before
                })
            });
        });
    }
    group.finish();
}

fn feed(criterion: &mut Criterion, client: &Runtime, backend: &VespaBackend, schema: &TenantSchema) {
    const AT_ONCE: u64 = 200;
    let mut group = criterion.benchmark_group("feed");
    group.sample_size(20).throughput(Throughput::Elements(AT_ONCE));
    for (kind, rows) in [("text_of_1_kb", 0), ("16_vectors", 16)] {
        let template = document(rows);
        group.bench_function(kind, |bencher| {
            bencher.iter_custom(|times| {
                client.block_on(async {
                    let started = Instant::now();
                    let before = spent(started);
                    for _ in 0..times {
                        let operations = (0..AT_ONCE).map(|number| {
                            let mut document = template.clone();
                            document.id = DocumentId::parse(format!("v1/{number}")).unwrap();
                            FeedOperation::put(document)
                        });
                        let mut fed = backend.feed(schema, stream::iter(operations)).await.unwrap();
                        while let Some(outcome) = fed.next().await {
                            assert!(outcome.error.is_none(), "{:?}", outcome.error);
                        }
                    }
                    spent(started) - before
                })
            });
        });
    }
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = serving.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    serving.spawn(server::serve(listener, Arc::new(answers::Answers::new(port).unwrap())));
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let backend = VespaBackend::new(VespaConfig::new(&url, &url)).unwrap();
    let (_, schema) = corpus::schema().unwrap();
    search(criterion, &client, &backend, &schema);
    feed(criterion, &client, &backend, &schema);
}

criterion_group!(benches, all);
criterion_main!(benches);
