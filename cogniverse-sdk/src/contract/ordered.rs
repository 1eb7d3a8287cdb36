//! Cases of [`crate::SearchBackend`] about orders by a field, and counts by fields.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, fixture};
use crate::{
    BackendHits, BackendQuery, Document, ErrorKind, FacetCount, FacetRequest, FieldValue, Filter, SearchBackend, Sort,
    document_store::{DeleteRequest, PutRequest},
};

const ALL: &str = "common";

/// A document with all values; `None` leaves the field out.
struct Row {
    video: Option<&'static str>,
    segment: i64,
    views: Option<i64>,
    seconds: Option<f64>,
    public: bool,
    tags: Option<&'static [&'static str]>,
}

const ROWS: [Row; 7] = [
    Row {
        video: Some("beta"),
        segment: 0,
        views: Some(5_000_000_000),
        seconds: Some(2.5),
        public: true,
        tags: Some(&["x", "y"]),
    },
    Row { video: Some("alpha"), segment: 1, views: Some(-7), seconds: Some(-1.0), public: false, tags: Some(&["x"]) },
    Row { video: None, segment: 2, views: None, seconds: None, public: true, tags: None },
    Row {
        video: Some("Beta"),
        segment: 3,
        views: Some(0),
        seconds: Some(1e300),
        public: false,
        tags: Some(&["z", "x"]),
    },
    Row {
        video: Some("\u{e9}t\u{e9}"),
        segment: 4,
        views: Some(12),
        seconds: Some(0.0),
        public: true,
        tags: Some(&["y"]),
    },
    Row { video: Some("beta"), segment: 5, views: Some(12), seconds: Some(2.5), public: true, tags: None },
    Row { video: None, segment: 6, views: None, seconds: None, public: false, tags: Some(&["w"]) },
];

fn document(row: &Row) -> Document {
    let cells = fixture::axis(usize::try_from(row.segment).unwrap_or(0));
    let mut document = fixture::document("v", row.segment, &format!("{ALL} word{}", row.segment), cells)
        .with(fixture::field("is_public"), row.public);
    for (name, value) in [
        ("video_id", row.video.map(FieldValue::from)),
        ("views", row.views.map(FieldValue::from)),
        ("start_time", row.seconds.map(FieldValue::from)),
        ("tags", row.tags.map(|tags| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>().into())),
    ] {
        document.fields.remove(&fixture::field(name));
        if let Some(value) = value {
            document.fields.insert(fixture::field(name), value);
        }
    }
    document
}

async fn fill(backend: &dyn SearchBackend, tenant: &str) {
    fixture::deploy(backend, &[tenant]).await;
    let schema = fixture::schema_of(tenant);
    // In two calls, and with one that is gone again.
    let extra = fixture::document("gone", 99, ALL, fixture::axis(0));
    let documents: Vec<Document> = ROWS.iter().map(document).chain([extra.clone()]).collect();
    for part in documents.chunks(5) {
        let report = backend.put(PutRequest::new(schema.clone(), part.to_vec())).await.expect("put");
        assert_eq!(report.stored(), part.len(), "{report:?}");
    }
    backend.delete(DeleteRequest::ids(schema, vec![extra.id])).await.expect("delete");
}

fn words(tenant: &str, text: &str) -> BackendQuery {
    BackendQuery::new(fixture::schema_of(tenant), fixture::strategy("bm25_only")).with_text(text).with_page(0, 100)
}

fn segments(hits: &BackendHits) -> Vec<i64> {
    hits.hits.iter().filter_map(|hit| hit.document.get("segment_id")?.as_i64()).collect()
}

