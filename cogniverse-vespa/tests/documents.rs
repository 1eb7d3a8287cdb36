//! Feeding, reading and visiting while things go wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse_sdk::{
    DocumentId, DocumentStore, ErrorKind, FieldValue, Filter, OutcomeStatus, Sort,
    contract::fixture,
    document::Fields,
    document_store::{DeleteRequest, DocumentUpdate, GetRequest, ListRequest, PutRequest, VisitRequest},
};
use cogniverse_vespa::{Condition, FeedOperation, VespaBackend, VespaConfig};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use vespa_testkit::{Fault, Route, TestServerOptions};
use world::{deploy, documents, fill, world, world_with};

/// Push-back is met by patience, and 503 and broken connections by trying again: everything is stored in the end.
#[tokio::test]
async fn invariant_12_push_back_and_breaks_lose_nothing() {
    let (backend, server) = world().await;
    deploy(&backend, &["acme"]).await.unwrap();
    for fault in [Fault::Status(429), Fault::Status(503), Fault::EmptyStatus(503), Fault::LostAnswer, Fault::Reset] {
        let order = server.faults().next(Route::Documents, 12, fault.clone());
        let put = PutRequest::new(fixture::schema_of("acme"), documents(40));
        let report = backend.put(put).await.unwrap();
        assert_eq!(report.stored(), 40, "{fault:?}: {report:?}");
        assert_eq!(server.faults().left(order), Some(0), "{fault:?}");
    }
    assert_eq!(backend.count(&fixture::schema_of("acme"), None).await.unwrap(), 40);
}

/// What Vespa will not take is refused with the reason and the remedy; what may have happened is unknown.
#[tokio::test]
async fn invariant_12_each_failure_is_told_apart() {
    let (backend, server) = world().await;
    deploy(&backend, &["acme"]).await.unwrap();
    for (fault, status, kind, words) in [
        (Fault::Status(507), OutcomeStatus::Refused, ErrorKind::RateLimited, "feed blocked"),
        (Fault::Status(413), OutcomeStatus::Refused, ErrorKind::InvalidInput, "100 MiB"),
        (Fault::Status(400), OutcomeStatus::Refused, ErrorKind::InvalidInput, "refused"),
        (Fault::Status(504), OutcomeStatus::Unknown, ErrorKind::Timeout, "too long"),
        (Fault::Status(500), OutcomeStatus::Unknown, ErrorKind::Unavailable, "failed"),
        (Fault::IgnoredFields, OutcomeStatus::Refused, ErrorKind::FailedPrecondition, "without fields"),
    ] {
        let order = server.faults().always(Route::Documents, fault.clone());
        let report = backend.put(PutRequest::new(fixture::schema_of("acme"), documents(3))).await.unwrap();
        server.faults().remove(order);
        assert_eq!(report.outcomes.len(), 3);
        for outcome in report.outcomes {
            let error = outcome.error.unwrap();
            assert_eq!((outcome.status, error.kind()), (status, kind), "{fault:?}: {error:?}");
            assert!(error.to_string().contains(words), "{fault:?}: {error}");
        }
    }
}

/// Who stores one document does not wait for ever; a feed does, and what was refused is not stored.
#[tokio::test]
async fn an_overloaded_vespa_refuses_a_put_after_a_time() {
    let (_, server) = world().await;
    let config = VespaConfig::new(server.url(), server.config_url()).with_overload_patience(Duration::from_millis(300));
    let backend = VespaBackend::new(config).unwrap();
    deploy(&backend, &["acme"]).await.unwrap();
    let schema = fixture::schema_of("acme");
    let document = || fixture::document("v", 1, "words", fixture::axis(0));
    server.faults().always(Route::Documents, Fault::Status(429));
    let put = backend.put(PutRequest::new(schema.clone(), vec![document()]));
    let report = tokio::time::timeout(Duration::from_secs(20), put).await.unwrap().unwrap();
    let error = report.outcomes[0].error.as_ref().unwrap();
    assert_eq!((report.outcomes[0].status, error.kind()), (OutcomeStatus::Refused, ErrorKind::RateLimited));
    assert!(error.is_retryable() && error.to_string().contains("v/1"), "{error}");
    let mut feed = backend.feed(&schema, stream::iter([FeedOperation::put(document())])).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(2), feed.next()).await.is_err(), "it waits");
    server.faults().clear();
    assert_eq!(feed.next().await.unwrap().status, OutcomeStatus::Stored);
}

