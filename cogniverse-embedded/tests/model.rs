//! Random operations against a plain model: three tenants share a backend, and each answers as if it were alone.
//!
//! The model keeps documents in a map and computes every score from the formulas, without an index, blocks or kernels.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test asserts"
)]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentId, DocumentStore, FacetCount, FacetRequest, FieldValue, Filter, SearchBackend,
    Sort, Tensor,
    contract::fixture::{axis, deploy, document, field, id, row, schema_of, strategy},
    document::Fields,
    document_store::{DeleteRequest, DocumentUpdate, ListRequest, PutRequest, UpdateRequest, VisitRequest},
    filter::Number,
    quantize::{from_bf16, to_bf16},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const TENANTS: [&str; 3] = ["acme", "acme_corp", "globex"];
const WORDS: [&str; 6] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];

#[derive(Debug, Clone)]
enum Operation {
    Put(Vec<(u8, Vec<u8>, u8)>),
    Update(u8, Vec<u8>),
    Delete(Vec<u8>),
    DeleteVideo(u8),
    Search(Vec<u8>, bool),
    SearchVectors(u8),
    SearchFused(Vec<u8>, u8),
    SearchSorted(Vec<u8>, bool, bool),
    List(bool, bool, u8),
    Reopen,
}

fn operation() -> impl Strategy<Value = (usize, Operation)> {
    let words = || prop::collection::vec(0u8..6, 0..6);
    let operation = prop_oneof![
        4 => prop::collection::vec((0u8..40, words(), 0u8..8), 1..12).prop_map(Operation::Put),
        2 => (0u8..40, words()).prop_map(|(n, words)| Operation::Update(n, words)),
        2 => prop::collection::vec(0u8..40, 1..6).prop_map(Operation::Delete),
        1 => (0u8..4).prop_map(Operation::DeleteVideo),
        4 => (prop::collection::vec(0u8..6, 1..4), any::<bool>()).prop_map(|(words, filtered)| Operation::Search(words, filtered)),
        2 => (0u8..8).prop_map(Operation::SearchVectors),
        2 => (prop::collection::vec(0u8..6, 1..4), 0u8..8).prop_map(|(words, direction)| Operation::SearchFused(words, direction)),
        3 => (prop::collection::vec(0u8..6, 1..4), any::<bool>(), any::<bool>()).prop_map(|(words, by_video, descending)| Operation::SearchSorted(words, by_video, descending)),
        2 => (any::<bool>(), any::<bool>(), 1u8..15).prop_map(|(by_video, descending, size)| Operation::List(by_video, descending, size)),
        1 => Just(Operation::Reopen),
    ];
    (0..TENANTS.len(), operation)
}

fn text(words: &[u8]) -> String {
    words.iter().map(|word| WORDS[*word as usize]).collect::<Vec<_>>().join(" ")
}

fn segment(number: u8, words: &[u8], direction: u8) -> Document {
    document(&format!("v{}", number % 4), i64::from(number), &text(words), axis(direction as usize))
}

/// A tenant's documents, and nothing else.
#[derive(Default)]
struct World {
    documents: BTreeMap<DocumentId, Document>,
}

impl World {
    fn words(document: &Document) -> Vec<&str> {
        document.text("audio_transcript").split_whitespace().collect()
    }

