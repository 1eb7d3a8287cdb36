//! A search reads one moment, takes no longer than it may, and never takes what is absent for a value.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendHits, BackendQuery, Document, DocumentStore, ErrorCode, ErrorKind, FieldValue, Filter, Matrix, Result,
    SchemaStore, SearchBackend, Tensor,
    contract::fixture::{axis, deploy, document, field, id, row, schema, schema_of, strategy},
    document::Fields,
    document_store::{DeleteRequest, DocumentUpdate, PutRequest, UpdateRequest},
    quantize::pack_rows,
    schema_store::{DeployRequest, SchemaDeployment},
    search_backend::Coverage,
    tensor::MAX_CELL,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

async fn open(folder: &std::path::Path, float_cache: usize, running: usize) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder)
        .with_durability(Durability::ProcessCrash)
        .with_float_cache_bytes(float_cache)
        .with_search_limits(running, 64);
    let backend = EmbeddedBackend::open(config).await.unwrap();
    deploy(&backend, &["acme"]).await;
    backend
}

async fn put(backend: &EmbeddedBackend, documents: Vec<Document>) {
    let count = documents.len();
    assert_eq!(backend.put(PutRequest::new(schema_of("acme"), documents)).await.unwrap().stored(), count);
}

/// A document of many vectors.
fn large(number: i64, vectors: usize) -> Document {
    let rows = Matrix::new(8, axis(usize::try_from(number).unwrap() % 8).repeat(vectors)).unwrap();
    document("large", number, "words", axis(0))
        .with(field("embedding"), Tensor::Vectors(rows.clone()))
        .with(field("embedding_binary"), Tensor::BitRows(pack_rows(&rows).unwrap()))
}

/// Four hundred documents of a thousand vectors each, all read from disk; one search at once.
async fn open_large(folder: &std::path::Path) -> EmbeddedBackend {
    let backend = open(folder, 0, 1).await;
    for batch in 0..4 {
        put(&backend, (0..100).map(|n| large(batch * 100 + n, 1000)).collect()).await;
    }
    backend
}

/// A search without a limit, beside the test.
fn begin(backend: &EmbeddedBackend, query: BackendQuery) -> JoinHandle<Result<BackendHits>> {
    let backend = backend.clone();
    tokio::spawn(async move { backend.search(query.with_timeout(Some(Duration::MAX))).await })
}

/// Waits until a thread works on a search.
async fn until_one_runs(backend: &EmbeddedBackend) {
    let begun = Instant::now();
    while backend.resources().running_searches == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no search has a place");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn heavy(rows: usize) -> BackendQuery {
    BackendQuery::new(schema_of("acme"), strategy("float_float"))
        .with_vectors(Matrix::new(8, axis(1).repeat(rows)).unwrap())
}

/// One writer changes the title of the best document, and another one replaces all the rest, over and over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_during_a_search_loses_no_document() {
    for (ranking, float_cache) in
        [("float_float", 0), ("float_float", 1 << 30), ("phased", 0), ("phased", 1 << 30), ("bm25_only", 1 << 30)]
    {
        let folder = tempfile::tempdir().unwrap();
        let backend = open(folder.path(), float_cache, 2).await;
        let rest = || (0..200).map(|n| document(&format!("v{n}"), n, "alpha and other words", [0.5; 8]));
        put(&backend, rest().chain([document("best", 0, "alpha", [1.0; 8])]).collect()).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let (backend, stop) = (backend.clone(), Arc::clone(&stop));
            async move {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let title = Fields::from([(field("video_title"), format!("title {round}").into())]);
                    let update = DocumentUpdate::assign(id("best/0"), title);
                    backend.update(UpdateRequest::new(schema_of("acme"), vec![update])).await.unwrap();
                    if round % 16 == 0 {
                        put(&backend, rest().collect()).await;
                    }
                }
            }
        });
        let until = Instant::now() + Duration::from_millis(700);
        let mut searches = 0;
        while Instant::now() < until || searches < 20 {
            let query = BackendQuery::new(schema_of("acme"), strategy(ranking))
                .with_text("alpha")
                .with_vectors(row([1.0; 8]))
                .with_page(0, 300);
            let found = backend.search(query).await.unwrap();
            searches += 1;
            assert_eq!(found.coverage, Coverage::Full);
            assert_eq!((found.matched, found.hits.len()), (201, 201), "{ranking}, search {searches}");
            assert_eq!(found.hits[0].document.id.as_str(), "best/0", "{ranking}, search {searches}");
        }
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_document_without_vectors_is_no_answer_to_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 1 << 30, 2).await;
    let bare = |number: i64| {
        Document::new(id(&format!("bare/{number}")))
            .with(field("video_id"), "bare")
            .with(field("segment_id"), number)
            .with(field("audio_transcript"), "words")
    };
    put(&backend, (0..5).map(bare).collect()).await;
    let query = |ranking: &str| {
        BackendQuery::new(schema_of("acme"), strategy(ranking)).with_text("words").with_vectors(row(axis(1)))
    };
    for ranking in ["float_float", "phased"] {
        let error = backend.search(query(ranking)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SegmentsWithoutVectors, "{error:?}");
        assert!(error.to_string().contains("none of 5 documents") && error.to_string().contains("ingest again"));
    }
    put(&backend, vec![document("v", 1, "words", axis(1))]).await;
    for ranking in ["float_float", "phased"] {
        let found = backend.search(query(ranking)).await.unwrap();
        let ids: Vec<&str> = found.hits.iter().map(|hit| hit.document.id.as_str()).collect();
        assert_eq!((found.matched, ids), (1, vec!["v/1"]), "{ranking}");
        // Where the filter leaves none with vectors, that is what was asked for.
        let others = query(ranking).with_filter(Some(Filter::equals(field("video_id"), "bare")));
        assert_eq!(backend.search(others).await.unwrap().matched, 0);
    }
    assert_eq!(backend.search(query("bm25_only")).await.unwrap().matched, 6);
    // An empty schema is empty.
    backend.delete(DeleteRequest::matching(schema_of("acme"), Filter::All(vec![]))).await.unwrap();
    assert_eq!(backend.search(query("float_float")).await.unwrap().matched, 0);
}