/// What Vespa refuses a whole document for is refused before, with the character and its place, and by the testkit's server too.
#[tokio::test]
async fn characters_that_no_document_may_have_are_refused_by_name() {
    let (backend, server) = world().await;
    deploy(&backend, &["acme"]).await.unwrap();
    let schema = fixture::schema_of("acme");
    for (text, name) in [
        ("a\u{1b}[0m", "U+001B at byte 1"),
        ("\0", "U+0000"),
        ("é\u{fdd0}", "U+FDD0 at byte 2"),
        ("\u{1ffff}", "U+1FFFF"),
    ] {
        let report = backend
            .put(PutRequest::new(schema.clone(), vec![fixture::document("v", 1, text, fixture::axis(0))]))
            .await
            .unwrap();
        let error = report.outcomes[0].error.as_ref().unwrap();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(name), "{error}");
        // As another client would send it.
        let url = format!("{}/document/v1/cogniverse/{}/docid/v1", server.url(), schema.physical_name());
        let body = serde_json::json!({"fields": {"audio_transcript": text}});
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{text:?}");
    }
    for text in ["tab\tand\r\nlines", "\u{7f}\u{85}", "\u{fffd} \u{10fffd} 🙂"] {
        let report = backend
            .put(PutRequest::new(schema.clone(), vec![fixture::document("v", 1, text, fixture::axis(0))]))
            .await
            .unwrap();
        assert_eq!(report.stored(), 1, "{text:?}: {report:?}");
    }
}

/// A thousand updates of ten documents at once: each document ends as its last operation says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_on_one_document_keep_their_order() {
    let (backend, server) = world().await;
    fill(&backend, "acme", 10).await;
    server.faults().next(Route::Documents, 40, Fault::Status(429));
    let operation = |n: i64| {
        let id = fixture::id(&format!("v/{}", n % 10));
        let assign = Fields::from([(fixture::field("segment_id"), FieldValue::from(n))]);
        FeedOperation::update(DocumentUpdate::assign(id, assign))
    };
    let feed = backend.feed(&fixture::schema_of("acme"), stream::iter((0..1000).map(operation))).await.unwrap();
    let outcomes: Vec<_> = feed.collect().await;
    assert_eq!(outcomes.len(), 1000);
    assert!(outcomes.iter().all(|outcome| outcome.status == OutcomeStatus::Stored));
    let ids: Vec<DocumentId> = (0..10).map(|n| fixture::id(&format!("v/{n}"))).collect();
    let found = backend.get(GetRequest::new(fixture::schema_of("acme"), ids)).await.unwrap();
    for (document, n) in found.into_iter().flatten().zip(990..) {
        assert_eq!(document.fields[&fixture::field("segment_id")], FieldValue::from(n));
    }
}

/// A refusal waits behind operations on the same document, so that each outcome is that of its own operation.
#[tokio::test]
async fn invariant_12_a_refusal_does_not_overtake() {
    let (backend, server) = world().await;
    deploy(&backend, &["acme"]).await.unwrap();
    server.faults().always(Route::Documents, Fault::Slow(std::time::Duration::from_millis(30)));
    let good = fixture::document("v", 1, "good", fixture::axis(0));
    let bad = fixture::document("v", 1, "bad", [f32::NAN; 8]);
    let last = fixture::document("v", 1, "last", fixture::axis(0));
    let report = backend.put(PutRequest::new(fixture::schema_of("acme"), vec![good, bad, last])).await.unwrap();
    let statuses: Vec<OutcomeStatus> = report.outcomes.iter().map(|outcome| outcome.status).collect();
    assert_eq!(statuses, [OutcomeStatus::Stored, OutcomeStatus::Refused, OutcomeStatus::Stored]);
}

/// The answer of a conditional write is lost, and the second try meets the first: what became of it is not known, and not
/// "another writer won".
#[tokio::test]
async fn invariant_12_a_lost_answer_of_a_conditional_write_is_unknown() {
    let (backend, server) = world().await;
    deploy(&backend, &["acme"]).await.unwrap();
    let schema = fixture::schema_of("acme");
    server.faults().next(Route::Documents, 1, Fault::LostAnswer);
    let put = FeedOperation::put(fixture::document("v", 0, "mine", fixture::axis(0))).when(Condition::Absent);
    let outcomes: Vec<_> = backend.feed(&schema, stream::iter([put.clone()])).await.unwrap().collect().await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Unknown, "{outcomes:?}");
    let outcomes: Vec<_> = backend.feed(&schema, stream::iter([put])).await.unwrap().collect().await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Refused, "{outcomes:?}");
    server.faults().next(Route::Documents, 1, Fault::LostAnswer);
    assert!(
        backend.delete(DeleteRequest::ids(schema, vec![fixture::id("v/0")])).await.is_err(),
        "how many is not known"
    );
}

