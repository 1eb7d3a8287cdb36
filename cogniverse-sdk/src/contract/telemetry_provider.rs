//! The contract suite of [`TelemetryProvider`].

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a contract suite asserts")]

use crate::{
    ErrorKind, Timestamp,
    telemetry_provider::{
        AnnotateSpans, AnnotationQuery, AnnotatorKind, ProjectName, Settle, Span, SpanAnnotation, SpanId, SpanKind,
        SpanQuery, SpanStatus, TelemetryProvider, TimeWindow, TraceId,
    },
};
use async_trait::async_trait;
use std::{
    collections::{BTreeSet, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

/// Writes spans into the store under test, which the role itself does not do.
#[async_trait]
pub trait SpanWriter: fmt::Debug + Send + Sync {
    /// Stores spans and waits until they can be read.
    async fn write(&self, project: &ProjectName, spans: Vec<Span>);
}

/// Runs every case of the contract, in projects with unique names, so that the store may hold others.
pub async fn telemetry_provider(provider: &dyn TelemetryProvider, writer: &dyn SpanWriter) {
    pages_hold_each_span_once(provider, writer).await;
    filters_choose(provider, writer).await;
    invariant_06_ids_alone_open_nothing(provider, writer).await;
    judgements_replace(provider, writer).await;
    invariant_09_unknown_is_not_empty(provider).await;
    erasure_is_proved(provider, writer).await;
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn project(name: &str) -> ProjectName {
    ProjectName::parse(format!("contract {name} {:016x}", random())).expect("a name")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).expect("a time")
}

/// A root span that starts at the given second and lasts 250 ms.
fn span(name: &str, second: i64) -> Span {
    let trace = TraceId::parse(format!("{:016x}{:016x}", random(), random() | 1)).expect("an id");
    let id = SpanId::parse(format!("{:016x}", random() | 1)).expect("an id");
    let end = at(second).checked_add(Duration::from_millis(250)).expect("a time");
    Span::new(trace, id, name, at(second), end)
}

async fn all(provider: &dyn TelemetryProvider, query: SpanQuery) -> Vec<Span> {
    let (mut spans, mut next) = (Vec::new(), None);
    loop {
        let page = provider.read_spans(query.clone().with_continuation(next)).await.expect("a page");
        assert!(page.spans.len() <= query.page_size, "a page holds at most what was asked for");
        spans.extend(page.spans);
        next = page.next;
        if next.is_none() {
            return spans;
        }
    }
}

/// Pages return each span once, oldest first, whatever the page size; a time window is half open.
async fn pages_hold_each_span_once(provider: &dyn TelemetryProvider, writer: &dyn SpanWriter) {
    let project = project("pages");
    // Two begin at the same time.
    let spans: Vec<Span> = (0..23).map(|number| span("work", i64::from(number) / 2)).collect();
    writer.write(&project, spans.clone()).await;
    for size in [1, 7, 23, 1000] {
        let found = all(provider, SpanQuery::new(project.clone()).with_page_size(size)).await;
        let ids: BTreeSet<&SpanId> = found.iter().map(|span| &span.span_id).collect();
        assert_eq!((found.len(), ids.len()), (23, 23), "pages of {size}");
        assert!(found.windows(2).all(|pair| pair[0].start <= pair[1].start), "oldest first");
    }
    let window = TimeWindow::new(at(2), at(5)).expect("a window");
    let found = all(provider, SpanQuery::new(project).with_window(Some(window)).with_page_size(2)).await;
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|span| window.contains(span.start)));
    assert_eq!(found[0].end.duration_since(found[0].start).as_millis(), 250, "times are kept");
}

/// Filters by name, kind, status, attribute, root and trace are combined with AND.
async fn filters_choose(provider: &dyn TelemetryProvider, writer: &dyn SpanWriter) {
    let project = project("filters");
    let root = span("search", 0).with_kind(SpanKind::Retriever).with_attribute("profile", "p1").with_attribute("n", 12);
    let child = Span { trace_id: root.trace_id.clone(), ..span("encode", 1) }
        .with_parent(Some(root.span_id.clone()))
        .with_kind(SpanKind::Embedding);
    let failed = span("search", 2).with_status(SpanStatus::Error, "no good").with_attribute("n", "12");
    writer.write(&project, vec![root.clone(), child.clone(), failed.clone()]).await;
    let query = || SpanQuery::new(project.clone());
    let table = [
        (query().with_roots_only(), vec![&root, &failed]),
        (query().with_name("search"), vec![&root, &failed]),
        (query().with_name("encode").with_name("nothing"), vec![&child]),
        (query().with_kind(SpanKind::Retriever), vec![&root]),
        (query().with_status(SpanStatus::Error), vec![&failed]),
        (query().with_attribute("profile", "p1"), vec![&root]),
        (query().with_attribute("n", 12), vec![&root]),
        (query().with_attribute("n", "12"), vec![&failed]),
        (query().with_trace(root.trace_id.clone()), vec![&root, &child]),
        (query().with_spans([child.span_id.clone()]), vec![&child]),
        (query().with_name("search").with_kind(SpanKind::Embedding), vec![]),
    ];
    for (query, wanted) in table {
        let found: Vec<SpanId> = all(provider, query.clone()).await.into_iter().map(|span| span.span_id).collect();
        let wanted: Vec<SpanId> = wanted.into_iter().map(|span| span.span_id.clone()).collect();
        assert_eq!(found, wanted, "{query:?}");
    }
    let found = all(provider, query().with_status(SpanStatus::Error)).await;
    assert_eq!(found[0].status_message, "no good");
}