/// A field, the groups of documents with equal values of it, and those without a value.
type Order = (&'static str, &'static [&'static [i64]], &'static [i64]);

/// The hits come in the order of any attribute, those without it last, in both directions; pages join.
pub async fn hits_are_sorted_by_a_field(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    // Groups of documents with equal values, in ascending order; then those without a value.
    let table: [Order; 5] = [
        ("video_id", &[&[3], &[1], &[0, 5], &[4]], &[2, 6]),
        ("segment_id", &[&[0], &[1], &[2], &[3], &[4], &[5], &[6]], &[]),
        ("views", &[&[1], &[3], &[4, 5], &[0]], &[2, 6]),
        ("start_time", &[&[1], &[4], &[0, 5], &[3]], &[2, 6]),
        ("is_public", &[&[1, 3, 6], &[0, 2, 4, 5]], &[]),
    ];
    for (name, groups, missing) in table {
        for descending in [false, true] {
            let sort = Sort { field: fixture::field(name), descending };
            let query = || words("acme", ALL).with_sort(Some(sort.clone()));
            let all = backend.search(query()).await.expect("search");
            assert_eq!(all.matched, 7, "{name}");
            assert!(all.hits.iter().all(|hit| hit.score == 0.0 && hit.first_phase.is_none()), "{name}");
            let found = segments(&all);
            let mut expected: Vec<&[i64]> = groups.to_vec();
            if descending {
                expected.reverse();
            }
            expected.push(missing);
            let mut rest = found.as_slice();
            for group in expected {
                let (part, others) = rest.split_at_checked(group.len()).expect("as many hits as documents");
                let mut part = part.to_vec();
                part.sort_unstable();
                assert_eq!(part, group, "{name}, descending: {descending}: {found:?}");
                rest = others;
            }
            let mut joined = Vec::new();
            for page in 0..3 {
                joined.extend(segments(&backend.search(query().with_page(page * 3, 3)).await.expect("search")));
            }
            assert_eq!(joined, found, "{name}: pages join");
        }
    }
    let some = Filter::equals(fixture::field("is_public"), true);
    let sort = Some(Sort::descending(fixture::field("views")));
    let filtered = backend.search(words("acme", ALL).with_filter(Some(some)).with_sort(sort)).await.expect("search");
    assert_eq!(segments(&filtered).first().copied(), Some(0));
    assert_eq!((filtered.matched, segments(&filtered).last().copied()), (4, Some(2)));
    for wrong in ["nope", "tags", "embedding", "audio_transcript"] {
        let query = words("acme", ALL).with_sort(Some(Sort::ascending(fixture::field(wrong))));
        let error = backend.search(query).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}: {error:?}");
        assert!(error.to_string().contains("video_id"), "{wrong}: {error}");
    }
    Outcome::Ran
}

/// A sort orders what a strategy matches, whatever phases it has.
pub async fn a_sort_takes_part_with_every_strategy(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    for strategy in ["bm25_only", "float_float", "phased", "hybrid_fused", "hybrid_rrf"] {
        let query = BackendQuery::new(fixture::schema_of("acme"), fixture::strategy(strategy))
            .with_text("word1 word4 word6")
            .with_vectors(fixture::row(fixture::axis(0)))
            .with_page(0, 2);
        let ranked = backend.search(query.clone()).await.expect("search");
        let sorted = query
            .with_sort(Some(Sort::descending(fixture::field("segment_id"))))
            .with_facets(vec![FacetRequest::new(fixture::field("is_public"), 2)]);
        let found = backend.search(sorted).await.expect("search");
        let second = if strategy == "bm25_only" { 4 } else { 5 };
        assert_eq!((segments(&found), found.matched), (vec![6, second], ranked.matched), "{strategy}");
        let counted: u64 = found.facets.iter().flat_map(|facet| &facet.values).map(|listed| listed.count).sum();
        assert_eq!(counted, ranked.matched, "{strategy}: the facets count what matched");
    }
    Outcome::Ran
}