/// Conditions are decided with the write, in Vespa.
#[tokio::test]
async fn conditions_decide_with_the_write() {
    let (backend, _server) = world().await;
    fill(&backend, "acme", 1).await;
    let schema = fixture::schema_of("acme");
    let put = |n: i64| FeedOperation::put(fixture::document("v", n, "again", fixture::axis(0)));
    let matches = |n: i64| Condition::Matches(Filter::equals(fixture::field("segment_id"), n));
    let table = [
        (put(0).when(Condition::Absent), false),
        (put(1).when(Condition::Absent), true),
        (put(1).when(Condition::Present), true),
        (put(2).when(Condition::Present), false),
        (put(0).when(matches(0)), true),
        (put(0).when(matches(7)), false),
        (FeedOperation::remove(fixture::id("v/1")).when(matches(7)), false),
        (FeedOperation::remove(fixture::id("v/1")).when(matches(1)), true),
    ];
    for (number, (operation, stored)) in table.into_iter().enumerate() {
        let feed = backend.feed(&schema, stream::iter([operation])).await.unwrap();
        let outcomes: Vec<_> = feed.collect().await;
        assert_eq!(outcomes[0].status == OutcomeStatus::Stored, stored, "case {number}: {outcomes:?}");
    }
    assert_eq!(backend.count(&schema, None).await.unwrap(), 1);
}

/// Ids hold any text, and each is one document; those that no path can name are refused.
#[tokio::test]
async fn invariant_06_any_document_id_is_its_own_document() {
    let (backend, _server) = world().await;
    deploy(&backend, &["acme", "globex"]).await.unwrap();
    let schema = fixture::schema_of("acme");
    let ids = [
        "v/1",
        "v%2F1",
        "v%252F1",
        "ü",
        "u\u{308}",
        "日本語/🎬",
        "a b",
        "a+b",
        "a?b#c&d=e",
        "../../globex/docid/x",
        "a:b::c",
        "'",
        "\"",
        "id:cogniverse:contract_video_globex::x",
        "...",
        "a//b",
        "/a",
        "a/",
    ];
    let document = |id: &str| {
        let mut document = fixture::document("v", 1, id, fixture::axis(0));
        document.id = fixture::id(id);
        document
    };
    let report =
        backend.put(PutRequest::new(schema.clone(), ids.iter().map(|id| document(id)).collect())).await.unwrap();
    assert_eq!(report.stored(), ids.len(), "{report:?}");
    let found =
        backend.get(GetRequest::new(schema.clone(), ids.iter().map(|id| fixture::id(id)).collect())).await.unwrap();
    for (found, id) in found.iter().zip(ids) {
        assert_eq!(found.as_ref().unwrap().text("audio_transcript"), id);
    }
    assert_eq!(backend.count(&schema, None).await.unwrap(), ids.len() as u64);
    assert_eq!(backend.count(&fixture::schema_of("globex"), None).await.unwrap(), 0);
    for step in [".", ".."] {
        let report = backend.put(PutRequest::new(schema.clone(), vec![document(step)])).await.unwrap();
        assert_eq!(report.outcomes[0].status, OutcomeStatus::Refused);
        let error = backend.get(GetRequest::new(schema.clone(), vec![fixture::id(step)])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let removed =
        backend.delete(DeleteRequest::ids(schema.clone(), vec![fixture::id("v/1"), fixture::id("v/1")])).await.unwrap();
    assert_eq!(removed, 1);
    assert_eq!(backend.count(&schema, None).await.unwrap(), ids.len() as u64 - 1);
}

/// Vespa may give a document twice: a visit gives it once, and breaks are tried again.
#[tokio::test]
async fn a_visit_gives_each_document_once() {
    let (backend, server) = world().await;
    fill(&backend, "acme", 150).await;
    server.faults().always(Route::Documents, Fault::RepeatedVisit);
    let mut request = VisitRequest::new(fixture::schema_of("acme")).with_page_size(7);
    let mut seen = BTreeMap::<String, usize>::new();
    loop {
        server.faults().next(Route::Documents, 1, Fault::Status(504));
        let page = backend.visit(request.clone()).await.unwrap();
        assert!(page.documents.len() <= 7);
        page.documents.iter().for_each(|document| *seen.entry(document.id.to_string()).or_default() += 1);
        if page.continuation.is_none() {
            break;
        }
        request = request.with_continuation(page.continuation);
    }
    assert_eq!((seen.len(), seen.values().max()), (150, Some(&1)));
}

/// Slices side by side give all, once; an error in one is told.
#[tokio::test]
async fn a_sliced_visit_is_complete() {
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_attempts(1)).await;
    fill(&backend, "acme", 200).await;
    for slices in [1, 3, 8] {
        let all = backend.visit_all(&fixture::schema_of("acme"), None, slices).await.unwrap();
        let ids: Vec<String> = all.map_ok(|document| document.id.to_string()).try_collect().await.unwrap();
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (200, 200), "{slices} slices");
    }
    let some = Filter::between(fixture::field("segment_id"), 10, 30);
    let some = backend.visit_all(&fixture::schema_of("acme"), Some(some), 4).await.unwrap();
    assert_eq!(some.try_collect::<Vec<_>>().await.unwrap().len(), 20);
    server.faults().next(Route::Documents, 1, Fault::Status(500));
    let all = backend.visit_all(&fixture::schema_of("acme"), None, 4).await.unwrap();
    let outcomes: Vec<_> = all.collect().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
}

