//! The search path, from one backend query to the whole agent, on one seeded corpus.
//!
//! `COGNIVERSE_BENCH_DOCUMENTS` sets the documents (default 10,000; each 64 vectors of 128 cells and about 40 words).

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where its corpus cannot be made")]

use cogniverse::{
    Cogniverse, Filter, ProfileName, SchemaName, SearchRequest, StrategyName, Template, TenantId,
    embedded::{Durability, EmbeddedConfig},
    sdk::{
        Document, DocumentId, FieldName, Matrix, SearchBackend, TenantSchema, Tensor, VectorKind,
        document_store::PutRequest, quantize::pack_rows, search_backend::BackendQuery,
    },
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PROFILE: &str = "video_colpali_smol500_mv_frame";
const ROWS: usize = 64;
const DIMS: usize = 128;
const QUERY_ROWS: usize = 20;
const WORDS: usize = 40;

/// `SplitMix64`.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits")]
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn matrix(&mut self, rows: usize) -> Matrix<f32> {
        Matrix::new(DIMS, (0..rows * DIMS).map(|_| (self.unit() - 0.5) * 0.2).collect()).unwrap()
    }

    /// A word of a vocabulary of about 20,000, the low numbers far more often (as in natural text).
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 20,000")]
    fn word(&mut self) -> String {
        format!("word{}", (20_000.0_f32.powf(self.unit())) as u32)
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

struct Corpus {
    runtime: Runtime,
    cogniverse: Cogniverse,
    tenant: TenantId,
    profile: ProfileName,
    schema: TenantSchema,
    documents: u64,
    folder: TempDir,
}

fn field(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

fn document(seeded: &mut Seeded, number: u64) -> Document {
    let (video, segment) = (number / 50, i64::try_from(number % 50).unwrap());
    let rows = seeded.matrix(ROWS);
    let bits = pack_rows(&rows).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "below 50")]
    let start = segment as f64 * 10.0;
    Document::new(DocumentId::parse(format!("v{video}/{segment}")).unwrap())
        .with(field("video_id"), format!("v{video}"))
        .with(field("video_title"), seeded.text(4))
        .with(field("segment_id"), segment)
        .with(field("profile"), PROFILE)
        .with(field("embedding_model"), "given")
        .with(field("start_time"), start)
        .with(field("end_time"), start + 10.0)
        .with(field("segment_description"), seeded.text(WORDS / 2))
        .with(field("audio_transcript"), seeded.text(WORDS / 2))
        .with(field("embedding"), Tensor::Vectors(rows))
        .with(field("embedding_binary"), Tensor::BitRows(bits))
}

impl Corpus {
    fn new() -> Self {
        let documents =
            std::env::var("COGNIVERSE_BENCH_DOCUMENTS").map_or(10_000, |documents| documents.parse().unwrap());
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (tenant, profile) = (TenantId::parse("acme_corp").unwrap(), ProfileName::parse(PROFILE).unwrap());
        let schema = TenantSchema::new(&tenant, &SchemaName::parse(PROFILE).unwrap());
        let cogniverse = runtime.block_on(async {
            let cogniverse = open(&folder).await;
            cogniverse.create_tenant(&tenant, Template::Enterprise).await.unwrap();
            cogniverse.deploy(&tenant, &profile).await.unwrap();
            let mut seeded = Seeded(7);
            for begin in (0..documents).step_by(500) {
                let batch =
                    (begin..documents.min(begin + 500)).map(|number| document(&mut seeded, number)).collect::<Vec<_>>();
                let (wanted, request) = (batch.len(), PutRequest::new(schema.clone(), batch));
                assert_eq!(cogniverse.operator().backend().put(request).await.unwrap().stored(), wanted);
            }
            cogniverse
        });
        Self { runtime, cogniverse, tenant, profile, schema, documents, folder }
    }

    fn backend(&self) -> Arc<dyn SearchBackend> {
        self.cogniverse.operator().backend().clone()
    }

    fn query(&self, strategy: &str) -> BackendQuery {
        let mut seeded = Seeded(11);
        BackendQuery::new(self.schema.clone(), StrategyName::parse(strategy).unwrap())
            .with_text(seeded.text(3))
            .with_vectors(seeded.matrix(QUERY_ROWS))
            .with_timeout(Some(Duration::from_secs(60)))
    }
}

async fn open(folder: &TempDir) -> Cogniverse {
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let encoder = Arc::new(cogniverse::encoders::HashEncoder::new(DIMS, VectorKind::Multi));
    Cogniverse::builder().embedded(config).encoder("hash", encoder).open().await.unwrap()
}

fn backend(criterion: &mut Criterion, corpus: &Corpus) {
    let backend = corpus.backend();
    let mut group = criterion.benchmark_group("backend");
    group.throughput(Throughput::Elements(corpus.documents)).sample_size(30);
    let strategies = [
        "bm25_only",
        "binary_binary",
        "phased",
        "float_binary",
        "float_float",
        "hybrid_bm25_float",
        "hybrid_float_bm25",
    ];
    for strategy in strategies {
        let query = corpus.query(strategy);
        group.bench_function(BenchmarkId::new("strategy", strategy), |bencher| {
            bencher.iter(|| corpus.runtime.block_on(backend.search(black_box(query.clone()))).unwrap());
        });
    }
    let filters = [
        ("one_video", Filter::equals(field("video_id"), "v3")),
        ("half_the_times", Filter::between(field("start_time"), 0.0, 245.0)),
        ("not_one_video", Filter::equals(field("video_id"), "v3").negate()),
    ];
    for (name, filter) in filters {
        let query = corpus.query("phased").with_filter(Some(filter));
        group.bench_function(BenchmarkId::new("phased_filter", name), |bencher| {
            bencher.iter(|| corpus.runtime.block_on(backend.search(black_box(query.clone()))).unwrap());
        });
    }
    group.finish();
}

fn agent(criterion: &mut Criterion, corpus: &Corpus) {
    corpus.runtime.block_on(async {
        let config = corpus.cogniverse.operator().config();
        let known = config.get_profile(&corpus.tenant, &corpus.profile).await.unwrap().config.value;
        config.set_profile(&corpus.tenant, &corpus.profile, known.with_encoder("hash")).await.unwrap();
    });
    let agent = corpus.cogniverse.agent();
    let request = |strategy: &str| {
        SearchRequest::new(corpus.tenant.clone(), corpus.profile.clone(), Seeded(13).text(3))
            .with_strategy(StrategyName::parse(strategy).unwrap())
    };
    let mut group = criterion.benchmark_group("agent");
    group.sample_size(30);
    for strategy in ["bm25_only", "phased"] {
        let request = request(strategy);
        group.bench_function(BenchmarkId::new("one", strategy), |bencher| {
            bencher.iter(|| corpus.runtime.block_on(agent.search(black_box(request.clone()))).unwrap());
        });
    }
    let request = request("phased");
    group.sample_size(10).throughput(Throughput::Elements(32));
    group.bench_function("32_at_once/phased", |bencher| {
        bencher.iter(|| {
            corpus.runtime.block_on(async {
                let searches: Vec<_> = (0..32)
                    .map(|_| {
                        let (agent, request) = (agent.clone(), request.clone());
                        tokio::spawn(async move { agent.search(request).await.unwrap() })
                    })
                    .collect();
                for search in searches {
                    black_box(search.await.unwrap());
                }
            });
        });
    });
    group.finish();
}

/// The first search of a tenant whose index is not in memory: open the file, load, search.
fn cold(criterion: &mut Criterion, corpus: Corpus) {
    let (query, documents) = (corpus.query("bm25_only"), corpus.documents);
    let Corpus { runtime, cogniverse, folder, .. } = corpus;
    drop(cogniverse);
    let mut group = criterion.benchmark_group("cold");
    group.sample_size(10).throughput(Throughput::Elements(documents));
    group.bench_function("open_and_search", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let cogniverse = open(&folder).await;
                black_box(cogniverse.operator().backend().search(query.clone()).await.unwrap());
            });
        });
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let corpus = Corpus::new();
    backend(criterion, &corpus);
    agent(criterion, &corpus);
    cold(criterion, corpus);
}

criterion_group!(search_path, all);
criterion_main!(search_path);
