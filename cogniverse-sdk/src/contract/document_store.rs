//! The contract suite of [`crate::DocumentStore`], for a backend that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, fixture};
use crate::{
    Document, ErrorKind, FieldValue, Filter, OutcomeStatus, SearchBackend, Sort, Tensor,
    document::Fields,
    document_store::{DeleteRequest, DocumentUpdate, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitRequest},
    filter::{Number, Range},
};
use std::collections::BTreeSet;

async fn fill(backend: &dyn SearchBackend, tenant: &str, count: i64) {
    fixture::deploy(backend, &[tenant]).await;
    let documents = (0..count)
        .map(|n| fixture::document(&format!("v{}", n % 3), n, &format!("word{n} common"), fixture::axis(0)))
        .collect();
    let report = backend.put(PutRequest::new(fixture::schema_of(tenant), documents)).await.expect("put");
    assert_eq!(report.stored() as i64, count, "{report:?}");
}

async fn get_one(backend: &dyn SearchBackend, tenant: &str, id: &str) -> Option<Document> {
    let request = GetRequest::new(fixture::schema_of(tenant), vec![fixture::id(id)]);
    backend.get(request).await.expect("get").into_iter().next().flatten().map(|found| found.document)
}

/// A stored document reads back unchanged, tensors included; putting it again replaces it.
pub async fn put_get_replace(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let document = fixture::document("v", 1, "quo\"te ' ; -- \u{1F600} \\", fixture::axis(2))
        .with(fixture::field("tags"), FieldValue::Strings(vec!["a".into(), "b c".into()]));
    let schema = fixture::schema_of("acme");
    backend.put(PutRequest::new(schema.clone(), vec![document.clone()])).await.expect("put");
    assert_eq!(get_one(backend, "acme", "v/1").await.as_ref(), Some(&document));
    let mut other = fixture::document("v", 1, "changed", fixture::axis(3));
    other.fields.remove(&fixture::field("embedding"));
    backend.put(PutRequest::new(schema.clone(), vec![other.clone()])).await.expect("put");
    assert_eq!(get_one(backend, "acme", "v/1").await.as_ref(), Some(&other));
    assert_eq!(backend.count(&schema, None).await.expect("count"), 1);
    let bare = backend
        .get(GetRequest::new(schema, vec![fixture::id("v/1"), fixture::id("v/2")]).without_vectors())
        .await
        .expect("get");
    assert!(bare.iter().flatten().all(|d| d.fields.values().all(|value| !matches!(value, FieldValue::Tensor(_)))));
    assert_eq!(bare.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false], "one entry per id, in order");
    Outcome::Ran
}

