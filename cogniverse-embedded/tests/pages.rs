//! A short page is the begin of a long one: what is passed over for it could not have been in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_core::schemas::EmbeddedSchemaLoader;
use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentStore, ErrorKind, FieldValue, Matrix, SchemaLoader, SchemaName, SchemaStore,
    SearchBackend, Sort, TenantId, TenantSchema, Tensor,
    contract::fixture::{axis, deploy, document, field, id, schema_of, strategy},
    document_store::{DeleteRequest, ListRequest, PutRequest},
    quantize::pack_rows,
    schema_store::{DeployRequest, SchemaDeployment},
};

const DOCUMENTS: usize = 2_000;
const DIMS: usize = 128;

/// Numbers of an `xorshift` generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn rows(&mut self, rows: usize, cell: fn(&mut Self) -> f32) -> Matrix<f32> {
        Matrix::new(DIMS, (0..rows * DIMS).map(|_| cell(self)).collect()).unwrap()
    }

    fn ordinary(&mut self) -> f32 {
        self.below(2_001) as f32 / 1_000.0 - 1.0
    }

    /// Cells of all sizes: many equal, some tiny, some so large that sums of them lose the small ones.
    fn hostile(&mut self) -> f32 {
        let size = [0.0, 1e-40, 1e-20, 1e-3, 1.0, 1.0, 1.0, 3.0, 1e10, 1e15][self.below(10) as usize];
        if self.below(2) == 0 { size } else { -size }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_page_is_the_begin_of_a_long_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    let backend = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
    let base = SchemaName::parse("video_colpali_smol500_mv_frame").unwrap();
    let schema = TenantSchema::new(&TenantId::parse("acme").unwrap(), &base);
    let definition = EmbeddedSchemaLoader.load(&base).await.unwrap();
    let deployment = SchemaDeployment { schema: schema.clone(), definition };
    backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    let made: Vec<Document> = (0..DOCUMENTS)
        .map(|number| {
            let count = 1 + random.below(20) as usize;
            let rows = random.rows(count, if number % 3 == 0 { Random::hostile } else { Random::ordinary });
            Document::new(id(&format!("v/{number}")))
                .with(field("video_id"), "v")
                .with(field("segment_id"), number as i64)
                .with(field("video_title"), ["sailing", "boats", "sailing boats", "harbours"][number % 4])
                .with(field("embedding_binary"), Tensor::BitRows(pack_rows(&rows).unwrap()))
                .with(field("embedding"), Tensor::Vectors(rows))
        })
        .collect();
    for batch in made.chunks(700) {
        let report = backend.put(PutRequest::new(schema.clone(), batch.to_vec())).await.unwrap();
        assert_eq!(report.stored(), batch.len(), "{:?}", report.failures().next());
    }
    for round in 0..8 {
        let rows = 1 + random.below(12) as usize;
        let query = random.rows(rows, if round % 2 == 0 { Random::ordinary } else { Random::hostile });
        for ranking in ["float_float", "float_binary", "binary_binary", "phased", "hybrid_fused", "hybrid_rrf"] {
            let page = async |limit: usize| {
                let mut query = BackendQuery::new(schema.clone(), strategy(ranking)).with_vectors(query.clone());
                if ranking.starts_with("hybrid") {
                    query = query.with_text("sailing boats");
                }
                let found = backend.search(query.with_page(0, limit)).await.unwrap();
                assert_eq!(found.matched, DOCUMENTS as u64, "{ranking}");
                found.hits.into_iter().map(|hit| (hit.document.id, hit.score.to_bits())).collect::<Vec<_>>()
            };
            // As many as there are: nothing can be passed over.
            let all = page(DOCUMENTS).await;
            // Later phases rescore no more for a longer page, and what they leave keeps its place below.
            for limit in [1, 10, 60, 230] {
                assert_eq!(page(limit).await, all[..limit], "{ranking}, round {round}, the first {limit}");
            }
        }
    }
}

/// Between two pages of a listing the document that the cursor names is deleted, and others come before and behind it: what was there
/// throughout is listed once, whether or not its value is still in the index.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_goes_on_where_it_was() {
    for (name, block_documents) in [("video_id", 32), ("video_id", usize::MAX), ("segment_id", 32)] {
        for descending in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let config = EmbeddedConfig::new(folder.path()).with_block_documents(block_documents);
            let backend = EmbeddedBackend::open(config).await.unwrap();
            deploy(&backend, &["acme"]).await;
            let schema = || schema_of("acme");
            // Each number is a video of its own; of every fifth both fields are left out.
            let segment = |number: i64| {
                let mut segment = document(&format!("v{number:04}"), number, "words", axis(0));
                if number % 5 == 0 {
                    segment.fields.remove(&field("video_id"));
                    segment.fields.remove(&field("segment_id"));
                }
                segment
            };
            let put = async |numbers: Vec<i64>| {
                let documents = numbers.into_iter().map(segment).collect();
                backend.put(PutRequest::new(schema_of("acme"), documents)).await.unwrap();
            };
            put((0..200).map(|n| n * 10 + 3).collect()).await;
            put((0..40).map(|n| n * 10 + 5).collect()).await;
            let sort = Sort { field: field(name), descending };
            let mut request = ListRequest::new(schema(), sort).with_page_size(7);
            let (mut listed, mut gone) = (Vec::new(), Vec::new());
            for round in 0_i64.. {
                let page = backend.list(request.clone()).await.unwrap();
                listed.extend(page.documents.iter().map(|found| found.document.clone()));
                let Some(next) = page.continuation else { break };
                let last = page.documents.last().unwrap().document.id.clone();
                gone.push(last.clone());
                backend.delete(DeleteRequest::ids(schema(), vec![last])).await.unwrap();
                put(vec![round * 61 % 2_000 + 1, 1_999 - round * 61 % 2_000]).await;
                request = request.with_continuation(Some(next));
            }
            let ids: Vec<String> = listed.iter().map(|document| document.id.to_string()).collect();
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), ids.len(), "{name} {descending}: none twice");
            let throughout = (0..200).map(|n| n * 10 + 3).chain((0..40).map(|n| n * 10 + 5)).map(segment);
            for document in throughout {
                assert!(ids.contains(&document.id.to_string()), "{name} {descending}: {} is missing", document.id);
            }
            let values: Vec<Option<&FieldValue>> = listed.iter().map(|document| document.get(name)).collect();
            let with = values.iter().take_while(|value| value.is_some()).count();
            assert!(with > 150 && values[with..].iter().all(Option::is_none), "{name} {descending}");
            let key = |value: &Option<&FieldValue>| {
                let value = value.unwrap();
                (value.as_str().unwrap_or_default().to_owned(), value.as_i64().unwrap_or_default())
            };
            assert!(values[..with].is_sorted_by(|a, b| if descending { key(a) >= key(b) } else { key(a) <= key(b) }));
            // A schema that was deployed anew has other documents.
            backend.drop_schema(&schema()).await.unwrap();
            deploy(&backend, &["acme"]).await;
            assert_eq!(backend.list(request).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