    /// BM25 of a document.
    fn words_score(&self, query: &[u8], document: &Document) -> f64 {
        let total = self.documents.len() as f64;
        let lengths: usize = self.documents.values().map(|d| Self::words(d).len()).sum();
        let average = lengths as f64 / total;
        let words = Self::words(document);
        let of_word = |word: &u8| {
            let word = WORDS[*word as usize];
            let having = self.documents.values().filter(|d| Self::words(d).contains(&word)).count() as f64;
            let count = words.iter().filter(|w| **w == word).count() as f64;
            let idf = (1.0 + (total - having + 0.5) / (having + 0.5)).ln();
            if count == 0.0 {
                0.0
            } else {
                idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * words.len() as f64 / average))
            }
        };
        query.iter().map(of_word).sum::<f64>()
    }

    /// Every document by words and vectors, each from 0 to 1: fewer than the global phase reaches.
    fn search_fused(&self, query: &[u8], direction: u8) -> Vec<(DocumentId, f64)> {
        let vectors = self.search_vectors(direction);
        let words = vectors.iter().map(|(id, _)| self.words_score(query, &self.documents[id])).collect::<Vec<_>>();
        let scaled = |values: &[f64]| {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let to_one = |value: &f64| if high - low > 0.0 { (value - low) / (high - low) } else { 0.5 };
            values.iter().map(to_one).collect::<Vec<_>>()
        };
        let near = scaled(&vectors.iter().map(|(_, score)| *score).collect::<Vec<_>>());
        let fused = scaled(&words).into_iter().zip(near).map(|(words, near)| 0.3 * words + 0.7 * near);
        let mut found: Vec<_> = vectors.into_iter().map(|(id, _)| id).zip(fused).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }

    /// Ids and scores, best first, of those that have a word and meet the filter.
    fn search(&self, query: &[u8], filtered: bool) -> Vec<(DocumentId, f64)> {
        let wanted = |d: &&Document| {
            let number = d.get("segment_id").and_then(FieldValue::as_i64).unwrap();
            let has = query.iter().any(|word| Self::words(d).contains(&WORDS[*word as usize]));
            has && (!filtered || (10..30).contains(&number))
        };
        let mut found: Vec<(DocumentId, f64)> =
            self.documents.values().filter(wanted).map(|d| (d.id.clone(), self.words_score(query, d))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }

    fn search_vectors(&self, direction: u8) -> Vec<(DocumentId, f64)> {
        let query = axis(direction as usize);
        let score = |document: &Document| match document.get("embedding") {
            Some(FieldValue::Tensor(Tensor::Vectors(rows))) => {
                query.iter().zip(rows.cells()).map(|(a, b)| f64::from(*a) * f64::from(from_bf16(to_bf16(*b)))).sum()
            }
            _ => 0.0,
        };
        let mut found: Vec<(DocumentId, f64)> = self.documents.values().map(|d| (d.id.clone(), score(d))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }
}

/// The order of a tenant's documents by a field: equal ones by id, whatever the direction.
fn sorted(mut documents: Vec<&Document>, sort: &Sort) -> Vec<DocumentId> {
    let key = |document: &Document| match document.get(sort.field.as_str()) {
        Some(FieldValue::String(text)) => (text.clone(), 0),
        Some(FieldValue::Integer(number)) => (String::new(), *number),
        other => panic!("{other:?}"),
    };
    documents.sort_by(|a, b| {
        let order = key(a).cmp(&key(b));
        let order = if sort.descending { order.reverse() } else { order };
        order.then_with(|| a.id.cmp(&b.id))
    });
    documents.into_iter().map(|document| document.id.clone()).collect()
}

/// The most frequent values of a field, equally frequent ones in ascending order.
fn counted(documents: &[&Document], name: &str, limit: usize) -> (Vec<FacetCount>, u64) {
    let mut counts: BTreeMap<(String, i64), (FieldValue, u64)> = BTreeMap::new();
    for value in documents.iter().filter_map(|document| document.get(name)) {
        let key = (value.as_str().unwrap_or_default().to_owned(), value.as_i64().unwrap_or_default());
        counts.entry(key).or_insert_with(|| (value.clone(), 0)).1 += 1;
    }
    let mut values: Vec<FacetCount> =
        counts.into_values().map(|(value, count)| FacetCount::new(value, count)).collect();
    values.sort_by_key(|listed| std::cmp::Reverse(listed.count));
    values.truncate(limit);
    let listed: u64 = values.iter().map(|listed| listed.count).sum();
    (values, documents.len() as u64 - listed)
}

fn order(by_video: bool, descending: bool) -> Sort {
    Sort { field: field(if by_video { "video_id" } else { "segment_id" }), descending }
}

async fn open(folder: &std::path::Path) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash).with_max_open_schemas(2);
    EmbeddedBackend::open(config).await.unwrap()
}

