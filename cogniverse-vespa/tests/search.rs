//! Searching: what is sent, and what comes back wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse_sdk::{
    BackendQuery, ConfigKey, ConfigOwner, ConfigScope, ConfigStore, ErrorKind, Matrix, SchemaStore, SearchBackend,
    config_store::PutConfig,
    contract::fixture,
    search_backend::{Coverage, PartialCause},
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::time::{Duration, Instant};
use vespa_testkit::{Fault, Route, TestServerOptions};
use world::{deploy, fill, words, world, world_with};

fn searches(server: &vespa_testkit::TestServer) -> usize {
    server.requests().iter().filter(|seen| seen.path.starts_with("/search")).count()
}

/// What cannot be answered is refused before anything is sent, with what exists.
#[tokio::test]
async fn invariant_16_and_17_a_query_is_checked_before_it_is_sent() {
    let (backend, server) = world().await;
    fill(&backend, "acme", 3).await;
    server.forget_requests();
    let query = |strategy: &str| BackendQuery::new(fixture::schema_of("acme"), fixture::strategy(strategy));
    let unknown = backend.search(query("fastest").with_text("x")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.to_string().contains("bm25_only, float_float, hybrid_fused, hybrid_rrf, phased"), "{unknown}");
    for rows in [
        Matrix::new(7, vec![0.5; 7]).unwrap(),
        Matrix::new(9, vec![0.5; 9]).unwrap(),
        Matrix::new(8, vec![f32::NAN; 8]).unwrap(),
        Matrix::new(8, vec![f32::INFINITY; 8]).unwrap(),
    ] {
        let error = backend.search(query("float_float").with_vectors(rows)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(searches(&server), 0);
}

/// A hit of another tenant comes back under that tenant's name, for the caller to see; one of nobody's is an error.
#[tokio::test]
async fn invariant_05_a_hit_says_whose_it_is() {
    let (backend, server) = world().await;
    fill(&backend, "acme", 2).await;
    fill(&backend, "globex", 2).await;
    let foreign = fixture::schema_of("globex");
    let order = server.faults().always(Route::Search, Fault::ForeignHit(foreign.physical_name().to_owned()));
    let hits = backend.search(words("acme", "common")).await.unwrap();
    assert_eq!(hits.hits.iter().filter(|hit| hit.schema == foreign).count(), 1, "{hits:?}");
    server.faults().remove(order);
    let key = ConfigKey::new(ConfigOwner::System, ConfigScope::System, "system", "k");
    let store = backend.config_store().await.unwrap();
    store.put(PutConfig::new(key, serde_json::json!(1))).await.unwrap();
    server.faults().always(Route::Search, Fault::ForeignHit("config_metadata".to_owned()));
    let error = backend.search(words("acme", "common")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.to_string().contains("it was not shown"), "{error}");
}

/// An answer that speaks of a part says so, and why.
#[tokio::test]
async fn invariant_18_degraded_answers_say_so() {
    let (backend, server) = world().await;
    fill(&backend, "acme", 4).await;
    server.faults().always(Route::Search, Fault::DegradedCoverage);
    let hits = backend.search(words("acme", "common")).await.unwrap();
    let Coverage::Partial { cause, reason } = &hits.coverage else { panic!("{hits:?}") };
    assert!(matches!(cause, PartialCause::Timeout | PartialCause::Nodes), "{cause:?}");
    assert!(reason.contains('%'), "{reason}");
}

/// No error of Vespa is an empty answer, and each is told apart.
#[tokio::test]
async fn invariant_09_errors_are_no_empty_answers() {
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_attempts(2)).await;
    fill(&backend, "acme", 2).await;
    for (fault, kind) in [
        (Fault::Status(400), ErrorKind::InvalidInput),
        (Fault::Status(429), ErrorKind::RateLimited),
        (Fault::Status(503), ErrorKind::Unavailable),
        (Fault::EmptyStatus(503), ErrorKind::Unavailable),
        (Fault::Status(504), ErrorKind::Timeout),
        (Fault::Status(500), ErrorKind::Unavailable),
        (Fault::Reset, ErrorKind::Unavailable),
    ] {
        server.faults().always(Route::Search, fault.clone());
        let error = backend.search(words("acme", "common")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error:?}");
        server.faults().clear();
    }
    server.faults().always(Route::Search, Fault::Slow(Duration::from_secs(600)));
    let late = words("acme", "common").with_timeout(Some(Duration::from_millis(100)));
    assert_eq!(backend.search(late).await.unwrap_err().kind(), ErrorKind::Timeout);
    server.faults().clear();
    assert_eq!(backend.search(words("acme", "common")).await.unwrap().hits.len(), 2, "and it goes on");
}

/// Searches go on while the config server is away, with what was known; what another process deploys is seen.
#[tokio::test]
async fn invariant_22_what_others_deploy_is_seen_and_a_dead_config_server_stops_no_search() {
    let (backend, server) =
        world_with(TestServerOptions::default(), |c| c.with_catalog_age(Duration::ZERO).with_attempts(1)).await;
    fill(&backend, "acme", 2).await;
    let other = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    deploy(&other, &["globex"]).await.unwrap();
    assert!(backend.search(words("globex", "common")).await.unwrap().hits.is_empty());
    other.drop_schema(&fixture::schema_of("globex")).await.unwrap();
    assert_eq!(backend.search(words("globex", "common")).await.unwrap_err().kind(), ErrorKind::NotFound);
    for route in [Route::Application, Route::Content] {
        server.faults().always(route, Fault::Status(503));
    }
    assert_eq!(backend.search(words("acme", "common")).await.unwrap().hits.len(), 2);
}

/// A config server that hangs holds up one search at most, and a deployment that it fails takes nothing away that is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_24_a_hanging_config_server_makes_no_queue() {
    let short =
        |c: VespaConfig| c.with_catalog_age(Duration::ZERO).with_attempts(1).with_timeout(Duration::from_secs(1));
    let (backend, server) =
        world_with(TestServerOptions::default(), |c| short(c).with_deploy_timeout(Duration::from_millis(500))).await;
    fill(&backend, "acme", 2).await;
    for route in [Route::Application, Route::Content] {
        server.faults().always(route, Fault::Slow(Duration::from_secs(600)));
    }
    deploy(&backend, &["globex"]).await.unwrap_err();
    let begun = Instant::now();
    let searches = (0..20).map(|_| backend.search(words("acme", "common")));
    for found in futures_util::future::join_all(searches).await {
        assert_eq!(found.unwrap().hits.len(), 2);
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// A config server whose every answer takes longer than a search waits: what another process deployed is seen by a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_22_what_others_deploy_is_seen_also_by_a_slow_config_server() {
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_catalog_age(Duration::ZERO)).await;
    fill(&backend, "acme", 2).await;
    assert_eq!(backend.search(words("acme", "common")).await.unwrap().hits.len(), 2);
    let other = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    deploy(&other, &["globex"]).await.unwrap();
    for route in [Route::Application, Route::Content] {
        server.faults().always(route, Fault::Slow(Duration::from_millis(600)));
    }
    let begun = Instant::now();
    while let Err(error) = backend.search(words("globex", "common")).await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never seen: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The text is a parameter: whatever it holds, the same documents are asked for.
#[tokio::test]
async fn invariant_21_a_query_text_is_only_words() {
    let (backend, _server) = world().await;
    fill(&backend, "acme", 3).await;
    fill(&backend, "globex", 3).await;
    for text in [
        "common\" or true or \"",
        "common) or (true",
        "@q common",
        "{\"common\": 1}",
        "common'; select * from contract_video_globex where true;",
        "sddocname:contract_video_globex common",
        "\u{0}\u{1}common\u{202e}",
        "common limit 400 offset 10",
    ] {
        let hits = backend.search(words("acme", text)).await.unwrap();
        assert!(hits.hits.iter().all(|hit| hit.schema == fixture::schema_of("acme")), "{text}");
        assert!(hits.hits.len() <= 3, "{text}");
    }
}
