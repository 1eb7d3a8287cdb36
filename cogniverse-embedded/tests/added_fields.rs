//! Fields that a later deployment adds: documents that were stored before are without them, and all else is as it was.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendHits, BackendQuery, BaseSchema, Document, DocumentStore, FacetCount, FacetRequest, FieldValue, Filter,
    SchemaStore, SearchBackend, Sort,
    contract::fixture::{axis, document, field, schema, schema_of, strategy},
    document_store::{ListRequest, PutRequest},
    schema_store::{DeployReport, DeployRequest, SchemaAction, SchemaDeployment},
};
use std::{path::Path, sync::Arc};

const BEFORE: i64 = 300;
const AFTER: i64 = 360;

async fn open(folder: &Path) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash).with_block_documents(64);
    EmbeddedBackend::open(config).await.unwrap()
}

async fn deploy(backend: &EmbeddedBackend, definition: BaseSchema) -> DeployReport {
    let deployment = SchemaDeployment { schema: schema_of("acme"), definition: Arc::new(definition) };
    backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap()
}

/// The suite's schema without two attributes, a list and a text.
fn earlier() -> BaseSchema {
    let mut base = (*schema()).clone();
    let added = ["views", "is_public", "tags", "video_title"];
    base.document.fields.retain(|field| !added.contains(&field.name.as_str()));
    base.fieldsets[0].fields.retain(|field| field.as_str() != "video_title");
    base.rank_profiles.retain(|profile| profile.name.as_str() == "bm25_only");
    base.rank_profiles[0].first_phase.expression = "bm25(audio_transcript)".to_owned();
    base
}

fn segment(number: i64) -> Document {
    let document = document(&format!("v{}", number % 7), number, "common words", axis((number % 8) as usize));
    if number < BEFORE {
        return document;
    }
    document
        .with(field("views"), number % 5)
        .with(field("is_public"), number % 2 == 0)
        .with(field("tags"), vec!["new".to_owned(), format!("t{}", number % 3)])
        .with(field("video_title"), if number % 3 == 0 { "sailing boats" } else { "harbours" })
}

async fn put(backend: &EmbeddedBackend, numbers: std::ops::Range<i64>) {
    for first in numbers.clone().step_by(40) {
        let batch = (first..(first + 40).min(numbers.end)).map(segment).collect();
        assert_eq!(backend.put(PutRequest::new(schema_of("acme"), batch)).await.unwrap().failures().count(), 0);
    }
}

fn query(text: &str) -> BackendQuery {
    BackendQuery::new(schema_of("acme"), strategy("bm25_only")).with_text(text).with_page(0, 1_000)
}

fn segments(hits: &BackendHits) -> Vec<i64> {
    hits.hits.iter().map(|hit| hit.document.get("segment_id").and_then(FieldValue::as_i64).unwrap()).collect()
}

/// Everything that the new fields are for.
async fn check(backend: &EmbeddedBackend) {
    let new = (AFTER - BEFORE) as u64;
    let count = async |filter: Filter| backend.count(&schema_of("acme"), Some(&filter)).await.unwrap();
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap(), AFTER as u64);
    assert_eq!(count(Filter::equals(field("views"), 3)).await, new / 5);
    assert_eq!(count(Filter::equals(field("is_public"), true)).await, new / 2);
    assert_eq!(count(Filter::equals(field("is_public"), false)).await, new / 2, "none is not false");
    assert_eq!(count(Filter::equals(field("tags"), "new")).await, new);
    assert_eq!(count(Filter::equals(field("tags"), "new").negate()).await, BEFORE as u64);
    let sorted = backend.search(query("common").with_sort(Some(Sort::descending(field("views"))))).await.unwrap();
    let found = segments(&sorted);
    assert_eq!((sorted.matched, found.len()), (AFTER as u64, AFTER as usize));
    assert!(found[..new as usize].iter().all(|number| *number >= BEFORE), "those without the field are last");
    assert!(found[..new as usize].is_sorted_by(|a, b| a % 5 >= b % 5));
    let facets = ["views", "is_public", "tags"].map(|name| FacetRequest::new(field(name), 2)).to_vec();
    let counted = backend.search(query("common").with_facets(facets)).await.unwrap().facets;
    let value = |value: FieldValue, count| FacetCount::new(value, count);
    assert_eq!(counted[0].values, [value(0.into(), new / 5), value(1.into(), new / 5)]);
    assert_eq!((counted[0].others, counted[1].others), (AFTER as u64 - new / 5 * 2, BEFORE as u64));
    assert_eq!(counted[1].values, [value(false.into(), new / 2), value(true.into(), new / 2)]);
    assert_eq!(counted[2].values, [value("new".into(), new), value("t0".into(), new / 3)]);
    // Words of a new text, alone and beside those that were there.
    assert_eq!(backend.search(query("sail")).await.unwrap().matched, new / 3);
    assert_eq!(backend.search(query("harbour common")).await.unwrap().matched, AFTER as u64);
    let best = backend.search(query("sail common").with_page(0, 5)).await.unwrap();
    assert!(segments(&best).iter().all(|number| *number >= BEFORE && number % 3 == 0));
    let page = backend.list(ListRequest::new(schema_of("acme"), Sort::ascending(field("views")))).await.unwrap();
    assert!(page.documents.len() == 100 && page.continuation.is_some());
    let first = page.documents.first().and_then(|found| found.document.get("views").cloned());
    let last = page.documents.last().and_then(|found| found.document.get("views").cloned());
    assert_eq!((first, last), (Some(0.into()), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_without_a_new_field_stay_and_are_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, earlier()).await;
    put(&backend, 0..BEFORE).await;
    assert_eq!(backend.search(query("common")).await.unwrap().matched, BEFORE as u64);
    // The store is open, and has block files of the earlier fields.
    let report = deploy(&backend, (*schema()).clone()).await;
    assert!(matches!(report.schemas[0].1, SchemaAction::Changed { .. }), "{report:?}");
    assert_eq!(backend.search(query("common")).await.unwrap().matched, BEFORE as u64);
    put(&backend, BEFORE..AFTER).await;
    check(&backend).await;
    drop(backend);
    let backend = open(folder.path()).await;
    check(&backend).await;
}

/// The same where the process ends between the deployment and the next opening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_may_be_added_to_a_store_that_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, earlier()).await;
    put(&backend, 0..BEFORE).await;
    drop(backend);
    let backend = open(folder.path()).await;
    deploy(&backend, (*schema()).clone()).await;
    drop(backend);
    let backend = open(folder.path()).await;
    put(&backend, BEFORE..AFTER).await;
    check(&backend).await;
}