/// A count that Vespa could only make in part is an error, and so is a failed visit or removal: never "nothing".
#[tokio::test]
async fn invariant_09_failures_are_never_nothing() {
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_attempts(2)).await;
    fill(&backend, "acme", 5).await;
    let schema = fixture::schema_of("acme");
    server.faults().always(Route::Search, Fault::DegradedCoverage);
    assert_eq!(backend.count(&schema, None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.faults().clear();
    for fault in [Fault::Status(500), Fault::Status(503), Fault::EmptyStatus(503), Fault::Reset] {
        server.faults().always(Route::Any, fault.clone());
        // Matches nothing: a request whose answer breaks off was carried out.
        let filter = Filter::equals(fixture::field("video_id"), "nobody");
        let errors = [
            backend.count(&schema, None).await.map(|_| ()),
            backend.visit(VisitRequest::new(schema.clone())).await.map(|_| ()),
            backend.get(GetRequest::new(schema.clone(), vec![fixture::id("v/0")])).await.map(|_| ()),
            backend.delete(DeleteRequest::matching(schema.clone(), filter)).await.map(|_| ()),
        ];
        for (number, error) in errors.into_iter().enumerate() {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable, "{fault:?} {number}");
        }
        server.faults().clear();
    }
    assert_eq!(backend.count(&schema, None).await.unwrap(), 5);
}

/// The input is read only as fast as it is fed, whatever its length.
#[tokio::test]
async fn invariant_23_a_feed_reads_no_further_than_it_feeds() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_feed(1, 16)).await;
    deploy(&backend, &["acme"]).await.unwrap();
    server.faults().always(Route::Documents, Fault::Slow(std::time::Duration::from_millis(5)));
    let read = AtomicUsize::new(0);
    let input = stream::iter(documents(400)).map(|document| {
        read.fetch_add(1, Ordering::Relaxed);
        FeedOperation::put(document)
    });
    let mut feed = backend.feed(&fixture::schema_of("acme"), input).await.unwrap();
    let mut done = 0;
    while let Some(outcome) = feed.next().await {
        done += 1;
        assert_eq!(outcome.status, OutcomeStatus::Stored);
        assert!(read.load(Ordering::Relaxed) <= done + 16, "{} read, {done} done", read.load(Ordering::Relaxed));
    }
    assert_eq!(done, 400);
}

/// Vespa sorts no further than its window: beyond it the remedy is named. A partial answer is no page.
#[tokio::test]
async fn a_listing_ends_with_an_error_where_vespa_cannot_go_on() {
    let (backend, _server) = world().await;
    fill(&backend, "acme", 12).await;
    let request = ListRequest::new(fixture::schema_of("acme"), Sort::descending(fixture::field("segment_id")));
    let at = |offset: usize| request.seal(&serde_json::json!({ "offset": offset })).unwrap();
    let page = backend.list(request.clone().with_page_size(5)).await.unwrap();
    assert_eq!(page.continuation, Some(at(5)));
    let last = backend.list(request.clone().with_continuation(Some(at(10)))).await.unwrap();
    assert_eq!((last.documents.len(), last.continuation), (2, None));
    let error = backend.list(request.clone().with_continuation(Some(at(10_000)))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("narrow the listing by a filter"), "{error}");
}