/// Bad documents are refused one by one with the reason, and the good ones among them are stored ([invariants 12](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#12) and [17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
pub async fn invariant_12_each_document_is_reported(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let good = fixture::document("v", 0, "fine", fixture::axis(0));
    let nan = fixture::document("v", 1, "nan", [f32::NAN; 8]);
    let infinite = fixture::document("v", 2, "infinite", [f32::INFINITY; 8]);
    let mut wide = fixture::document("v", 3, "wide", fixture::axis(0));
    let tensor = Tensor::Vectors(crate::Matrix::new(4, vec![0.0; 8]).expect("two rows"));
    wide.fields.insert(fixture::field("embedding"), tensor.into());
    let unknown = fixture::document("v", 4, "unknown", fixture::axis(0)).with(fixture::field("no_such_field"), "x");
    let kind = fixture::document("v", 5, "kind", fixture::axis(0)).with(fixture::field("segment_id"), "five");
    let range = fixture::document("v", 6, "range", fixture::axis(0)).with(fixture::field("segment_id"), i64::MAX);
    let last = fixture::document("v", 7, "fine", fixture::axis(0));
    let documents = vec![good, nan, infinite, wide, unknown, kind, range, last];
    let report = backend.put(PutRequest::new(fixture::schema_of("acme"), documents)).await.expect("put");
    let stored: Vec<bool> = report.outcomes.iter().map(|outcome| outcome.status == OutcomeStatus::Stored).collect();
    assert_eq!(stored, [true, false, false, false, false, false, false, true]);
    for outcome in report.failures() {
        assert_eq!(outcome.status, OutcomeStatus::Refused);
        assert!(outcome.error.is_some());
    }
    let text = format!("{report:?}");
    for part in ["NaN", "no_such_field", "segment_id", "8"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(backend.count(&fixture::schema_of("acme"), None).await.expect("count"), 2);
    Outcome::Ran
}

/// A partial update keeps the other fields and tensors, and does not create a document.
pub async fn update_keeps_the_rest(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let document = fixture::document("v", 0, "before", fixture::axis(1));
    let schema = fixture::schema_of("acme");
    backend.put(PutRequest::new(schema.clone(), vec![document.clone()])).await.expect("put");
    let assign = Fields::from([(fixture::field("audio_transcript"), FieldValue::from("after"))]);
    let update =
        DocumentUpdate::assign(fixture::id("v/0"), assign.clone()).with_clear(vec![fixture::field("segment_id")]);
    let missing = DocumentUpdate::assign(fixture::id("v/9"), assign.clone());
    let wrong =
        DocumentUpdate::assign(fixture::id("v/0"), Fields::from([(fixture::field("nope"), FieldValue::from("x"))]));
    let report =
        backend.update(UpdateRequest::new(schema.clone(), vec![update, missing, wrong])).await.expect("update");
    assert_eq!(report.stored(), 1, "{report:?}");
    let mut expected = document;
    expected.fields.extend(assign);
    expected.fields.remove(&fixture::field("segment_id"));
    assert_eq!(get_one(backend, "acme", "v/0").await, Some(expected));
    assert_eq!(get_one(backend, "acme", "v/9").await, None);
    Outcome::Ran
}

/// Deletes by id and by filter affect one tenant only, and counts are exact.
pub async fn delete_and_count(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", 30).await;
    fill(backend, "globex", 30).await;
    let schema = fixture::schema_of("acme");
    let of_video = Filter::equals(fixture::field("video_id"), "v1");
    assert_eq!(backend.count(&schema, Some(&of_video)).await.expect("count"), 10);
    assert_eq!(backend.delete(DeleteRequest::matching(schema.clone(), of_video.clone())).await.expect("delete"), 10);
    assert_eq!(backend.count(&schema, Some(&of_video)).await.expect("count"), 0);
    let ids = vec![fixture::id("v0/0"), fixture::id("v0/0"), fixture::id("no/such")];
    assert_eq!(backend.delete(DeleteRequest::ids(schema.clone(), ids)).await.expect("delete"), 1);
    assert_eq!(backend.count(&schema, None).await.expect("count"), 19);
    assert_eq!(backend.count(&fixture::schema_of("globex"), None).await.expect("count"), 30);
    Outcome::Ran
}

/// Filters on every kind of attribute, combined with every connective, select exactly the matching documents.
pub async fn filters_mean_what_they_say(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", 30).await;
    let schema = fixture::schema_of("acme");
    let tagged = fixture::document("v0", 30, "tagged", fixture::axis(0))
        .with(fixture::field("tags"), FieldValue::Strings(vec!["x".into(), "y".into()]));
    backend.put(PutRequest::new(schema.clone(), vec![tagged])).await.expect("put");
    let f = fixture::field;
    let between = |name: &str, from: i64, to: i64| Filter::between(f(name), Number::Integer(from), Number::Integer(to));
    let range = |name: &str, range: Range| Filter::Range(f(name), range);
    let seven = || Some(Number::Integer(7));
    let table: Vec<(Filter, u64)> = vec![
        (range("segment_id", Range { gt: seven(), ..Range::default() }), 23),
        (range("segment_id", Range { gte: seven(), ..Range::default() }), 24),
        (range("segment_id", Range { lt: seven(), ..Range::default() }), 7),
        (range("segment_id", Range { lte: seven(), ..Range::default() }), 8),
        (range("start_time", Range { gt: Some(Number::Integer(70)), ..Range::default() }), 23),
        (range("start_time", Range { lte: Some(Number::Integer(70)), ..Range::default() }), 8),
        (range("segment_id", Range { gt: seven(), lt: Some(Number::Integer(8)), ..Range::default() }), 0),
        (range("segment_id", Range { gte: seven(), lte: seven(), ..Range::default() }), 1),
        (Filter::equals(f("segment_id"), 7), 1),
        (Filter::equals(f("segment_id"), 7.0), 1),
        (Filter::equals(f("start_time"), 70), 1),
        (Filter::equals(f("video_id"), "v1").negate(), 21),
        (Filter::In(f("video_id"), vec!["v0".into(), "v2".into(), "v' OR 1=1".into()]), 21),
        (Filter::In(f("video_id"), vec![]), 0),
        (between("start_time", 100, 200), 10),
        (between("segment_id", 5, 5), 0),
        (Filter::equals(f("tags"), "y"), 1),
        (Filter::equals(f("tags"), "x y"), 0),
        (Filter::All(vec![]), 31),
        (Filter::Any(vec![]), 0),
        (Filter::Any(vec![between("segment_id", 0, 2), between("segment_id", 28, 99)]), 5),
        (Filter::equals(f("video_id"), "v0").and(between("segment_id", 0, 10)), 4),
    ];
    for (filter, expected) in table {
        assert_eq!(backend.count(&schema, Some(&filter)).await.expect("count"), expected, "{filter:?}");
    }
    for wrong in [
        Filter::equals(f("nope"), "x"),
        Filter::equals(f("audio_transcript"), "not an attribute"),
        Filter::equals(f("segment_id"), "seven"),
        Filter::equals(f("start_time"), f64::NAN),
    ] {
        let error = backend.count(&schema, Some(&wrong)).await.expect_err("refused");
        assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound), "{error:?}");
    }
    Outcome::Ran
}

