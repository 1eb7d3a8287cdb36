//! Vectors lie in files of their own, each once: their space is given back, and what a crash leaves is told from what was stored.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Document, DocumentStore, ErrorKind, FieldValue, Matrix, SearchBackend, Tensor,
    contract::fixture::{axis, deploy, document, field, row, schema_of, strategy, tenant},
    document::Fields,
    document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const ROWS: usize = 8192;

async fn open(folder: &Path, durability: Durability) -> EmbeddedBackend {
    EmbeddedBackend::open(EmbeddedConfig::new(folder).with_durability(durability)).await.unwrap()
}

/// A document of 128 KiB of vectors.
fn large(number: i64) -> Document {
    let mut document = document("v", number, &format!("words of {number}"), axis(0));
    let cells = axis((number % 8) as usize).repeat(ROWS);
    let rows = Tensor::Vectors(Matrix::new(8, cells).unwrap());
    document.fields.insert(field("embedding"), FieldValue::Tensor(rows));
    document
}

async fn put(backend: &EmbeddedBackend, numbers: std::ops::Range<i64>) {
    let report = backend.put(PutRequest::new(schema_of("acme"), numbers.map(large).collect())).await.unwrap();
    assert_eq!(report.failures().count(), 0);
}

fn deployment(folder: &Path) -> PathBuf {
    folder.join("tenants/acme/contract_video.1")
}

/// The files of vectors by name, and their bytes in all.
fn files(folder: &Path) -> (Vec<String>, u64) {
    let found = fs::read_dir(deployment(folder)).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = found
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .filter(|(name, _)| name.starts_with("vectors."))
        .collect();
    files.sort();
    let bytes = files.iter().map(|(_, bytes)| bytes).sum();
    (files.into_iter().map(|(name, _)| name).collect(), bytes)
}

fn near(direction: usize) -> BackendQuery {
    BackendQuery::new(schema_of("acme"), strategy("float_float")).with_vectors(row(axis(direction))).with_page(0, 100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_space_of_what_is_deleted_or_replaced_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), Durability::ProcessCrash).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, 0..40).await;
    let one = files(folder.path());
    assert_eq!(one.0, ["vectors.1"]);
    let vectors = 40 * ROWS as u64 * 16;
    assert!(one.1 < vectors + vectors / 50, "each vector is stored once: {} bytes of {vectors}", one.1);
    // A snapshot reads what it began with, also after its file is gone.
    let before = backend.snapshot(&tenant("acme")).await.unwrap().unwrap();
    let all = || VisitRequest::new(schema_of("acme")).with_page_size(1000);
    let as_it_was = before.visit(all()).await.unwrap();
    for _ in 0..6 {
        put(&backend, 0..40).await;
        let (names, bytes) = files(folder.path());
        assert!(bytes < vectors * 3, "{names:?} have {bytes} bytes, for {vectors} of vectors");
    }
    let ids = (3..40).map(|number| large(number).id).collect();
    assert_eq!(backend.delete(DeleteRequest::ids(schema_of("acme"), ids)).await.unwrap(), 37);
    let (names, bytes) = files(folder.path());
    assert!(bytes < vectors / 4 && !names.contains(&"vectors.1".to_owned()), "{names:?}: {bytes}");
    assert_eq!(before.visit(all()).await.unwrap().documents, as_it_was.documents);
    drop(before);
    // What was moved is what it was, now and after a restart.
    let expected = backend.search(near(1)).await.unwrap();
    assert_eq!((expected.matched, expected.hits[0].document.id.as_str()), (3, "v/1"));
    drop(backend);
    let backend = open(folder.path(), Durability::PowerLoss).await;
    assert_eq!(backend.search(near(1)).await.unwrap(), expected);
    let verified = backend.verify(&schema_of("acme")).await.unwrap();
    assert!(verified.is_whole() && (verified.documents, verified.vectors) == (3, 6), "{verified:?}");
}

