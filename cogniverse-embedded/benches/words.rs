//! Searches by words (BM25) over 100,000 segments (`COGNIVERSE_BENCH_DOCUMENTS`) of about 40 words, their counts and orders by fields, and
//! the opening of their store.
//!
//! The corpus and the queries are seeded. Words are drawn from 20,000 by Zipf's law, so that some are in nearly all segments.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where its corpus cannot be made")]

use cogniverse_core::schemas::EmbeddedSchemaLoader;
use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentId, DocumentStore, FacetRequest, FieldName, Filter, ListRequest, SchemaLoader,
    SchemaName, SchemaStore, SearchBackend, Sort, StrategyName, TenantId, TenantSchema, WordCondition,
    document_store::PutRequest,
    filter::Number,
    schema_store::{DeployRequest, SchemaDeployment},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, time::Duration};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BATCH: u64 = 1_000;
const QUERIES: usize = 64;

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

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 20,000")]
    fn text(&mut self, words: usize) -> String {
        let mut word = || format!("word{}", 20_000.0_f32.powf(self.unit()) as u32);
        (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
    }
}

fn field(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

fn segment(number: u64, seeded: &mut Seeded) -> Document {
    let (video, segment) = (number / 50, i64::try_from(number % 50).unwrap());
    Document::new(DocumentId::parse(format!("v{video}/{segment}")).unwrap())
        .with(field("video_id"), format!("v{video}"))
        .with(field("video_title"), seeded.text(4))
        .with(field("segment_id"), segment)
        .with(field("segment_description"), seeded.text(18))
        .with(field("audio_transcript"), seeded.text(18))
}

fn open(folder: &TempDir) -> EmbeddedConfig {
    EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash)
}

fn words(criterion: &mut Criterion) {
    let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let base = SchemaName::parse("video_text_minilm_mv_segment").unwrap();
    let schema = TenantSchema::new(&TenantId::parse("acme").unwrap(), &base);
    let backend = runtime.block_on(async {
        let backend = EmbeddedBackend::open(open(&folder)).await.unwrap();
        let definition = EmbeddedSchemaLoader.load(&base).await.unwrap();
        let deployment = SchemaDeployment { schema: schema.clone(), definition };
        backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
        let mut seeded = Seeded(7);
        let segments =
            std::env::var("COGNIVERSE_BENCH_DOCUMENTS").map_or(100_000, |segments| segments.parse().unwrap());
        for begin in (0..segments).step_by(BATCH as usize) {
            let batch: Vec<Document> = (begin..begin + BATCH).map(|number| segment(number, &mut seeded)).collect();
            let (wanted, request) = (batch.len(), PutRequest::new(schema.clone(), batch));
            assert_eq!(backend.put(request).await.unwrap().stored(), wanted);
        }
        backend
    });
    let below = |limit| Filter::between(field("segment_id"), Number::Integer(0), Number::Integer(limit));
    let filters = [
        ("", None),
        (", a filter that half pass", Some(below(25))),
        (", a filter of one video", Some(Filter::equals(field("video_id"), "v900"))),
    ];
    let mut group = criterion.benchmark_group("words");
    group.sample_size(50);
    for count in [1, 3, 10] {
        for (name, filter) in &filters {
            let mut seeded = Seeded(11);
            let queries: Vec<BackendQuery> = (0..QUERIES)
                .map(|_| {
                    BackendQuery::new(schema.clone(), StrategyName::parse("bm25_only").unwrap())
                        .with_text(seeded.text(count))
                        .with_filter(filter.clone())
                        .with_page(0, 10)
                        .with_timeout(Some(Duration::from_secs(60)))
                })
                .collect();
            let mut turn = queries.iter().cycle();
            group.bench_function(format!("{count} words{name}"), |bencher| {
                bencher.iter(|| black_box(runtime.block_on(backend.search(turn.next().unwrap().clone())).unwrap()));
            });
        }
    }
    let mut seeded = Seeded(13);
    let long = BackendQuery::new(schema.clone(), StrategyName::parse("bm25_only").unwrap())
        .with_text(seeded.text(10))
        .with_page(1_000, 10);
    group.bench_function("10 words, hits 1,000 to 1,010", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(backend.search(long.clone())).unwrap()));
    });
    // Words of every segment, so that all of them are counted and ordered.
    let all = BackendQuery::new(schema.clone(), StrategyName::parse("bm25_only").unwrap())
        .with_text("word1 word2 word3 word4 word5 word6")
        .with_timeout(Some(Duration::from_secs(60)));
    let facet = |name: &str| FacetRequest::new(field(name), 10);
    let video = Some(Sort::ascending(field("video_id")));
    let orders = [
        ("a facet of videos, no hits", all.clone().with_facets(vec![facet("video_id")]).with_page(0, 0)),
        ("a facet of numbers, no hits", all.clone().with_facets(vec![facet("segment_id")]).with_page(0, 0)),
        ("two facets, beside 10 hits", all.clone().with_facets(vec![facet("video_id"), facet("segment_id")])),
        ("10 hits in the order of videos", all.clone().with_sort(video)),
        (
            "a phrase",
            all.clone().with_text("word1").with_words(vec![WordCondition::Phrase("word900 word1".to_owned())]),
        ),
        ("a prefix", all.clone().with_words(vec![WordCondition::Prefix("word90".to_owned())])),
        ("a word with two typos", all.with_text("wrrd19999x").with_typos(true)),
    ];
    for (name, query) in orders {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(runtime.block_on(backend.search(query.clone())).unwrap()));
        });
    }
    let list = ListRequest::new(schema.clone(), Sort::descending(field("segment_id")));
    group.bench_function("a page of 100 in the order of numbers", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(backend.list(list.clone())).unwrap()));
    });
    drop(backend);
    group.sample_size(20);
    group.bench_function("opening", |bencher| {
        bencher.iter(|| {
            let backend = runtime.block_on(EmbeddedBackend::open(open(&folder))).unwrap();
            black_box(runtime.block_on(backend.count(&schema, None)).unwrap());
        });
    });
    group.finish();
}

criterion_group!(benches, words);
criterion_main!(benches);
