//! The agent, wired as users wire it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    ErrorKind, Filter, Grouping, PageCursor, SearchRequest, SearchResponse, Suspend, TimeRange,
    guarded_backend::{GuardedBackend, LeakPolicy},
    sdk::{BaseSchema, FieldName, Matrix, TenantSchema},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};
use world::{Probe, TEXT, World, leaky::Leaky, profile, strategy, tenant};

fn ask(of: &str, query: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), query)
}

fn videos(answer: &SearchResponse) -> Vec<&str> {
    answer.results.iter().map(|result| result.video_id.as_str()).collect()
}

#[tokio::test]
async fn the_first_search_needs_no_model_and_says_how_it_came_about() {
    let world = World::with(&["acme"], |b| b).await;
    world.ingest("acme", &[("talk", 0.0, 10.0, "we lift weights"), ("talk", 10.0, 20.0, "we rest")]).await;
    let answer = world.cogniverse.search(ask("acme", "lifting")).await.unwrap();
    let hit = &answer.results[0];
    assert_eq!((hit.video_id.as_str(), hit.segment_id, hit.start_time, hit.end_time), ("talk", 0, 0.0, 10.0));
    assert_eq!((hit.text.as_str(), hit.strategy.as_str()), ("we lift weights", "bm25_only"));
    assert_eq!(hit.evidence[0].snippets.last().unwrap().marked("[", "]"), "we [lift] weights");
    let how = &answer.profiles[0];
    assert_eq!((how.matched, how.strategy.as_str(), how.encoder.as_deref()), (1, "bm25_only", None));
    assert!(!answer.is_degraded() && !answer.is_partial() && answer.next.is_none());
}

#[tokio::test]
async fn invariant_16_what_is_unknown_is_named_with_what_exists() {
    let world = World::with(&["acme"], |b| b).await;
    let search = |request| async { world.cogniverse.search(request).await.unwrap_err() };
    let table = [
        (ask("acne", "x"), ErrorKind::NotFound, "tenant \"acne\" is not found or not allowed; create it"),
        (
            SearchRequest::new(tenant("acme"), profile("colpali"), "x"),
            ErrorKind::NotFound,
            "video_colpali_smol500_mv_frame",
        ),
        (
            SearchRequest::new(tenant("acme"), profile("video_colpali_smol500_mv_frame"), "x"),
            ErrorKind::NotFound,
            "deploy_schemas",
        ),
        (ask("acme", "x").with_strategy(strategy("bm25")), ErrorKind::NotFound, "bm25_only"),
        (ask("acme", "x").with_strategy(strategy("float_float")), ErrorKind::FailedPrecondition, "no encoder"),
        (
            ask("acme", "x").with_filter(Filter::equals(FieldName::parse("speaker").unwrap(), "y")),
            ErrorKind::InvalidInput,
            "video_id",
        ),
        (ask("acme", "x").with_top_k(0), ErrorKind::InvalidInput, "top_k"),
        (ask("acme", "x").and_profile(profile(TEXT)), ErrorKind::InvalidInput, "twice"),
        (ask("acme", &"x".repeat(20_000)), ErrorKind::InvalidInput, "bytes long"),
    ];
    for (request, kind, part) in table {
        let error = search(request).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.chain().contains(part), "{part}: {error:?}");
    }
}

