//! The contract suite of [`crate::SearchBackend`], for a backend that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, fixture};
use crate::{
    BackendHits, BackendQuery, ErrorKind, FieldValue, Filter, Matrix, SearchBackend,
    document_store::{DeleteRequest, PutRequest},
};

async fn fill(backend: &dyn SearchBackend, tenant: &str, texts: &[&str]) {
    fixture::deploy(backend, &[tenant]).await;
    let documents = texts
        .iter()
        .zip(0..)
        .map(|(text, n)| fixture::document("v", n, text, fixture::axis(usize::try_from(n).unwrap_or(0) % 8)));
    let report = backend.put(PutRequest::new(fixture::schema_of(tenant), documents.collect())).await.expect("put");
    assert_eq!(report.stored(), texts.len(), "{report:?}");
}

fn words(tenant: &str, text: &str) -> BackendQuery {
    BackendQuery::new(fixture::schema_of(tenant), fixture::strategy("bm25_only")).with_text(text)
}

fn ids(hits: &BackendHits) -> Vec<&str> {
    hits.hits.iter().map(|hit| hit.document.id.as_str()).collect()
}

/// A search of an empty schema returns no hits and no error.
pub async fn empty_is_empty(backend: &dyn SearchBackend) -> Outcome {
    fixture::deploy(backend, &["acme"]).await;
    let hits = backend.search(words("acme", "anything")).await.expect("search");
    assert!(hits.hits.is_empty() && hits.matched == 0);
    Outcome::Ran
}

/// A query returns documents of its own tenant only, even where tenant names are similar ([invariants 1](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#1), [3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3) and [5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
pub async fn invariant_05_hits_are_of_one_tenant(backend: &dyn SearchBackend) -> Outcome {
    let tenants = ["acme", "acme_corp", "globex_acme", "acme:corp"];
    for tenant in tenants {
        fill(backend, tenant, &[&format!("shared secret{}", tenant.len())]).await;
    }
    for tenant in tenants {
        let hits = backend.search(words(tenant, "shared")).await.expect("search");
        assert_eq!((hits.hits.len(), hits.matched), (1, 1), "{tenant}");
        assert!(hits.hits.iter().all(|hit| hit.schema == fixture::schema_of(tenant)));
        assert!(hits.hits.iter().all(|hit| hit.document.text("audio_transcript").ends_with(&tenant.len().to_string())));
    }
    Outcome::Ran
}

/// Words match in any inflected form, rare words score above common ones, and matches are highlighted.
pub async fn words_rank_and_are_marked(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", &["a man lifts weights", "the lifting of heavy weights and lifting again", "a dog runs", ""])
        .await;
    let hits = backend.search(words("acme", "Lifting")).await.expect("search");
    assert_eq!(ids(&hits), ["v/1", "v/0"]);
    assert!(hits.hits.windows(2).all(|pair| matches!(pair, [a, b] if a.score >= b.score)));
    let first = hits.hits.first().expect("two hits");
    let highlight = first.highlights.iter().find(|h| h.field.as_str() == "audio_transcript").expect("a highlight");
    let text = first.document.text("audio_transcript");
    let marked: Vec<&str> = highlight.ranges.iter().filter_map(|range| text.get(range.clone())).collect();
    assert_eq!(marked, ["lifting", "lifting"]);
    assert!(backend.search(words("acme", "zebra")).await.expect("search").hits.is_empty());
    assert!(backend.search(words("acme", "")).await.expect("search").hits.is_empty());
    Outcome::Ran
}

/// Query text is always literal, never query syntax ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)).
pub async fn invariant_21_query_text_is_literal(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", &["plain words", "or and not select true"]).await;
    for text in [
        "\" or true or \"",
        "'; drop table documents; --",
        "* OR *:*",
        "plain)",
        "\\",
        "{}[]~^:",
        "\u{0}\u{202e}",
        "userInput(@x)",
    ] {
        let hits = backend.search(words("acme", text)).await.expect("search");
        assert!(hits.hits.len() <= 2, "{text}");
    }
    let hits = backend.search(words("acme", "video_id:v")).await.expect("search");
    assert!(hits.hits.is_empty(), "field syntax is not understood: {hits:?}");
    Outcome::Ran
}

/// MaxSim ranks by the vectors, and the phased strategy replaces the score of the best two.
pub async fn vectors_rank(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", &["zero", "one", "two", "three"]).await;
    let query = |strategy: &str| {
        BackendQuery::new(fixture::schema_of("acme"), fixture::strategy(strategy))
            .with_vectors(fixture::row(fixture::axis(2)))
    };
    let float = backend.search(query("float_float")).await.expect("search");
    assert_eq!((ids(&float).first().copied(), float.matched), (Some("v/2"), 4));
    let best = float.hits.first().expect("four hits").score;
    assert!((best - (1.0 + 7.0 / 64.0)).abs() < 1e-3, "{best}");
    let phased = backend.search(query("phased")).await.expect("search");
    let scored: Vec<bool> = phased.hits.iter().map(|hit| hit.first_phase.is_some()).collect();
    assert_eq!((ids(&phased).first().copied(), phased.hits.len()), (Some("v/2"), 4));
    assert!(scored.iter().take(2).all(|scored| *scored));
    let first = phased.hits.first().expect("four hits");
    assert!(
        (first.score - best).abs() < 1e-3 && (first.first_phase.unwrap_or_default() - 1.0).abs() < 1e-6,
        "{first:?}"
    );
    assert!(phased.hits.windows(2).all(|pair| matches!(pair, [a, b] if a.score >= b.score)));
    assert!(
        phased.hits.iter().all(|hit| hit.document.fields.values().all(|value| !matches!(value, FieldValue::Tensor(_))))
    );
    Outcome::Ran
}

