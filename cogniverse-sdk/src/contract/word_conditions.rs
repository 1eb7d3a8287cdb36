//! Cases of [`crate::SearchBackend`] about conditions on words, and corrections of query words.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, fixture};
use crate::{
    BackendHits, BackendQuery, Correction, ErrorKind, FacetCount, FacetRequest, Filter, Result, SearchBackend, Sort,
    WordCondition::{self, Phrase, Prefix, Without},
    document_store::PutRequest,
};

const TEXTS: [&str; 6] = [
    "the open sea is calm",
    "open the sea",
    "sea open wide",
    "",
    "a calm harbour of open boats",
    "The Open Sea! An open sea again",
];

async fn fill(backend: &dyn SearchBackend, tenant: &str) {
    fixture::deploy(backend, &[tenant]).await;
    let documents = TEXTS.iter().zip(0..).map(|(text, n)| {
        let document = fixture::document("v", n, text, fixture::axis(usize::try_from(n).unwrap_or(0)));
        // Its words stand in two fields, and are none after the other.
        if n == 3 { document.with(fixture::field("video_title"), "open") } else { document }
    });
    let report = backend.put(PutRequest::new(fixture::schema_of(tenant), documents.collect())).await.expect("put");
    assert_eq!(report.stored(), TEXTS.len(), "{report:?}");
}

async fn search(
    backend: &dyn SearchBackend,
    strategy: &str,
    text: &str,
    conditions: &[WordCondition],
) -> Result<BackendHits> {
    let query = BackendQuery::new(fixture::schema_of("acme"), fixture::strategy(strategy))
        .with_text(text)
        .with_vectors(fixture::row(fixture::axis(0)))
        .with_words(conditions.to_vec())
        .with_sort(Some(Sort::ascending(fixture::field("segment_id"))))
        .with_facets(vec![FacetRequest::new(fixture::field("video_id"), 1)])
        .with_page(0, 100);
    backend.search(query).await
}

fn segments(hits: &BackendHits) -> Vec<i64> {
    hits.hits.iter().filter_map(|hit| hit.document.get("segment_id")?.as_i64()).collect()
}