#[tokio::test]
async fn invariant_04_a_suspended_tenant_is_refused_at_once_and_its_caches_are_empty() {
    let encoder = Probe::new(384);
    let world = World::with(&["acme", "globex"], |b| b.encoder("probe", encoder.clone())).await;
    for name in ["acme", "globex"] {
        world.set_encoder(name, "probe").await;
        world.ingest(name, &[("v", 0.0, 1.0, "shared words")]).await;
        world.cogniverse.search(ask(name, "words")).await.unwrap();
        world.cogniverse.search(ask(name, "words")).await.unwrap();
    }
    assert_eq!(encoder.queries.load(Ordering::SeqCst), 2, "cached by tenant, not across tenants");
    let suspension = world.cogniverse.suspend(&tenant("acme"), Suspend::new("unpaid")).await.unwrap();
    assert_eq!(suspension.in_flight, []);
    let error = world.cogniverse.search(ask("acme", "words")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("unpaid") && error.to_string().contains("reactivate"), "{error}");
    let ingest = cogniverse::IngestRequest::new(tenant("acme"), profile(TEXT), cogniverse::IngestSource::Files(vec![]));
    assert_eq!(world.cogniverse.ingest(ingest).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    world.cogniverse.search(ask("globex", "words")).await.unwrap();
    world.cogniverse.reactivate(&tenant("acme")).await.unwrap();
    assert_eq!(world.cogniverse.search(ask("acme", "words")).await.unwrap().results.len(), 1);
    assert_eq!(
        encoder.queries.load(Ordering::SeqCst),
        3,
        "what the suspended tenant had was let go, the other's was kept"
    );
}

#[tokio::test]
async fn invariant_08_cursors_belong_to_one_tenant_and_one_query() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    for name in ["acme", "globex"] {
        let segments: Vec<(&str, f64, f64, &str)> =
            (0..23).map(|n| ("v", f64::from(n) * 10.0, f64::from(n) * 10.0 + 5.0, "same words")).collect();
        world.ingest(name, &segments).await;
    }
    let mut seen = Vec::new();
    let mut request = ask("acme", "words").with_top_k(5);
    let first = world.cogniverse.search(request.clone()).await.unwrap();
    loop {
        let page = world.cogniverse.search(request.clone()).await.unwrap();
        seen.extend(page.results.iter().map(|result| result.segment_id));
        match page.next {
            Some(next) => request = request.with_cursor(next),
            None => break,
        }
    }
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 23);
    assert_eq!(seen.len(), 23);
    let cursor = first.next.unwrap();
    for wrong in [
        ask("globex", "words").with_cursor(cursor.clone()),
        ask("acme", "other words").with_cursor(cursor.clone()),
        ask("acme", "words").with_cursor(cursor).grouped_by(Grouping::Moments),
        ask("acme", "words").with_cursor(PageCursor::from_text("eyJ0ZW5hbnQ")),
    ] {
        let error = world.cogniverse.search(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
}

#[tokio::test]
async fn filters_ranges_and_moments() {
    let world = World::with(&["acme"], |b| b).await;
    let segments = [
        ("a", 0.0, 10.0, "dog"),
        ("a", 10.0, 20.0, "dog"),
        ("a", 60.0, 70.0, "dog dog"),
        ("b", 5.0, 15.0, "dog"),
        ("b", 20.0, 30.0, "cat"),
    ];
    world.ingest("acme", &segments).await;
    let search = |request: SearchRequest| async { world.cogniverse.search(request).await.unwrap() };
    let within = search(ask("acme", "dog").with_time_range(TimeRange::new(12.0, 60.0).unwrap())).await;
    let spans: BTreeSet<(String, i64)> = within.results.iter().map(|r| (r.video_id.clone(), r.segment_id)).collect();
    assert_eq!(spans, BTreeSet::from([("a".to_owned(), 1), ("b".to_owned(), 3)]));
    let only = Filter::from_json(&serde_json::json!({"video_id": "a", "start_time": {"lt": 50}})).unwrap();
    assert_eq!(search(ask("acme", "dog").with_filter(only)).await.results.len(), 2);
    let moments = search(ask("acme", "dog").grouped_by(Grouping::Moments)).await;
    let spans: Vec<(&str, f64, f64)> =
        moments.results.iter().map(|m| (m.video_id.as_str(), m.start_time, m.end_time)).collect();
    assert_eq!(spans.len(), 3);
    assert!(
        spans.contains(&("a", 0.0, 20.0)) && spans.contains(&("a", 60.0, 70.0)) && spans.contains(&("b", 5.0, 15.0)),
        "{spans:?}"
    );
}

#[tokio::test]
async fn invariant_17_18_encoders_are_checked_and_failures_are_said() {
    let (good, wide) = (Probe::new(384), Probe::new(128));
    let world = World::with(&["acme"], |b| b.encoder("good", good.clone()).encoder("wide", wide.clone())).await;
    world.set_encoder("acme", "good").await;
    world.ingest("acme", &[("v", 0.0, 1.0, "alpha beta"), ("w", 0.0, 1.0, "gamma")]).await;
    let answer = world.cogniverse.search(ask("acme", "gamma")).await.unwrap();
    assert_eq!((videos(&answer)[0], answer.profiles[0].strategy.as_str()), ("w", "hybrid_fused"));
    assert!(answer.results[0].evidence[0].first_phase.is_some());
    assert!(answer.profiles[0].config_version >= 1 && answer.profiles[0].encoder.as_deref() == Some("hash-384"));
    let without_words = ask("acme", "").with_query_vectors(Matrix::new(384, vec![0.1; 384]).unwrap());
    let answer = world.cogniverse.search(without_words).await.unwrap();
    assert_eq!(answer.profiles[0].strategy.as_str(), "phased", "there is nothing to fuse");
    let given = ask("acme", "")
        .with_strategy(strategy("float_float"))
        .with_query_vectors(Matrix::new(384, vec![0.1; 384]).unwrap());
    assert_eq!(world.cogniverse.search(given).await.unwrap().results.len(), 2);
    // It fails: an error, or an answer by words that says so.
    good.broken.store(true, Ordering::SeqCst);
    let error = world.cogniverse.search(ask("acme", "alpha")).await.unwrap_err();
    assert!(error.chain().contains("the model server is away"), "{error:?}");
    let degraded = world.cogniverse.search(ask("acme", "alpha").allowing_degraded()).await.unwrap();
    assert!(degraded.is_degraded());
    assert_eq!(videos(&degraded), ["v"]);
    let why = degraded.profiles[0].degraded.as_ref().unwrap();
    assert!(why.reason.contains("away") && why.wanted.as_str() == "hybrid_fused");
    // Another dimension is noticed before anything is encoded.
    world.set_encoder("acme", "wide").await;
    let error = world.cogniverse.search(ask("acme", "alpha")).await.unwrap_err();
    assert!(error.to_string().contains("128") && error.to_string().contains("v[384]"), "{error}");
    world.set_encoder("acme", "nobody").await;
    let error = world.cogniverse.search(ask("acme", "alpha")).await.unwrap_err();
    assert!(error.to_string().contains("unknown query encoder \"nobody\"; there are: good, wide"), "{error}");
}

#[tokio::test]
async fn profiles_are_fused_by_rank() {
    let world = World::with(&["acme"], |b| b).await;
    let acme = tenant("acme");
    let other = profile("video_colqwen_omni_mv_chunk_30s");
    world.cogniverse.deploy(&acme, &other).await.unwrap();
    world.ingest("acme", &[("a", 0.0, 5.0, "dog"), ("b", 0.0, 5.0, "dog dog"), ("c", 0.0, 5.0, "dog dog dog")]).await;
    let line = |video: &str, text: &str| {
        format!(
            "{}\n",
            serde_json::json!({"video_id": video, "segment_id": 7, "start_time": 0.0, "end_time": 30.0, "audio_transcript": text})
        )
    };
    let file = world.file("more.jsonl", &(line("a", "dog dog dog") + &line("d", "dog")));
    world
        .cogniverse
        .ingest(cogniverse::IngestRequest::new(acme, other.clone(), cogniverse::IngestSource::Segments(file)))
        .await
        .unwrap();
    let answer =
        world.cogniverse.search(ask("acme", "dog").and_profile(other).grouped_by(Grouping::Moments)).await.unwrap();
    assert_eq!(answer.profiles.iter().map(|p| p.matched).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(videos(&answer)[0], "a", "found by both: {:?}", videos(&answer));
    assert_eq!(answer.results[0].evidence.len(), 2);
    assert_eq!(videos(&answer).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_searches_at_once_see_only_their_own() {
    let tenants: Vec<String> = (0..20).map(|n| format!("tenant_{n}")).collect();
    let names: Vec<&str> = tenants.iter().map(String::as_str).collect();
    let world = World::with(&names, |b| b).await;
    for name in &names {
        world.ingest(name, &[(&format!("of_{name}"), 0.0, 1.0, "common words"), ("shared", 1.0, 2.0, name)]).await;
    }
    let searches = (0..400).map(|n| {
        let (agent, name) = (world.cogniverse.agent().clone(), tenants[n % tenants.len()].clone());
        tokio::spawn(async move {
            let answer = agent.search(ask(&name, "common")).await.unwrap();
            assert_eq!(videos(&answer), [format!("of_{name}")]);
        })
    });
    for search in searches.collect::<Vec<_>>() {
        search.await.unwrap();
    }
    assert_eq!(world.cogniverse.agent().leaked_hits(), 0);
}

#[tokio::test]
async fn invariant_05_a_leaking_backend_is_caught() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    for name in ["acme", "globex"] {
        world.ingest(name, &[(&format!("of_{name}"), 0.0, 1.0, "words")]).await;
    }
    let base = cogniverse::SchemaName::parse(TEXT).unwrap();
    let leaky = Arc::new(Leaky::new(
        world.cogniverse.operator().backend().clone(),
        TenantSchema::new(&tenant("globex"), &base),
    ));
    let agent = |policy| {
        let operator = world.cogniverse.operator();
        let leaky = GuardedBackend::new(leaky.clone(), operator.audit().clone()).with_leak_policy(policy);
        cogniverse::VideoSearchAgent::builder(leaky, operator.schemas().clone(), operator.gate().clone()).build()
    };
    let strict = agent(LeakPolicy::Fail);
    let error = strict.search(ask("acme", "words")).await.unwrap_err();
    assert_eq!((error.kind(), strict.leaked_hits()), (ErrorKind::Unexpected, 1));
    assert!(!error.to_string().contains("of_globex"), "the error must not tell what leaked");
    let dropping = agent(LeakPolicy::Drop);
    assert_eq!(videos(&dropping.search(ask("acme", "words")).await.unwrap()), ["of_acme"]);
    assert_eq!(dropping.leaked_hits(), 1);
}

#[tokio::test]
async fn invariant_02_tenants_whose_names_meet_are_refused() {
    let custom = |name: &str| -> BaseSchema {
        let mut schema = (*cogniverse::sdk::contract::fixture::schema()).clone();
        schema.name = cogniverse::SchemaName::parse(name).unwrap();
        schema
    };
    let loader = cogniverse::schemas::InMemorySchemaLoader::new([custom("video"), custom("video_x")]);
    let folder = tempfile::tempdir().unwrap();
    let wired =
        cogniverse::Cogniverse::builder().data_dir(folder.path()).schema_loader(Arc::new(loader)).open().await.unwrap();
    let base = |name: &str| cogniverse::SchemaName::parse(name).unwrap();
    wired.operator().schemas().deploy(&tenant("x_y"), &base("video")).await.unwrap();
    let error = wired.operator().schemas().deploy(&tenant("y"), &base("video_x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("x_y") && error.to_string().contains("video_x"), "{error}");
}
