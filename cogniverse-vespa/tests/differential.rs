//! The same documents and queries, on the embedded backend and over the wire to Vespa's own container: alike in score and order.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

mod vespa;

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendHits, BackendQuery, Document, DocumentStore, Filter, Matrix, SchemaStore, SearchBackend, Tensor,
    WordCondition,
    contract::fixture,
    document_store::PutRequest,
    quantize::pack_rows,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{sync::Arc, time::Duration};
use vespa::Container;

const DOCUMENTS: i64 = 60;

/// Words whose stems are themselves: the two sides stem by different rules.
const WORDS: [&str; 8] = ["red", "blue", "car", "dog", "sun", "sea", "hat", "ball"];

fn cells(rows: usize) -> Matrix<f32> {
    // Away from zero, so that no bit is a matter of rounding, and exact in 16 bits.
    let cell = || f32::from(fastrand::i16(1..64)) / 64.0 * if fastrand::bool() { 1.0 } else { -1.0 };
    Matrix::new(8, std::iter::repeat_with(cell).take(rows * 8).collect()).unwrap()
}

fn document(number: i64) -> Document {
    let rows = cells(fastrand::usize(1..6));
    let text: Vec<&str> = (0..fastrand::usize(1..9)).map(|_| WORDS[fastrand::usize(..WORDS.len())]).collect();
    let title = WORDS[fastrand::usize(..WORDS.len())];
    let bits = pack_rows(&rows).unwrap();
    let mut document =
        fixture::document("v", number, &text.join(" "), fixture::axis(0)).with(fixture::field("video_title"), title);
    document.fields.insert(fixture::field("embedding"), Tensor::Vectors(rows).into());
    document.fields.insert(fixture::field("embedding_binary"), Tensor::BitRows(bits).into());
    document
}

/// With every document scored anew: which of two equal ones gets a place in a short second phase is each side's own.
fn deployments() -> DeployRequest {
    let mut base = (*fixture::schema()).clone();
    for second in base.rank_profiles.iter_mut().filter_map(|profile| profile.second_phase.as_mut()) {
        second.rerank_count = 100;
    }
    // All but a third, so that the scores of those that the global phase does not reach are compared too. By floats, of
    // which hardly two are equal: which of two equal ones is reached, or ranked before the other, is each side's own.
    for profile in base.rank_profiles.iter_mut().filter(|profile| profile.global_phase.is_some()) {
        profile.first_phase.expression = "text_sim + 16 * max_sim".to_owned();
        profile.global_phase.as_mut().unwrap().rerank_count = 40;
    }
    let base = Arc::new(base);
    let deployment = |name| SchemaDeployment { schema: fixture::schema_of(name), definition: Arc::clone(&base) };
    DeployRequest::new(["acme", "globex"].map(deployment).to_vec())
}

fn compare(what: &str, ours: &BackendHits, theirs: &BackendHits) {
    assert_eq!((ours.matched, ours.hits.len()), (theirs.matched, theirs.hits.len()), "{what}");
    let scores = |hits: &BackendHits| hits.hits.iter().map(|hit| hit.score).collect::<Vec<_>>();
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * b.abs().max(1e-3);
    for (ours, theirs) in scores(ours).into_iter().zip(scores(theirs)) {
        assert!(near(ours, theirs), "{what}: {ours} here, {theirs} there");
    }
    // Equal scores may stand in any order, and each side's stays the same: compare what stands apart.
    for (ours, theirs) in ours.hits.iter().zip(&theirs.hits) {
        if ours.document.id != theirs.document.id {
            assert!(near(ours.score, theirs.score), "{what}");
        } else {
            assert_eq!(ours.document.fields, theirs.document.fields, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_gives_what_the_embedded_backend_gives() {
    fastrand::seed(4);
    let container = Container::start(deployments()).await;
    let over_the_wire = container.backend();
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let embedded = EmbeddedBackend::open(config).await.unwrap();
    embedded.deploy(deployments()).await.unwrap();
    for tenant in ["acme", "globex"] {
        let documents: Vec<Document> = (0..DOCUMENTS).map(document).collect();
        for backend in [&over_the_wire as &dyn DocumentStore, &embedded] {
            let report = backend.put(PutRequest::new(fixture::schema_of(tenant), documents.clone())).await.unwrap();
            assert_eq!(report.stored() as i64, DOCUMENTS, "{report:?}");
        }
    }
    let filters = [
        None,
        Some(Filter::between(fixture::field("start_time"), 95.5, 400)),
        Some(
            Filter::equals(fixture::field("video_id"), "v")
                .and(Filter::between(fixture::field("segment_id"), 7, 30).negate()),
        ),
        Some(Filter::equals(fixture::field("video_id"), "w")),
    ];
    for tenant in ["acme", "globex"] {
        for strategy in ["bm25_only", "float_float", "phased", "hybrid_fused", "hybrid_rrf"] {
            for filter in &filters {
                for round in 0..4 {
                    let query = BackendQuery::new(fixture::schema_of(tenant), fixture::strategy(strategy))
                        .with_text(format!("{} {}", WORDS[round], WORDS[round + 3]))
                        .with_vectors(cells(round + 1))
                        .with_filter(filter.clone())
                        .with_page(0, 100)
                        .with_timeout(Some(Duration::from_secs(20)));
                    let ours = embedded.search(query.clone()).await.unwrap();
                    let theirs = over_the_wire.search(query.clone()).await.unwrap();
                    compare(&format!("{tenant} {strategy} {filter:?}"), &ours, &theirs);
                    let conditions = [
                        WordCondition::Phrase(format!("{} {}", WORDS[round], WORDS[round + 1])),
                        WordCondition::Without(WORDS[round + 2].to_owned()),
                        WordCondition::Without(format!("{} {}", WORDS[round + 3], WORDS[round])),
                    ];
                    for conditions in [&conditions[..1], &conditions[1..2], &conditions[2..]] {
                        let query = query.clone().with_words(conditions.to_vec());
                        let ours = embedded.search(query.clone()).await.unwrap();
                        let theirs = over_the_wire.search(query).await.unwrap();
                        compare(&format!("{tenant} {strategy} {filter:?} {conditions:?}"), &ours, &theirs);
                    }
                }
            }
        }
    }
}