/// A span of another project is reported like one that never existed.
async fn invariant_06_ids_alone_open_nothing(provider: &dyn TelemetryProvider, writer: &dyn SpanWriter) {
    let (own, other) = (project("own"), project("other"));
    let (mine, foreign) = (span("mine", 0), span("foreign", 0));
    writer.write(&own, vec![mine.clone()]).await;
    writer.write(&other, vec![foreign.clone()]).await;
    let query = SpanQuery::new(own.clone()).with_spans([foreign.span_id.clone()]);
    assert!(all(provider, query).await.is_empty());
    let judge =
        |span: &Span| SpanAnnotation::new(span.span_id.clone(), "quality", AnnotatorKind::Human).with_score(1.0);
    let request = AnnotateSpans::new(own.clone(), vec![judge(&mine), judge(&foreign)]);
    let error = provider.annotate_spans(request).await.expect_err("a foreign span");
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains(foreign.span_id.as_str()), "{error:?}");
    // None of the request was written.
    let written = provider.read_annotations(AnnotationQuery::new(own.clone(), vec![mine.span_id])).await.expect("own");
    assert!(written.annotations.is_empty());
    let foreign = AnnotationQuery::new(own, vec![foreign.span_id]);
    assert_eq!(provider.read_annotations(foreign).await.expect_err("a foreign span").kind(), ErrorKind::NotFound);
}

/// An annotation with the same span, name and identifier replaces the earlier one; another identifier adds one.
async fn judgements_replace(provider: &dyn TelemetryProvider, writer: &dyn SpanWriter) {
    let project = project("judgements");
    let one = span("work", 0);
    writer.write(&project, vec![one.clone()]).await;
    let judge = |score: f64, who: &str| {
        SpanAnnotation::new(one.span_id.clone(), "quality", AnnotatorKind::Code)
            .with_score(score)
            .with_label("fine")
            .with_explanation("because")
            .with_identifier(who)
    };
    for annotations in [vec![judge(0.25, "a"), judge(0.5, "b")], vec![judge(0.75, "a")]] {
        let count = annotations.len();
        let receipt = provider.annotate_spans(AnnotateSpans::new(project.clone(), annotations)).await.expect("written");
        assert_eq!(receipt.written, count);
    }
    let query = AnnotationQuery::new(project.clone(), vec![one.span_id.clone()]).with_name("quality").with_page_size(1);
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = provider.read_annotations(query.clone().with_continuation(next)).await.expect("a page");
        found.extend(page.annotations.into_iter().map(|stored| stored.annotation));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let mut scores: Vec<(String, Option<f64>)> = found.iter().map(|one| (one.identifier.clone(), one.score)).collect();
    scores.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(scores, [("a".to_owned(), Some(0.75)), ("b".to_owned(), Some(0.5))]);
    assert_eq!((found[0].label.as_deref(), found[0].explanation.as_deref()), (Some("fine"), Some("because")));
    let empty = SpanAnnotation::new(one.span_id.clone(), "quality", AnnotatorKind::Code);
    let error = provider.annotate_spans(AnnotateSpans::new(project, vec![empty])).await.expect_err("says nothing");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// A project that does not exist is an error that names it, never an empty result.
async fn invariant_09_unknown_is_not_empty(provider: &dyn TelemetryProvider) {
    let unknown = project("unknown");
    assert_eq!(provider.find_project(&unknown).await.expect("an answer"), None);
    let error = provider.read_spans(SpanQuery::new(unknown.clone())).await.expect_err("unknown");
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains(unknown.as_str()), "{error:?}");
    assert_eq!(
        provider.read_spans(SpanQuery::new(unknown).with_page_size(0)).await.expect_err("no page").kind(),
        ErrorKind::InvalidInput
    );
}

/// An erased project is gone, other projects stay, and erasing it again succeeds.
async fn erasure_is_proved(provider: &dyn TelemetryProvider, writer: &dyn SpanWriter) {
    let (gone, kept) = (project("erased"), project("kept"));
    writer.write(&gone, (0..3).map(|number| span("work", number)).collect()).await;
    writer.write(&kept, vec![span("work", 0)]).await;
    let settle = Settle::new()
        .with_absent_for(Duration::from_millis(600))
        .with_poll(Duration::from_millis(100))
        .with_total(Duration::from_secs(30));
    let receipt = provider.erase_project(&gone, settle).await.expect("erased");
    assert_eq!((receipt.spans_before, receipt.deletions), (3, 1));
    assert!(receipt.verified_absent_for >= settle.absent_for);
    assert_eq!(provider.find_project(&gone).await.expect("an answer"), None);
    assert_eq!(provider.read_spans(SpanQuery::new(gone.clone())).await.expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(all(provider, SpanQuery::new(kept)).await.len(), 1);
    let again = provider.erase_project(&gone, settle).await.expect("erased again");
    assert_eq!((again.spans_before, again.deletions), (0, 0));
}