/// A strategy, a text, conditions, and the segments that match.
type Case = (&'static str, &'static str, Vec<WordCondition>, &'static [i64]);

/// Checks what matches: in the hits, their number, and the counts by fields.
async fn check(backend: &dyn SearchBackend, table: &[Case]) -> Result<()> {
    for (strategy, text, conditions, expected) in table {
        let found = search(backend, strategy, text, conditions).await?;
        assert_eq!(segments(&found), *expected, "{strategy} {text} {conditions:?}");
        assert_eq!(found.matched, expected.len() as u64, "{strategy} {text} {conditions:?}");
        let listed = found.facets.first().map(|facet| facet.values.clone()).unwrap_or_default();
        let all = FacetCount::new("v", expected.len() as u64);
        assert_eq!(listed, if expected.is_empty() { vec![] } else { vec![all] }, "{strategy} {text} {conditions:?}");
    }
    Ok(())
}

/// A phrase is its words one after the other in one field; an excluded word or phrase is in no field. Both restrict every strategy.
pub async fn phrases_and_excluded_words_restrict_the_match(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    let phrase = |text: &str| Phrase(text.to_owned());
    let without = |text: &str| Without(text.to_owned());
    let table: [Case; 11] = [
        ("bm25_only", "open sea", vec![phrase("open sea")], &[0, 5]),
        ("bm25_only", "open sea", vec![phrase("sea open")], &[2]),
        ("bm25_only", "open", vec![phrase("calm")], &[0, 4]),
        ("bm25_only", "open", vec![without("calm")], &[1, 2, 3, 5]),
        ("bm25_only", "open", vec![without("open sea"), without("harbour")], &[1, 2, 3]),
        ("bm25_only", "open", vec![without("open")], &[]),
        ("bm25_only", "open", vec![phrase("open sea"), without("calm")], &[5]),
        ("bm25_only", "", vec![phrase("open sea")], &[0, 5]),
        ("bm25_only", "", vec![without("calm")], &[]),
        ("float_float", "", vec![phrase("open sea")], &[0, 5]),
        ("hybrid_fused", "boats", vec![without("sea")], &[3, 4]),
    ];
    check(backend, &table).await.expect("search");
    // Ranked by words as without the condition, and with a filter beside it.
    let ranked = |filter| {
        BackendQuery::new(fixture::schema_of("acme"), fixture::strategy("bm25_only"))
            .with_text("open sea")
            .with_words(vec![phrase("open sea")])
            .with_filter(filter)
    };
    let found = backend.search(ranked(None)).await.expect("search");
    assert_eq!((segments(&found), found.matched), (vec![5, 0], 2));
    assert!(found.hits.iter().all(|hit| hit.score > 0.0 && !hit.highlights.is_empty()));
    let plain = BackendQuery { words: Vec::new(), ..ranked(None) };
    let plain = backend.search(plain).await.expect("search");
    for hit in &found.hits {
        let other = plain.hits.iter().find(|other| other.document.id == hit.document.id).expect("the same hit");
        assert!((hit.score - other.score).abs() < 1e-3, "a condition adds nothing to scores: {hit:?} {other:?}");
    }
    let filter = Filter::between(fixture::field("segment_id"), 0, 3);
    assert_eq!(segments(&backend.search(ranked(Some(filter))).await.expect("search")), [0]);
    Outcome::Ran
}

/// Conditions are literal, and those without a word are refused ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)).
pub async fn invariant_21_conditions_are_literal(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    for text in
        ["\" or true or \"", "open\") or true or (default contains \"sea", "open OR sea", "video_id:v", "\\\"sea", "@q"]
    {
        let condition = [Phrase(text.to_owned())];
        let found = search(backend, "bm25_only", "open sea", &condition).await.expect("search");
        let all_seas = if text == "\\\"sea" { vec![0, 1, 2, 5] } else { vec![] };
        assert_eq!(segments(&found), all_seas, "{text}");
        search(backend, "bm25_only", "open sea", &[Without(text.to_owned())]).await.expect("search");
    }
    for wrong in [vec![Phrase(String::new())], vec![Without(" - ".to_owned())], vec![Phrase("sea".to_owned()); 33]] {
        let error = search(backend, "bm25_only", "sea", &wrong).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    Outcome::Ran
}

/// A prefix is the begin of a word of one field, as written and not as stemmed.
pub async fn prefixes_restrict_the_match(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    let prefix = |text: &str| vec![Prefix(text.to_owned())];
    let table: [Case; 7] = [
        ("bm25_only", "", prefix("boat"), &[4]),
        ("bm25_only", "", prefix("BOATS"), &[4]),
        ("bm25_only", "", prefix("boatsw"), &[]),
        ("bm25_only", "", prefix("op"), &[0, 1, 2, 3, 4, 5]),
        ("bm25_only", "sea", prefix("o"), &[0, 1, 2, 5]),
        ("bm25_only", "sea", prefix("agai"), &[5]),
        ("float_float", "", prefix("harb"), &[4]),
    ];
    match check(backend, &table).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => Outcome::Skipped("no prefixes"),
        result => {
            result.expect("search");
            Outcome::Ran
        }
    }
}

/// A word that no document has is replaced by similar ones, where that is asked for, and the answer says so.
pub async fn unknown_words_are_corrected(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme").await;
    let query = |text: &str, typos| {
        BackendQuery::new(fixture::schema_of("acme"), fixture::strategy("bm25_only")).with_text(text).with_typos(typos)
    };
    let found = match backend.search(query("harbuor sea", true)).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Outcome::Skipped("no similar words"),
        found => found.expect("search"),
    };
    assert_eq!(found.corrections, [Correction::new("harbuor", vec!["harbour".to_owned()])]);
    assert_eq!(found.matched, 5);
    // Of three letters, known, or too far from all.
    for text in ["see", "boats", "lighthouse"] {
        assert_eq!(backend.search(query(text, true)).await.expect("search").corrections, [], "{text}");
    }
    let plain = backend.search(query("harbuor", false)).await.expect("search");
    assert_eq!((plain.matched, plain.corrections), (0, vec![]));
    Outcome::Ran
}