/// A change of a title moves no vector.
#[tokio::test]
async fn an_update_of_other_fields_writes_no_vector() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), Durability::ProcessCrash).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, 0..4).await;
    let (before, answer) = (files(folder.path()), backend.search(near(2)).await.unwrap());
    for round in 0..20 {
        let title = Fields::from([(field("video_title"), format!("title {round}").into())]);
        let update = DocumentUpdate::assign(large(2).id, title);
        assert_eq!(backend.update(UpdateRequest::new(schema_of("acme"), vec![update])).await.unwrap().stored(), 1);
    }
    assert_eq!(files(folder.path()), before);
    let now = backend.search(near(2)).await.unwrap();
    assert_eq!((now.hits[0].score, now.matched), (answer.hits[0].score, answer.matched));
    assert_eq!(now.hits[0].document.text("video_title"), "title 19");
    // Twice in one request, a vector of which the first change stored.
    let vectors = |direction: usize| {
        let bits = FieldValue::Tensor(Tensor::BitRows(Matrix::new(1, vec![1 << direction]).unwrap()));
        DocumentUpdate::assign(large(3).id, Fields::from([(field("embedding_binary"), bits)]))
    };
    let title = DocumentUpdate::assign(large(3).id, Fields::from([(field("video_title"), "new".into())]));
    let request = UpdateRequest::new(schema_of("acme"), vec![vectors(5), title]);
    assert_eq!(backend.update(request).await.unwrap().stored(), 2);
    let found = backend.get(GetRequest::new(schema_of("acme"), vec![large(3).id])).await.unwrap();
    let found = &found[0].as_ref().unwrap().document;
    assert_eq!(found.get("embedding_binary"), vectors(5).assign.values().next());
}

/// Documents that lie in block files already are lost with their vectors all the same, and only those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_does_not_outlive_the_vectors_of_its_documents() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash).with_block_documents(2);
    {
        let backend = EmbeddedBackend::open(config.clone()).await.unwrap();
        deploy(&backend, &["acme"]).await;
        put(&backend, 0..4).await;
        let has_block = || {
            let mut found = fs::read_dir(deployment(folder.path())).unwrap().map(|entry| entry.unwrap().file_name());
            found.any(|name| name.to_string_lossy().starts_with("block."))
        };
        while !has_block() {
            tokio::task::yield_now().await;
        }
    }
    let path = deployment(folder.path()).join("vectors.1");
    fs::File::options().write(true).open(&path).unwrap().set_len(256 << 10).unwrap();
    let backend = EmbeddedBackend::open(config).await.unwrap();
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap(), 1);
    assert_eq!(backend.search(near(0)).await.unwrap().matched, 1);
    let visited = backend.visit(VisitRequest::new(schema_of("acme"))).await.unwrap();
    assert_eq!(visited.documents.len(), 1);
    put(&backend, 8..9).await;
}

/// After a loss of power the end of a file may be missing. Where that was allowed, the documents of which the vectors are lost
/// are gone, and the others are there; where it was not, it is damage.
#[tokio::test]
async fn vectors_that_were_lost_with_the_power_take_their_documents_with_them() {
    for (durability, whole) in [(Durability::ProcessCrash, true), (Durability::PowerLoss, false)] {
        for keep in [0, 40, 256 << 10] {
            let folder = tempfile::tempdir().unwrap();
            {
                let backend = open(folder.path(), durability).await;
                deploy(&backend, &["acme"]).await;
                put(&backend, 0..4).await;
            }
            let path = deployment(folder.path()).join("vectors.1");
            match keep {
                0 => fs::remove_file(&path).unwrap(),
                _ => fs::File::options().write(true).open(&path).unwrap().set_len(keep).unwrap(),
            }
            for _ in 0..2 {
                let backend = open(folder.path(), Durability::PowerLoss).await;
                let count = backend.count(&schema_of("acme"), None).await;
                if !whole {
                    assert_eq!(count.unwrap_err().kind(), ErrorKind::Corrupt);
                    continue;
                }
                let left = if keep > 100 { 1 } else { 0 };
                assert_eq!(count.unwrap(), left, "{keep} bytes");
                assert_eq!(backend.search(near(0)).await.unwrap().matched, left);
                assert!(backend.verify(&schema_of("acme")).await.unwrap().is_whole());
                put(&backend, 8..9).await;
                assert_eq!(backend.search(near(0)).await.unwrap().matched, left + 1);
                assert_eq!(backend.delete(DeleteRequest::ids(schema_of("acme"), vec![large(8).id])).await.unwrap(), 1);
            }
        }
    }
}
