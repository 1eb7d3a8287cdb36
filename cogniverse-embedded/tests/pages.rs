//! A short page is the begin of a long one: what is passed over for it could not have been in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_core::schemas::EmbeddedSchemaLoader;
use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentStore, Matrix, SchemaLoader, SchemaName, SchemaStore, SearchBackend, TenantId,
    TenantSchema, Tensor,
    contract::fixture::{field, id, strategy},
    document_store::PutRequest,
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