async fn same_hits(backend: &EmbeddedBackend, query: BackendQuery, expected: Vec<(DocumentId, f64)>) {
    let found = backend.search(query.with_page(0, 100)).await.unwrap();
    assert_eq!(found.matched, expected.len() as u64);
    // Scores that are equal up to rounding may stand in either order; the documents and scores must agree.
    let scores: Vec<f64> = found.hits.iter().map(|hit| hit.score).collect();
    for (score, (_, expected)) in scores.iter().zip(&expected) {
        assert!((score - expected).abs() < 1e-5, "{score} {expected}");
    }
    let by_id: BTreeMap<_, _> = expected.iter().cloned().collect();
    let found_ids: BTreeSet<_> = found.hits.iter().map(|hit| hit.document.id.clone()).collect();
    assert_eq!(found_ids, by_id.keys().cloned().collect());
    for hit in &found.hits {
        assert!((hit.score - by_id[&hit.document.id]).abs() < 1e-5, "{:?}", hit.document.id);
    }
}

async fn run(operations: Vec<(usize, Operation)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = open(folder.path()).await;
    deploy(&backend, &TENANTS).await;
    let mut worlds: [World; 3] = Default::default();
    for (tenant, operation) in operations {
        let (schema, world) = (schema_of(TENANTS[tenant]), &mut worlds[tenant]);
        match operation {
            Operation::Put(segments) => {
                let documents: Vec<Document> =
                    segments.iter().map(|(n, words, direction)| segment(*n, words, *direction)).collect();
                world.documents.extend(documents.iter().map(|d| (d.id.clone(), d.clone())));
                let report = backend.put(PutRequest::new(schema, documents)).await.unwrap();
                assert_eq!(report.failures().count(), 0);
            }
            Operation::Update(number, words) => {
                let id = segment(number, &[], 0).id;
                let assign = Fields::from([(field("audio_transcript"), FieldValue::from(text(&words)))]);
                let request = UpdateRequest::new(schema, vec![DocumentUpdate::assign(id.clone(), assign.clone())]);
                let stored = backend.update(request).await.unwrap().stored() == 1;
                assert_eq!(stored, world.documents.contains_key(&id));
                if let Some(document) = world.documents.get_mut(&id) {
                    document.fields.extend(assign);
                }
            }
            Operation::Delete(numbers) => {
                let ids: Vec<DocumentId> = numbers.iter().map(|n| segment(*n, &[], 0).id).collect();
                let there = ids
                    .iter()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .filter(|id| world.documents.remove(*id).is_some())
                    .count();
                assert_eq!(backend.delete(DeleteRequest::ids(schema, ids)).await.unwrap(), there as u64);
            }
            Operation::DeleteVideo(video) => {
                let before = world.documents.len();
                let video = format!("v{video}");
                world.documents.retain(|_, d| d.text("video_id") != video);
                let filter = Filter::equals(field("video_id"), video.as_str());
                let deleted = backend.delete(DeleteRequest::matching(schema, filter)).await.unwrap();
                assert_eq!(deleted, (before - world.documents.len()) as u64);
            }
            Operation::Search(words, filtered) => {
                let filter =
                    filtered.then(|| Filter::between(field("segment_id"), Number::Integer(10), Number::Integer(30)));
                let query =
                    BackendQuery::new(schema, strategy("bm25_only")).with_text(text(&words)).with_filter(filter);
                same_hits(&backend, query, world.search(&words, filtered)).await;
            }
            Operation::SearchVectors(direction) => {
                let query =
                    BackendQuery::new(schema, strategy("float_float")).with_vectors(row(axis(direction as usize)));
                same_hits(&backend, query, world.search_vectors(direction)).await;
            }
            Operation::SearchFused(words, direction) => {
                let query = BackendQuery::new(schema, strategy("hybrid_fused"))
                    .with_text(text(&words))
                    .with_vectors(row(axis(direction as usize)));
                same_hits(&backend, query, world.search_fused(&words, direction)).await;
            }
            Operation::SearchSorted(words, by_video, descending) => {
                let sort = order(by_video, descending);
                let facets = ["video_id", "segment_id"].map(|name| FacetRequest::new(field(name), 3)).to_vec();
                let query = BackendQuery::new(schema, strategy("bm25_only")).with_text(text(&words));
                let query = query.with_sort(Some(sort.clone())).with_facets(facets).with_page(1, 9);
                let found = backend.search(query).await.unwrap();
                let matched: Vec<&Document> =
                    world.search(&words, false).iter().map(|(id, _)| &world.documents[id]).collect();
                let ids: Vec<DocumentId> = found.hits.into_iter().map(|hit| hit.document.id).collect();
                let expected: Vec<DocumentId> = sorted(matched.clone(), &sort).into_iter().skip(1).take(9).collect();
                assert_eq!((ids, found.matched), (expected, matched.len() as u64));
                for facet in found.facets {
                    assert_eq!((facet.values, facet.others), counted(&matched, facet.field.as_str(), 3));
                }
            }
            Operation::List(by_video, descending, size) => {
                let sort = order(by_video, descending);
                let expected = sorted(world.documents.values().collect(), &sort);
                let mut request = ListRequest::new(schema, sort).with_page_size(size.into());
                let mut listed = Vec::new();
                loop {
                    let page = backend.list(request.clone()).await.unwrap();
                    listed.extend(page.documents.into_iter().map(|found| found.document.id));
                    if page.continuation.is_none() {
                        break;
                    }
                    request = request.with_continuation(page.continuation);
                }
                assert_eq!(listed, expected);
            }
            Operation::Reopen => {
                drop(backend);
                backend = open(folder.path()).await;
            }
        }
    }
    for (tenant, world) in TENANTS.iter().zip(&worlds) {
        let schema = schema_of(tenant);
        assert_eq!(backend.count(&schema, None).await.unwrap(), world.documents.len() as u64);
        let page = backend.visit(VisitRequest::new(schema).with_page_size(1000)).await.unwrap();
        let rounded = |mut document: Document| {
            document.fields.remove(&field("embedding"));
            document
        };
        let stored: Vec<Document> = page.documents.into_iter().map(|found| rounded(found.document)).collect();
        assert_eq!(stored, world.documents.values().cloned().map(rounded).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn invariant_01_05_06_each_tenant_answers_as_if_alone(operations in prop::collection::vec(operation(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(run(operations));
    }
}

/// Thousands of documents in small batches, replaced and deleted: blocks merge, and nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_batches_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    let schema = schema_of("acme");
    for batch in 0..120i64 {
        let documents = (0..25).map(|n| {
            let number = (batch * 25 + n) % 1500;
            document("v", number, WORDS[(number % 6) as usize], axis((number % 8) as usize))
        });
        backend.put(PutRequest::new(schema.clone(), documents.collect())).await.unwrap();
    }
    assert_eq!(backend.count(&schema, None).await.unwrap(), 1500);
    let filter = Filter::between(field("segment_id"), Number::Integer(0), Number::Integer(700));
    assert_eq!(backend.delete(DeleteRequest::matching(schema.clone(), filter)).await.unwrap(), 700);
    let query = BackendQuery::new(schema.clone(), strategy("bm25_only")).with_text("beta").with_page(0, 1000);
    let found = backend.search(query).await.unwrap();
    let expected: BTreeSet<DocumentId> = (700..1500).filter(|n| n % 6 == 1).map(|n| id(&format!("v/{n}"))).collect();
    assert_eq!(found.hits.iter().map(|hit| hit.document.id.clone()).collect::<BTreeSet<_>>(), expected);
}
