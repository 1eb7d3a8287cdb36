//! Reranked pages and texts with citations: through the whole agent, with models that misbehave.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    AnswerMode, ErrorKind, Result, SearchEvent, SearchRequest,
    agents::{Generation, SearchResult},
    config::RoutingConfig,
    sdk::{ChatAnswer, Error, RerankRequest, RerankScore, Reranker, contract::ScriptedModel},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use world::{TEXT, World, profile, tenant};

/// Puts results into the order of their text, backwards, and fails on the calls that it is told to.
#[derive(Debug)]
struct Backwards {
    calls: AtomicUsize,
    fails: fn(usize) -> bool,
}

impl Backwards {
    fn new(fails: fn(usize) -> bool) -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), fails })
    }
}

#[async_trait]
impl Reranker for Backwards {
    async fn rerank(&self, request: RerankRequest) -> Result<Vec<RerankScore>> {
        request.check()?;
        if (self.fails)(self.calls.fetch_add(1, Ordering::SeqCst)) {
            return Err(Error::new(ErrorKind::Unavailable, "the model is away"));
        }
        let last = |text: &str| text.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or(0.0);
        Ok(request.items.iter().map(|item| RerankScore::new(last(&item.text))).collect())
    }
}

/// Twelve segments whose texts are numbered; by words alone they come in the order of their videos.
async fn numbered(reranker: Arc<Backwards>) -> World {
    let world = World::with(&["acme", "globex"], |b| b.reranker("backwards", reranker)).await;
    let texts: Vec<(String, String)> = (10..22).map(|n| (format!("v{n}"), format!("harbour {n}"))).collect();
    let segments: Vec<(&str, f64, f64, &str)> =
        texts.iter().map(|(video, text)| (video.as_str(), 0.0, 10.0, text.as_str())).collect();
    world.ingest("acme", &segments).await;
    world
}

fn ask() -> SearchRequest {
    SearchRequest::new(tenant("acme"), profile(TEXT), "harbour").with_top_k(5)
}

fn videos(results: &[SearchResult]) -> Vec<&str> {
    results.iter().map(|result| result.video_id.as_str()).collect()
}

async fn all_pages(world: &World, ask: impl Fn() -> SearchRequest) -> Result<(Vec<String>, Vec<bool>)> {
    let (mut found, mut reranked, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let request = cursor.into_iter().fold(ask(), SearchRequest::with_cursor);
        let page = world.cogniverse.search(request).await?;
        found.extend(page.results.iter().map(|result| result.video_id.clone()));
        reranked.push(page.reranking.is_some_and(|reranking| reranking.problem.is_none()));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok((found, reranked)),
        }
    }
}

#[tokio::test]
async fn every_page_of_a_reranked_search_has_the_rerankers_order() {
    let reranker = Backwards::new(|_| false);
    let world = numbered(reranker.clone()).await;
    let (plain, _) = all_pages(&world, ask).await.unwrap();
    let (found, reranked) = all_pages(&world, || ask().with_reranker("backwards")).await.unwrap();
    let wanted: Vec<String> = (10..22).rev().map(|n| format!("v{n}")).collect();
    assert_eq!((found, reranked), (wanted.clone(), vec![true; 3]));
    assert_eq!(reranker.calls.load(Ordering::SeqCst), 1, "the scores of later pages are those of the first");
    let (same, reranked) = all_pages(&world, || ask().with_reranker("none")).await.unwrap();
    assert_eq!((same, reranked), (plain.clone(), vec![false; 3]));
    // The tenant's own where the request names none.
    let config = world.cogniverse.operator().config();
    let own = RoutingConfig::new(tenant("acme")).with_default_reranker("backwards");
    config.set_routing_config(&tenant("acme"), own).await.unwrap();
    assert_eq!(all_pages(&world, ask).await.unwrap().0, wanted);
    let page = world.cogniverse.search(ask()).await.unwrap();
    let first = page.results[0].reranked.as_ref().unwrap();
    assert_eq!((first.score, plain[first.rank_before - 1].as_str()), (21.0, "v21"), "and it is explained");
    assert_eq!(page.reranking.unwrap().considered, 12);
}