/// Following every continuation gives each document once, whatever the size of the page.
pub async fn visit_is_complete(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", 57).await;
    fill(backend, "globex", 3).await;
    for page_size in [1, 10, 57, 1000] {
        let mut request = VisitRequest::new(fixture::schema_of("acme")).with_page_size(page_size).without_vectors();
        let (mut seen, mut total) = (BTreeSet::new(), 0);
        loop {
            let page = backend.visit(request.clone()).await.expect("visit");
            assert!(page.documents.len() <= page_size);
            total += page.documents.len();
            seen.extend(page.documents.iter().map(|document| document.id.clone()));
            if page.continuation.is_none() {
                break;
            }
            request = request.with_continuation(page.continuation);
        }
        assert_eq!((seen.len(), total), (57, 57), "page size {page_size}");
    }
    let filtered =
        VisitRequest::new(fixture::schema_of("acme")).with_filter(Filter::equals(fixture::field("video_id"), "v1"));
    assert_eq!(backend.visit(filtered).await.expect("visit").documents.len(), 19);
    for bad in [0, 1_000_000] {
        let request = VisitRequest::new(fixture::schema_of("acme")).with_page_size(bad);
        assert_eq!(backend.visit(request).await.expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
    Outcome::Ran
}

/// A listing gives documents in the order of a field, those without it last, each once, whatever the size of the page.
pub async fn list_is_in_order(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", 57).await;
    fill(backend, "globex", 3).await;
    let schema = fixture::schema_of("acme");
    let bare = (0..3).map(|n| {
        let mut document = fixture::document("bare", 100 + n, "without", fixture::axis(0));
        document.fields.remove(&fixture::field("video_id"));
        document
    });
    backend.put(PutRequest::new(schema.clone(), bare.collect())).await.expect("put");
    for (sort, last) in [
        (Sort::ascending(fixture::field("video_id")), 3),
        (Sort::descending(fixture::field("video_id")), 3),
        (Sort::descending(fixture::field("start_time")), 0),
    ] {
        let mut orders = Vec::new();
        for page_size in [1, 10, 60, 1000] {
            let mut request = ListRequest::new(schema.clone(), sort.clone()).with_page_size(page_size);
            let mut found: Vec<Document> = Vec::new();
            loop {
                let page = backend.list(request.clone()).await.expect("list");
                assert!(page.documents.len() <= page_size && page.documents.iter().all(|found| found.schema == schema));
                found.extend(page.documents.into_iter().map(|found| found.document));
                if page.continuation.is_none() {
                    break;
                }
                request = request.with_continuation(page.continuation);
            }
            assert_eq!(found.len(), 60, "{sort:?}, page size {page_size}");
            let tensors = found.iter().flat_map(|document| document.fields.values());
            assert!(!tensors.into_iter().any(|value| matches!(value, FieldValue::Tensor(_))));
            let values: Vec<Option<String>> = found
                .iter()
                .map(|document| match document.get(sort.field.as_str())? {
                    FieldValue::Float(seconds) => Some(format!("{seconds:09.1}")),
                    value => value.as_str().map(str::to_owned),
                })
                .collect();
            let (with, without) = values.split_at(60 - last);
            assert!(without.iter().all(Option::is_none) && with.iter().all(Option::is_some), "{values:?}");
            assert!(with.is_sorted_by(|a, b| if sort.descending { a >= b } else { a <= b }), "{values:?}");
            orders.push(found.into_iter().map(|document| document.id).collect::<Vec<_>>());
        }
        assert!(orders.windows(2).all(|pair| pair.first() == pair.last()), "{sort:?}: equal ones keep their order");
        assert_eq!(orders.first().map(|ids| ids.iter().collect::<BTreeSet<_>>().len()), Some(60));
    }
    let by_video = || ListRequest::new(schema.clone(), Sort::ascending(fixture::field("video_id")));
    let filter = Filter::equals(fixture::field("video_id"), "v1");
    let filtered = backend.list(by_video().with_filter(Some(filter))).await.expect("list");
    assert_eq!((filtered.documents.len(), filtered.continuation), (19, None));
    for wrong in [
        by_video().with_page_size(0),
        by_video().with_page_size(1_001),
        ListRequest::new(schema.clone(), Sort::ascending(fixture::field("tags"))),
        ListRequest::new(schema.clone(), Sort::ascending(fixture::field("nope"))),
        by_video().with_filter(Some(Filter::equals(fixture::field("nope"), 1))),
    ] {
        assert_eq!(
            backend.list(wrong.clone()).await.expect_err("refused").kind(),
            ErrorKind::InvalidInput,
            "{wrong:?}"
        );
    }
    let first = backend.list(by_video().with_page_size(5)).await.expect("list");
    assert!(first.continuation.is_some());
    let stolen = ListRequest::new(fixture::schema_of("globex"), by_video().sort);
    let other = ListRequest::new(schema.clone(), Sort::descending(fixture::field("video_id")));
    for request in [stolen, other] {
        let request = request.with_continuation(first.continuation.clone());
        assert_eq!(backend.list(request).await.expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
    let nobody = ListRequest::new(fixture::schema_of("nobody"), by_video().sort);
    assert_eq!(backend.list(nobody).await.expect_err("refused").kind(), ErrorKind::NotFound);
    Outcome::Ran
}

/// A continuation of one tenant's visit is refused for another's ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)).
pub async fn invariant_08_continuations_stay_with_their_tenant(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", 5).await;
    fill(backend, "globex", 5).await;
    let page = backend.visit(VisitRequest::new(fixture::schema_of("acme")).with_page_size(2)).await.expect("visit");
    assert!(page.continuation.is_some());
    let stolen = VisitRequest::new(fixture::schema_of("globex")).with_page_size(2).with_continuation(page.continuation);
    assert_eq!(backend.visit(stolen).await.expect_err("refused").kind(), ErrorKind::InvalidInput);
    Outcome::Ran
}

/// The same ids in two tenants are two documents ([invariant 6](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#6)).
pub async fn invariant_06_ids_alone_reach_nothing(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme", "globex"]).await;
    for (tenant, text) in [("acme", "ours"), ("globex", "theirs")] {
        let put = PutRequest::new(fixture::schema_of(tenant), vec![fixture::document("v", 0, text, fixture::axis(0))]);
        backend.put(put).await.expect("put");
    }
    backend.delete(DeleteRequest::ids(fixture::schema_of("acme"), vec![fixture::id("v/0")])).await.expect("delete");
    assert_eq!(get_one(backend, "acme", "v/0").await, None);
    let theirs = get_one(backend, "globex", "v/0").await.expect("another tenant's document stays");
    assert_eq!(theirs.text("audio_transcript"), "theirs");
    Outcome::Ran
}

/// A schema that is not deployed is an error for every call, with those that are ([invariants 1](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#1) and [16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16)).
pub async fn invariant_16_an_unknown_schema_is_an_error(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let other = fixture::schema_of("nobody");
    let put = backend.put(PutRequest::new(other.clone(), vec![fixture::document("v", 0, "x", fixture::axis(0))])).await;
    assert_eq!(put.expect_err("refused").kind(), ErrorKind::NotFound);
    assert_eq!(backend.count(&other, None).await.expect_err("refused").kind(), ErrorKind::NotFound);
    assert_eq!(backend.visit(VisitRequest::new(other.clone())).await.expect_err("refused").kind(), ErrorKind::NotFound);
    let get = backend.get(GetRequest::new(other, vec![fixture::id("v/0")])).await;
    assert_eq!(get.expect_err("refused").kind(), ErrorKind::NotFound);
    Outcome::Ran
}

/// Expands to one test per case, on a backend that `make` opens for each.
#[macro_export]
macro_rules! document_store_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?] $(, attributes: $attributes:tt)?) => {
        $crate::contract_cases! {
            document_store, $make, [$($skip),*] $(, $attributes)?;
            put_get_replace, invariant_12_each_document_is_reported, update_keeps_the_rest, delete_and_count,
            filters_mean_what_they_say, visit_is_complete, list_is_in_order, invariant_08_continuations_stay_with_their_tenant,
            invariant_06_ids_alone_reach_nothing, invariant_16_an_unknown_schema_is_an_error
        }
    };
}