/// Pages join without gap or overlap, equal scores included.
pub async fn pages_join(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", &["same words here"; 25]).await;
    let all = backend.search(words("acme", "words").with_page(0, 100)).await.expect("search");
    assert_eq!((all.hits.len(), all.matched), (25, 25));
    let mut joined = Vec::new();
    for page in 0..4 {
        let hits = backend.search(words("acme", "words").with_page(page * 7, 7)).await.expect("search");
        joined.extend(hits.hits.into_iter().map(|hit| hit.document.id.to_string()));
    }
    assert_eq!(joined, ids(&all));
    assert!(backend.search(words("acme", "words").with_page(0, 0)).await.expect("search").hits.is_empty());
    Outcome::Ran
}

/// The filter applies before ranking: a match outside it takes no place among the hits.
pub async fn filters_come_before_ranking(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", &["word", "word word", "word word word"]).await;
    let filter = Filter::between(fixture::field("start_time"), 0, 10);
    let hits = backend.search(words("acme", "word").with_filter(Some(filter)).with_page(0, 1)).await.expect("search");
    assert_eq!((ids(&hits), hits.matched), (vec!["v/0"], 1));
    Outcome::Ran
}

/// Scores do not depend on documents that were deleted or replaced before.
pub async fn scores_forget_what_is_gone(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "fresh", &["alpha beta", "alpha"]).await;
    fill(backend, "used", &["gamma alpha alpha", "alpha alpha alpha", "alpha noise noise noise"]).await;
    backend.delete(DeleteRequest::ids(fixture::schema_of("used"), vec![fixture::id("v/2")])).await.expect("delete");
    fill(backend, "used", &["alpha beta", "alpha"]).await;
    let scores =
        |hits: BackendHits| hits.hits.iter().map(|hit| (hit.document.id.to_string(), hit.score)).collect::<Vec<_>>();
    let fresh = backend.search(words("fresh", "alpha beta")).await.expect("search");
    let used = backend.search(words("used", "alpha beta")).await.expect("search");
    assert_eq!(scores(fresh), scores(used));
    Outcome::Ran
}

/// A missing, superfluous or malformed input of the strategy is an error ([invariants 16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16) and [17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
pub async fn invariant_17_inputs_are_checked(backend: &dyn SearchBackend) -> Outcome {
    fill(backend, "acme", &["word"]).await;
    let query = |strategy: &str| BackendQuery::new(fixture::schema_of("acme"), fixture::strategy(strategy));
    let unknown = backend.search(query("no_such").with_text("x")).await.expect_err("refused");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.to_string().contains("there are: bm25_only, float_float, "), "{unknown}");
    let table = [
        query("bm25_only"),
        query("float_float"),
        query("float_float").with_text("words are not vectors"),
        query("float_float").with_vectors(Matrix::new(4, vec![0.5; 4]).expect("one row")),
        query("phased").with_vectors(fixture::row([f32::NAN; 8])),
        query("float_float").with_vectors(Matrix::new(8, vec![]).expect("no row")),
        query("bm25_only").with_text("word").with_page(usize::MAX, 10),
        query("bm25_only").with_text("word").with_filter(Some(Filter::equals(fixture::field("segment_id"), "x"))),
    ];
    for (number, query) in table.into_iter().enumerate() {
        let error = backend.search(query).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "case {number}: {error:?}");
    }
    let nobody = BackendQuery::new(fixture::schema_of("nobody"), fixture::strategy("bm25_only")).with_text("x");
    assert_eq!(backend.search(nobody).await.expect_err("refused").kind(), ErrorKind::NotFound);
    Outcome::Ran
}

/// Expands to one test per case, on a backend that `make` opens for each.
#[macro_export]
macro_rules! search_backend_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?] $(, attributes: $attributes:tt)?) => {
        $crate::contract_cases! {
            search_backend, $make, [$($skip),*] $(, $attributes)?;
            empty_is_empty, invariant_05_hits_are_of_one_tenant, words_rank_and_are_marked,
            invariant_21_query_text_is_literal, vectors_rank, pages_join, filters_come_before_ranking,
            scores_forget_what_is_gone, invariant_17_inputs_are_checked
        }
        $crate::contract_cases! {
            ordered, $make, [$($skip),*] $(, $attributes)?;
            hits_are_sorted_by_a_field, a_sort_takes_part_with_every_strategy, facets_count_all_matches,
            conditions_hold_on_every_kind_of_field, invariant_05_facets_count_one_tenant
        }
        $crate::contract_cases! {
            word_conditions, $make, [$($skip),*] $(, $attributes)?;
            phrases_and_excluded_words_restrict_the_match, invariant_21_conditions_are_literal,
            prefixes_restrict_the_match, unknown_words_are_corrected
        }
    };
}