/// 2.6 s were taken where 100 ms were asked: the clock is looked at by work, not by documents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_holds_also_over_documents_of_many_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open_large(folder.path()).await;
    let whole = Instant::now();
    assert_eq!(backend.search(heavy(1024).with_timeout(Some(Duration::MAX))).await.unwrap().matched, 400);
    let whole = whole.elapsed();
    let asked = Duration::from_millis(20);
    let begun = Instant::now();
    let error = backend.search(heavy(1024).with_timeout(Some(asked))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(begun.elapsed() < whole / 2 + asked, "{:?} of {whole:?}", begun.elapsed());
    assert_eq!(
        backend.search(heavy(1).with_timeout(Some(Duration::ZERO))).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

/// Callers who give up make no room for more threads than may run, and their threads end soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_place_of_a_search_belongs_to_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open_large(folder.path()).await;
    let whole = Instant::now();
    backend.search(heavy(1024).with_timeout(Some(Duration::MAX))).await.unwrap();
    let whole = whole.elapsed();
    let mut held = 0;
    for _ in 0..4 {
        let search = begin(&backend, heavy(1024));
        until_one_runs(&backend).await;
        // Given up in its first moments: the place stays taken until its thread ends, and that is soon.
        search.abort();
        let _ = search.await;
        let begun = Instant::now();
        held += backend.resources().running_searches;
        while backend.resources().running_searches > 0 {
            assert!(begun.elapsed() < whole * 3, "a search that nobody waits for goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(begun.elapsed() < whole / 2, "{:?} of {whole:?}", begun.elapsed());
    }
    assert!(held > 0, "the place went with the caller, and the thread worked on");
}

#[tokio::test]
async fn no_score_is_infinite() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 1 << 30, 2).await;
    let mut huge = document("huge", 0, "words", axis(0));
    huge.fields.insert(field("embedding"), Tensor::Vectors(Matrix::new(8, vec![1e30; 8]).unwrap()).into());
    let report = backend.put(PutRequest::new(schema_of("acme"), vec![huge])).await.unwrap();
    let refused = report.failures().next().unwrap();
    assert!(format!("{refused:?}").contains("not finite"), "{refused:?}");
    put(&backend, vec![document("v", 0, "words", [MAX_CELL; 8]), document("v", 1, "words", [-MAX_CELL; 8])]).await;
    let query = |cell: f32, rows: usize| {
        BackendQuery::new(schema_of("acme"), strategy("float_float"))
            .with_vectors(Matrix::new(8, vec![cell; 8 * rows]).unwrap())
    };
    let error = backend.search(query(f32::MAX, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    let found = backend.search(query(MAX_CELL, 1000)).await.unwrap();
    assert!(found.hits.len() == 2 && found.hits.iter().all(|hit| hit.score.is_finite()), "{found:?}");
    let error = backend.search(query(0.5, 10_000)).await.unwrap_err();
    assert!(error.to_string().contains("at most 8192"), "{error}");
}

#[tokio::test]
async fn a_dropped_store_takes_and_answers_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 1 << 30, 2).await;
    put(&backend, vec![document("v", 0, "words", axis(0))]).await;
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    let words = BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text("words");
    assert_eq!(backend.search(words).await.unwrap_err().kind(), ErrorKind::NotFound);
    let late = backend.put(PutRequest::new(schema_of("acme"), vec![document("v", 1, "late", axis(0))])).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_under_way_answers_nothing_of_a_schema_that_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open_large(folder.path()).await;
    let search = begin(&backend, heavy(1024));
    until_one_runs(&backend).await;
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    assert_eq!(search.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
}

/// Work of filters and words counts as well, and none of it is without a bound.
#[tokio::test]
async fn filters_and_words_end_with_the_time_and_are_bounded() {
    const BATCHES: u64 = 12;
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 1 << 30, 1).await;
    // So many that the scan takes most of the time: the check of so large a filter comes before it, and is not counted.
    for batch in 0..BATCHES {
        put(&backend, (0..2000).map(|n| document(&format!("v{batch}"), n, "words", axis(0))).collect()).await;
    }
    let words = || BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text("words");
    let numbers = Filter::In(field("segment_id"), (0..9000).map(|n| (n + 100_000_i64).into()).collect());
    let any = Filter::Any((0..5000).map(|n| Filter::equals(field("video_id"), format!("x{n}").as_str())).collect());
    let many: Vec<String> = (0..9000).map(|n| format!("w{n}")).collect();
    let queries = [words().with_filter(Some(numbers)), words().with_filter(Some(any))];
    for (number, query) in queries.into_iter().enumerate() {
        // One comparison can be spoilt by what else the machine does; that each of several is would be a fault.
        let mut times = Vec::new();
        let is_ended = loop {
            let begun = Instant::now();
            assert_eq!(backend.search(query.clone().with_timeout(Some(Duration::MAX))).await.unwrap().matched, 0);
            let whole = begun.elapsed();
            let begun = Instant::now();
            let error = backend.search(query.clone().with_timeout(Some(whole / 10))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "query {number}: {error:?}");
            times.push((begun.elapsed(), whole));
            if begun.elapsed() < whole * 3 / 4 || times.len() == 5 {
                break begun.elapsed() < whole * 3 / 4;
            }
        };
        assert!(is_ended, "query {number}: {times:?}");
    }
    // A list of ids is looked up at once, however long.
    let ids = (0..9000).map(|n| FieldValue::from(format!("v{n}").as_str())).collect();
    let listed =
        words().with_filter(Some(Filter::In(field("video_id"), ids))).with_timeout(Some(Duration::from_secs(5)));
    assert_eq!(backend.search(listed).await.unwrap().matched, BATCHES * 2000);
    // Many distinct words are many look-ups and not their square.
    assert_eq!(backend.search(words().with_text(many.join(" "))).await.unwrap().matched, 0);
    let error = backend.search(words().with_text("word ".repeat(20_000))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("at most 65536"), "{error}");
}

/// A search waits for its turn no longer than its caller allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_counts_the_wait_for_a_turn() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open_large(folder.path()).await;
    let long = begin(&backend, heavy(8192));
    until_one_runs(&backend).await;
    let words = BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text("words");
    let error = backend.search(words.with_timeout(Some(Duration::from_millis(30)))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(!long.is_finished(), "the wait ended with the search before it");
    long.abort();
}

/// Finite vectors and the factors of a strategy together may still leave the range of numbers: an error names the strategy.
#[tokio::test]
async fn an_infinite_score_of_a_strategy_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let backend = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
    let text = serde_json::to_string(&*schema()).unwrap();
    let steep =
        text.replacen(r#""expression":"max_sim"}"#, &format!(r#""expression":"1{} * max_sim"}}"#, "0".repeat(300)), 1);
    assert_ne!(text, steep);
    let definition = Arc::new(serde_json::from_str(&steep).unwrap());
    let deployment = SchemaDeployment { schema: schema_of("acme"), definition };
    backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    put(&backend, vec![document("v", 0, "words", [MAX_CELL; 8])]).await;
    let query = |cell: f32| BackendQuery::new(schema_of("acme"), strategy("float_float")).with_vectors(row([cell; 8]));
    let error = backend.search(query(1.0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error:?}");
    assert!(error.to_string().contains("float_float") && error.to_string().contains("lower the factors"), "{error}");
    assert_eq!(backend.search(query(0.0)).await.unwrap().hits[0].score, 0.0);
}

/// With searches one over the other somebody always reads, and SQLite by itself would never begin its log anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_bounded_while_searches_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), 0, 4).await;
    put(&backend, (0..500).map(|n| document("base", n, "words", axis(0))).collect()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let searches: Vec<_> = (0..6)
        .map(|_| {
            let (backend, stop) = (backend.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    backend.search(heavy(8192).with_timeout(Some(Duration::from_secs(60)))).await.unwrap();
                }
            })
        })
        .collect();
    let log = folder.path().join("tenants/acme/contract_video.1/documents.sqlite-wal");
    let (tag, mut largest) = (FieldValue::Strings(vec!["x".repeat(40_000)]), 0);
    for _ in 0..400 {
        let again = (0..20).map(|n| document("again", n, "words", axis(0)).with(field("tags"), tag.clone()));
        put(&backend, again.collect()).await;
        largest = largest.max(std::fs::metadata(&log).unwrap().len());
    }
    stop.store(true, Ordering::Relaxed);
    for search in searches {
        search.await.unwrap();
    }
    // Three times the bound of 64 MiB, and what one write adds, of 305 MiB written: a turn that waited in vain for a slow
    // reader is tried again one bound later, and on a machine with other work that happens twice.
    assert!(largest < 220 << 20, "the log grew to {} MiB", largest >> 20);
}