/// Facets count every matched document by its values, most frequent first, and the rest as others.
pub async fn facets_count_all_matches(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    let count = |value: FieldValue, count| FacetCount::new(value, count);
    let text = |value: &str| FieldValue::from(value);
    let table: [(&str, usize, Vec<FacetCount>, u64); 7] = [
        (
            "video_id",
            10,
            vec![
                count(text("beta"), 2),
                count(text("Beta"), 1),
                count(text("alpha"), 1),
                count(text("\u{e9}t\u{e9}"), 1),
            ],
            2,
        ),
        ("video_id", 1, vec![count(text("beta"), 2)], 5),
        ("tags", 10, vec![count(text("x"), 3), count(text("y"), 2), count(text("w"), 1), count(text("z"), 1)], 2),
        ("tags", 1, vec![count(text("x"), 3)], 4),
        ("views", 2, vec![count(12.into(), 2), count((-7).into(), 1)], 4),
        ("start_time", 1, vec![count(2.5.into(), 2)], 5),
        ("is_public", 5, vec![count(true.into(), 4), count(false.into(), 3)], 0),
    ];
    let requests = table.iter().map(|(field, limit, ..)| FacetRequest::new(fixture::field(field), *limit)).collect();
    // The page does not matter, an empty one included.
    for limit in [0, 1, 100] {
        let query = words("acme", ALL).with_facets(Vec::clone(&requests)).with_page(0, limit);
        let found = backend.search(query).await.expect("search");
        assert_eq!((found.matched, found.hits.len()), (7, limit.min(7)));
        assert_eq!(found.facets.len(), table.len());
        for (facet, (field, limit, values, others)) in found.facets.iter().zip(&table) {
            assert_eq!((facet.field.as_str(), &facet.values, facet.others), (*field, values, *others), "limit {limit}");
        }
    }
    let facet = |field: &str| vec![FacetRequest::new(fixture::field(field), 10)];
    let narrow = Filter::equals(fixture::field("tags"), "x");
    let found = backend.search(words("acme", "word0 word1 word4").with_filter(Some(narrow)).with_facets(facet("tags")));
    let found = found.await.expect("search");
    let facet_of = |found: &BackendHits| found.facets.first().cloned().expect("a facet");
    assert_eq!(facet_of(&found).values, vec![count(text("x"), 2), count(text("y"), 1)]);
    let nothing = backend.search(words("acme", "nowhere").with_facets(facet("tags"))).await.expect("search");
    assert_eq!((facet_of(&nothing).values, facet_of(&nothing).others, nothing.matched), (vec![], 0, 0));
    let wrong = [
        facet("embedding"),
        facet("audio_transcript"),
        facet("nope"),
        vec![FacetRequest::new(fixture::field("tags"), 0)],
        vec![FacetRequest::new(fixture::field("tags"), 1_001)],
        vec![FacetRequest::new(fixture::field("tags"), 1); 9],
    ];
    for (number, facets) in wrong.into_iter().enumerate() {
        let error = backend.search(words("acme", ALL).with_facets(facets)).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "case {number}: {error:?}");
    }
    Outcome::Ran
}

/// Filters mean the same on every kind of attribute, in searches as in counts.
pub async fn conditions_hold_on_every_kind_of_field(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    let f = fixture::field;
    let table: [(Filter, &[i64]); 9] = [
        (Filter::equals(f("tags"), "x"), &[0, 1, 3]),
        (Filter::In(f("tags"), vec!["w".into(), "z".into(), "none".into()]), &[3, 6]),
        (Filter::equals(f("tags"), "y").negate(), &[1, 2, 3, 5, 6]),
        (Filter::equals(f("is_public"), true), &[0, 2, 4, 5]),
        (Filter::equals(f("is_public"), false), &[1, 3, 6]),
        (Filter::equals(f("views"), 5_000_000_000), &[0]),
        (Filter::In(f("views"), vec![12.into(), (-7).into()]), &[1, 4, 5]),
        (Filter::between(f("start_time"), -1.0, 2.5), &[1, 4]),
        (Filter::In(f("video_id"), vec!["beta".into(), "alpha".into()]), &[0, 1, 5]),
    ];
    for (filter, expected) in table {
        let count = backend.count(&fixture::schema_of("acme"), Some(&filter)).await.expect("count");
        assert_eq!(count, expected.len() as u64, "{filter:?}");
        let sort = Some(Sort::ascending(f("segment_id")));
        let query = words("acme", ALL).with_filter(Some(filter.clone())).with_sort(sort);
        assert_eq!(segments(&backend.search(query).await.expect("search")), expected, "{filter:?}");
    }
    Outcome::Ran
}

/// Facets count the documents of their own tenant only ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
pub async fn invariant_05_facets_count_one_tenant(backend: &dyn SearchBackend) -> Outcome {
    for tenant in ["acme", "acme_corp"] {
        fixture::deploy(backend, &[tenant]).await;
        let document = fixture::document(&format!("video of {tenant}"), 0, ALL, fixture::axis(0));
        backend.put(PutRequest::new(fixture::schema_of(tenant), vec![document])).await.expect("put");
    }
    for tenant in ["acme", "acme_corp"] {
        let query = words(tenant, ALL).with_facets(vec![FacetRequest::new(fixture::field("video_id"), 10)]);
        let found = backend.search(query).await.expect("search");
        let own = FacetCount::new(format!("video of {tenant}"), 1);
        assert_eq!(found.facets.first().map(|facet| (&*facet.values, facet.others)), Some((&[own][..], 0)));
    }
    Outcome::Ran
}
