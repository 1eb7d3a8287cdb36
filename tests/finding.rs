//! What a search can be asked beside a query: an order, counts, operators, and what is like a moment.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    ErrorCode, ErrorKind, Filter, IngestRequest, IngestSource, Like, MetadataName, MetadataType, SearchParameters,
    SearchRequest, SearchResponse, VideoId,
    encoders::HashEncoder,
    sdk::{
        EncoderInfo, FacetRequest, FieldName, FieldValue, Matrix, PictureEncoder, QueryEncoder, Sort, VectorKind,
        WordCondition, picture::Picture,
    },
};
use std::sync::Arc;
use world::{FRAMES, Probe, TEXT, World, profile, strategy, tenant};

fn field(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

fn ask(words: &str) -> SearchRequest {
    SearchRequest::new(tenant("acme"), profile(TEXT), words).with_strategy(strategy("bm25_only"))
}

/// Three videos of ten segments each, with a rating and topics.
async fn filled(encoder: bool) -> World {
    let probe = Probe::new(384);
    let world = World::with(&["acme", "globex"], |b| b.encoder("probe", probe)).await;
    if encoder {
        world.set_encoder("acme", "probe").await;
    }
    let config = world.cogniverse.operator().config();
    let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    let declared = known
        .with_metadata(MetadataName::parse("rating").unwrap(), MetadataType::Number)
        .with_metadata(MetadataName::parse("topics").unwrap(), MetadataType::List);
    config.set_profile(&tenant("acme"), &profile(TEXT), declared).await.unwrap();
    let mut lines = Vec::new();
    for (video, rating, topics) in [("a", 3, r#"["heat"]"#), ("b", 5, r#"["heat", "light"]"#), ("c", 4, "[]")] {
        for n in 0..10 {
            let words = match n {
                0 => format!("the open sea of {video}"),
                1 => "open the sea".to_owned(),
                _ => format!("harbour number {n} boats"),
            };
            lines.push(format!(
                r#"{{"video_id": "{video}", "segment_id": {n}, "start_time": {n}, "end_time": {}, "audio_transcript": "{words}", "metadata": {{"rating": {rating}, "topics": {topics}}}}}"#,
                n + 1
            ));
        }
    }
    let file = world.file("sea.jsonl", &lines.join("\n"));
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Segments(file));
    assert!(world.cogniverse.ingest(request).await.unwrap().is_complete());
    world
}

async fn search(world: &World, request: SearchRequest) -> SearchResponse {
    world.cogniverse.search(request).await.unwrap()
}

fn found(response: &SearchResponse) -> Vec<(String, i64)> {
    response.results.iter().map(|result| (result.video_id.clone(), result.segment_id)).collect()
}

#[tokio::test]
async fn results_are_ordered_by_a_field_over_all_pages() {
    let world = filled(false).await;
    let by_rating = ask("boats").sorted_by(Sort::descending(field("meta_rating"))).with_top_k(7);
    let mut all = Vec::new();
    let mut request = by_rating.clone();
    loop {
        let page = search(&world, request).await;
        all.extend(page.results.iter().map(|result| result.video_id.clone()));
        let Some(next) = page.next else { break };
        request = by_rating.clone().with_cursor(next);
    }
    assert_eq!(all, [vec!["b"; 8], vec!["c"; 8], vec!["a"; 8]].concat());
    // A cursor belongs to its order.
    let first = search(&world, by_rating.clone()).await.next.unwrap();
    let other = ask("boats").sorted_by(Sort::ascending(field("meta_rating"))).with_top_k(7).with_cursor(first);
    let refused = world.cogniverse.search(other).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PageCursorOtherRequest);
    let wrong = ask("boats").sorted_by(Sort::ascending(field("embedding")));
    assert_eq!(world.cogniverse.search(wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let two = ask("boats").and_profile(profile(FRAMES)).sorted_by(Sort::ascending(field("start_time")));
    assert_eq!(world.cogniverse.search(two).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn matches_are_counted_per_video_and_per_value_not_per_page() {
    let world = filled(false).await;
    let request = ask("sea")
        .with_top_k(1)
        .with_facet(FacetRequest::new(field("video_id"), 2))
        .with_facet(FacetRequest::new(field("meta_topics"), 10))
        .with_facet(FacetRequest::new(field("meta_rating"), 10));
    let answer = search(&world, request.clone()).await;
    let facets = &answer.profiles[0].facets;
    let counts = |n: usize| facets[n].values.iter().map(|count| (count.value.clone(), count.count)).collect::<Vec<_>>();
    assert_eq!(counts(0), [(FieldValue::from("a"), 2), (FieldValue::from("b"), 2)]);
    assert_eq!(facets[0].others, 2);
    assert_eq!(counts(1), [(FieldValue::from("heat"), 4), (FieldValue::from("light"), 2)]);
    assert_eq!(counts(2).len(), 3);
    let filtered = request.with_filter(Filter::equals(field("meta_topics"), "light"));
    assert_eq!(search(&world, filtered).await.profiles[0].facets[0].values.len(), 1);
    // In JSON, as services hand it on.
    let body = r#"{"query": "sea", "facets": [{"field": "video_id", "limit": 5}], "sort": {"field": "start_time", "descending": true}}"#;
    let parameters: SearchParameters = serde_json::from_str(body).unwrap();
    let answer = search(&world, parameters.for_tenant(tenant("acme"), profile(TEXT))).await;
    assert_eq!(answer.results[0].segment_id, 1);
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["profiles"][0]["facets"][0]["values"][0]["count"], 2, "{json}");
}

#[tokio::test]
async fn operators_are_read_where_they_are_asked_for_and_literal_elsewhere() {
    let world = filled(false).await;
    assert_eq!(search(&world, ask("\"open sea\"")).await.results.len(), 6, "all of it is literal");
    let phrase = search(&world, ask("\"open sea\"").with_operators()).await;
    assert_eq!(phrase.results.len(), 3);
    assert!(phrase.results.iter().all(|result| result.segment_id == 0));
    let without = search(&world, ask("sea -open").with_operators()).await;
    assert!(without.results.is_empty());
    let without = search(&world, ask("boats -harbour").with_operators()).await;
    assert!(without.results.is_empty());
    let prefix = search(&world, ask("open sea").with_words(WordCondition::Prefix("oper".into()))).await;
    assert!(prefix.results.is_empty());
    let prefix = search(&world, ask("number harb*").with_operators().with_top_k(100)).await;
    assert_eq!(prefix.results.len(), 24);
    let typed = search(&world, ask("harbuor").with_typos().with_top_k(100)).await;
    assert_eq!(typed.results.len(), 24);
    assert_eq!(typed.profiles[0].corrections[0].word, "harbuor");
    assert!(search(&world, ask("harbuor")).await.results.is_empty());
}

#[tokio::test]
async fn what_is_like_a_moment_is_found_by_its_vectors_and_words() {
    let world = filled(true).await;
    let like = |video: &str, seconds: f64| {
        SearchRequest::like(tenant("acme"), profile(TEXT), Like::new(VideoId::parse(video).unwrap(), seconds))
    };
    let answer = search(&world, like("a", 1.5)).await;
    // The same words stand in the two other videos; the moment itself is left out.
    let mut best = found(&answer)[..2].to_vec();
    best.sort();
    assert_eq!(best, [("b".to_owned(), 1), ("c".to_owned(), 1)]);
    assert!(!found(&answer).contains(&("a".to_owned(), 1)));
    let unknown = world.cogniverse.search(like("a", 99.0)).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::VideoUnknown);
    let foreign = SearchRequest::like(tenant("globex"), profile(TEXT), Like::new(VideoId::parse("a").unwrap(), 1.5));
    assert_eq!(world.cogniverse.search(foreign).await.unwrap_err().code(), ErrorCode::VideoUnknown);
    let mut both = like("a", 1.0);
    both.query = "sea".into();
    for wrong in [like("a", f64::NAN), like("a", -1.0), both] {
        assert_eq!(world.cogniverse.search(wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // A picture, by an encoder that takes them.
    let picture = Picture::parse(PNG.to_vec()).unwrap();
    let by_picture = || SearchRequest::by_picture(tenant("acme"), profile(TEXT), picture.clone());
    assert_eq!(world.cogniverse.search(by_picture()).await.unwrap_err().code(), ErrorCode::EncoderMissing);
    // Without vectors, by words alone.
    let world = filled(false).await;
    let answer = search(&world, like("a", 0.5)).await;
    let best = found(&answer);
    assert!(["b", "c"].iter().all(|video| best[..3].contains(&((*video).to_owned(), 0))), "{best:?}");
}

/// A picture of one pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82,
];

/// Sees the words of segment 1 in every picture.
#[derive(Debug)]
struct Seer(HashEncoder);

#[async_trait]
impl PictureEncoder for Seer {
    fn info(&self) -> &EncoderInfo {
        QueryEncoder::info(&self.0)
    }

    async fn encode_picture(&self, _picture: &Picture) -> cogniverse::Result<Matrix<f32>> {
        self.0.encode_query("open the sea").await
    }
}

#[tokio::test]
async fn what_looks_like_a_picture_is_found() {
    let encoder = Arc::new(HashEncoder::new(384, VectorKind::Multi));
    let seer = Arc::new(Seer(HashEncoder::new(384, VectorKind::Multi)));
    let world = World::with(&["acme"], |b| b.encoder("hash", encoder).picture_encoder("hash", seer)).await;
    world.set_encoder("acme", "hash").await;
    world.ingest("acme", &[("v", 0.0, 1.0, "boats"), ("v", 1.0, 2.0, "open the sea"), ("w", 0.0, 1.0, "sea")]).await;
    let picture = Picture::parse(PNG.to_vec()).unwrap();
    let request = SearchRequest::by_picture(tenant("acme"), profile(TEXT), picture);
    let answer = search(&world, request.clone()).await;
    assert_eq!(found(&answer)[0], ("v".to_owned(), 1));
    let both = request.with_query_vectors(Matrix::from_rows(&[vec![0.0; 384]]).unwrap());
    assert_eq!(world.cogniverse.search(both).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}