#[tokio::test]
async fn the_five_signals_explain_each_result() {
    let world = numbered(Backwards::new(|_| false)).await;
    let page = world.cogniverse.search(ask().with_reranker("signals")).await.unwrap();
    for result in &page.results {
        let found = result.reranked.as_ref().unwrap();
        let names: Vec<&str> = found.signals.keys().map(String::as_str).collect();
        assert_eq!(names, ["complementarity", "cross_modal", "diversity", "original", "temporal"]);
        assert!((0.0..=1.0).contains(&found.score));
    }
    let error = world.cogniverse.search(ask().with_reranker("magic")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("signals"), "{error}");
    // Without a model its reranker is an error with the remedy, not another order.
    let error = world.cogniverse.search(ask().with_reranker("language_model")).await.unwrap_err();
    assert_eq!(error.code(), cogniverse::ErrorCode::LanguageModelMissing);
}

#[tokio::test]
async fn invariant_18_pages_never_mix_two_orders() {
    // The first page's reranker fails: later pages follow its order, though the reranker is back.
    let world = numbered(Backwards::new(|call| call == 0)).await;
    let (plain, _) = all_pages(&world, ask).await.unwrap();
    let (found, reranked) = all_pages(&world, || ask().with_reranker("backwards")).await.unwrap();
    assert_eq!((found, reranked), (plain, vec![false; 3]));
    let page = world.cogniverse.search(ask().with_reranker("backwards")).await.unwrap();
    assert!(page.reranking.unwrap().problem.is_none());
    // A later page's reranker fails: the page is refused. Another process, without the first page's scores, meets this.
    let world = numbered(Backwards::new(|call| call > 0)).await;
    let first = world.cogniverse.search(ask().with_reranker("backwards")).await.unwrap();
    world.cogniverse.suspend(&tenant("acme"), cogniverse::Suspend::new("forgets caches")).await.unwrap();
    world.cogniverse.reactivate(&tenant("acme")).await.unwrap();
    let second = ask().with_reranker("backwards").with_cursor(first.next.unwrap());
    assert_eq!(world.cogniverse.search(second).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// What a tenant's configuration says of the order may change between two pages, and pages never mix two orders.
#[tokio::test]
async fn invariant_18_a_change_between_pages_changes_no_order() {
    let world = numbered(Backwards::new(|_| false)).await;
    let config = world.cogniverse.operator().config();
    let acme = tenant("acme");
    let set = async |change: fn(RoutingConfig) -> RoutingConfig| {
        config.set_routing_config(&acme, change(RoutingConfig::new(acme.clone()))).await.unwrap();
    };
    let rest = async |first: cogniverse::SearchResponse| {
        let mut found: Vec<String> = first.results.iter().map(|result| result.video_id.clone()).collect();
        let mut cursor = first.next;
        while let Some(at) = cursor {
            let page = world.cogniverse.search(ask().with_cursor(at)).await.unwrap();
            found.extend(page.results.iter().map(|result| result.video_id.clone()));
            cursor = page.next;
        }
        found
    };
    let (plain, _) = all_pages(&world, ask).await.unwrap();
    let backwards: Vec<String> = (10..22).rev().map(|n| format!("v{n}")).collect();
    // A reranker comes between two pages, and goes.
    let first = world.cogniverse.search(ask()).await.unwrap();
    set(|own| own.with_default_reranker("backwards")).await;
    assert_eq!(rest(first).await, plain);
    let first = world.cogniverse.search(ask()).await.unwrap();
    set(|own| own).await;
    assert_eq!(rest(first).await, backwards);
    // A strategy, likewise: of one that orders otherwise the pages would overlap.
    let first = world.cogniverse.search(ask()).await.unwrap();
    set(|own| own.with_default_strategy(cogniverse::StrategyName::parse("bm25_no_description").unwrap())).await;
    assert_eq!(rest(first).await, plain);
}

/// Beyond those that are scored anew the order is the strategy's, and nothing is cut off.
#[tokio::test]
async fn a_reranked_search_has_as_many_pages_as_any() {
    let world = World::with(&["acme"], |b| b.reranker("backwards", Backwards::new(|_| false))).await;
    let names: Vec<String> = (0..640).map(|n| format!("v{n:03}")).collect();
    let segments: Vec<(&str, f64, f64, &str)> =
        names.iter().map(|video| (video.as_str(), 0.0, 10.0, "harbour 7")).collect();
    world.ingest("acme", &segments).await;
    for size in [7, 90, 150, 640] {
        let ask = || ask().with_top_k(size).with_reranker("backwards");
        let (mut found, _) = all_pages(&world, ask).await.unwrap();
        found.sort();
        assert_eq!(found, names, "{size} a page");
    }
}

#[tokio::test]
async fn a_tenants_reranker_that_cannot_work_ends_no_search() {
    let world = numbered(Backwards::new(|_| false)).await;
    let config = world.cogniverse.operator().config();
    let (plain, _) = all_pages(&world, ask).await.unwrap();
    for (name, why) in [("backwrads", "not_found"), ("language_model", "language_model_missing")] {
        let own = RoutingConfig::new(tenant("acme")).with_default_reranker(name);
        config.set_routing_config(&tenant("acme"), own).await.unwrap();
        let page = world.cogniverse.search(ask()).await.unwrap();
        assert!(page.is_degraded());
        assert!(page.reranking.unwrap().problem.unwrap().starts_with(why));
        assert_eq!(all_pages(&world, ask).await.unwrap().0, plain);
    }
}

/// A reranker that is slow, and does not look at its limit.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl Reranker for Slow {
    async fn rerank(&self, _request: RerankRequest) -> Result<Vec<RerankScore>> {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_slow_reranker_costs_the_order_and_not_the_results() {
    let world = World::with(&["acme"], |b| b.reranker("slow", Arc::new(Slow))).await;
    world.ingest("acme", &[("a", 0.0, 5.0, "harbour")]).await;
    let request = ask().with_reranker("slow").with_timeout(Duration::from_millis(1500));
    let page = world.cogniverse.search(request).await.unwrap();
    assert_eq!(videos(&page.results), ["a"]);
    assert!(page.reranking.unwrap().problem.unwrap().starts_with("timeout"));
}

async fn told(world: &World, request: SearchRequest) -> (cogniverse::SearchResponse, Vec<String>) {
    let mut events = Vec::new();
    let response = world
        .cogniverse
        .search_streamed(request, |event| {
            events.push(match event {
                SearchEvent::Results(found) => format!("{} results", found.len()),
                SearchEvent::Statement(statement) => statement.to_string(),
                other => format!("{other:?}"),
            });
        })
        .await
        .unwrap();
    (response, events)
}

#[tokio::test]
async fn a_query_that_asks_for_a_summary_gets_one_from_what_was_found_alone() {
    let model = Arc::new(ScriptedModel::of_texts(["The price was 9 euros [1].\nThe crane is red [9].\nIt rained."]));
    let world = World::with(&["acme", "globex"], |b| b.language_model(model.clone())).await;
    world.ingest("acme", &[("talk", 60.0, 90.0, "the price of the harbour was 9 euros")]).await;
    world.ingest("globex", &[("secret", 0.0, 30.0, "the harbour of globex")]).await;
    let request = SearchRequest::routed(tenant("acme"), "summarize what was said about the harbour");
    let (response, events) = told(&world, request).await;
    let answer = response.answer.unwrap();
    assert_eq!(events, ["1 results", "The price was 9 euros. [talk 1:00]"]);
    assert_eq!((answer.generation, answer.statements.len()), (Generation::Summary, 1));
    assert_eq!((answer.dropped_citations, answer.dropped_statements, answer.problem), (1, 2, None));
    let cited = &answer.statements[0].citations[0];
    assert_eq!((cited.video_id.as_str(), cited.start_time, cited.end_time), ("talk", 60.0, 90.0));
    // Invariant 1: the model was shown nothing of another tenant, so that nothing can be cited.
    let shown = format!("{:?}", model.requests());
    assert!(shown.contains("9 euros") && !shown.contains("globex"), "{shown}");
}

#[tokio::test]
async fn results_never_depend_on_the_text() {
    let world = |model: ScriptedModel| async move {
        let world = World::with(&["acme"], |b| b.language_model(Arc::new(model))).await;
        world.ingest("acme", &[("a", 0.0, 5.0, "harbour"), ("b", 0.0, 5.0, "harbour crane")]).await;
        world
    };
    let asked = || ask().with_answer(AnswerMode::Report);
    let without = world(ScriptedModel::new([])).await;
    let plain = without.cogniverse.search(ask()).await.unwrap();
    assert!(plain.answer.is_none(), "nobody asked");
    let (failed, events) = told(&without, asked()).await;
    assert_eq!((videos(&failed.results), events.len()), (videos(&plain.results), 1));
    assert!(failed.answer.unwrap().problem.unwrap().starts_with("unexpected"));
    // No model at all: a text was asked for by name, and the results come all the same.
    let world_without = World::with(&["acme"], |b| b).await;
    world_without.ingest("acme", &[("a", 0.0, 5.0, "harbour")]).await;
    let answer = world_without.cogniverse.search(asked()).await.unwrap().answer.unwrap();
    assert!(answer.problem.unwrap().starts_with("language_model_missing"));
    // Nothing found: no model is asked to say something.
    let model = ScriptedModel::of_texts(["An invention [1]."]);
    let nothing = world(model).await;
    let request = SearchRequest::new(tenant("acme"), profile(TEXT), "absent").with_answer(AnswerMode::Summary);
    let response = nothing.cogniverse.search(request).await.unwrap();
    assert!(response.results.is_empty() && response.answer.unwrap().statements.is_empty());
    // A later page is of the same search, whose text was written.
    let talkative = world(ScriptedModel::from_fn(|_| Ok(ChatAnswer::new("It is so [1].")))).await;
    let first = talkative.cogniverse.search(asked().with_top_k(1)).await.unwrap();
    assert_eq!(first.answer.unwrap().statements.len(), 1);
    let second = asked().with_top_k(1).with_cursor(first.next.unwrap());
    assert!(talkative.cogniverse.search(second).await.unwrap().answer.is_none());
}

#[tokio::test]
async fn a_text_that_is_never_finished_ends_with_the_search() {
    let slow = ScriptedModel::of_texts(["It is so [1]."]).with_delay(Duration::from_secs(60));
    let world = World::with(&["acme"], |b| b.language_model(Arc::new(slow))).await;
    world.ingest("acme", &[("a", 0.0, 5.0, "harbour")]).await;
    let request = ask().with_answer(AnswerMode::Summary).with_timeout(Duration::from_millis(1500));
    let began = std::time::Instant::now();
    let response = world.cogniverse.search(request).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((response.results.len(), response.answer.unwrap().statements.len()), (1, 0));
}

#[tokio::test]
async fn a_language_model_reranks_where_it_is_asked_to() {
    let model = ScriptedModel::from_fn(|request| {
        let lines = request.messages[1].content.lines().skip(1).count();
        let judged: Vec<String> =
            (1..=lines).map(|number| format!("{{\"number\": {number}, \"relevance\": {}}}", number.min(10))).collect();
        Ok(ChatAnswer::new(format!("{{\"results\": [{}]}}", judged.join(", "))))
    });
    let world = World::with(&["acme"], |b| b.language_model(Arc::new(model))).await;
    world.ingest("acme", &[("a", 0.0, 5.0, "harbour"), ("b", 0.0, 5.0, "harbour crane tea")]).await;
    let page = world.cogniverse.search(ask().with_reranker("language_model")).await.unwrap();
    assert_eq!(videos(&page.results), ["b", "a"]);
    assert_eq!(page.results[0].reranked.as_ref().unwrap().signals["relevance"], 0.2);
}
