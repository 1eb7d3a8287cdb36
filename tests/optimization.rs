//! Routing learns from a tenant's own searches: by what users do, by people and by a judge; it is measured, taken back
//! where it does harm, and nobody else's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Error, ErrorCode, Result, SearchRequest, SearchResponse, TenantId,
    agents::{OptimizationOptions, OptimizationOrchestrator, optimization::OptimizationOutcome},
    config::{Changed, Evidence, LearnedRouting, RoutingConfig, TelemetryConfig},
    sdk::{
        ChatAnswer, Clock, Experience, ExperienceNote, ExperiencePage, ExperienceStore, Feedback, ManualClock,
        Modality, RouteLabel, SearchId, TelemetryProvider, Timestamp,
        contract::ScriptedModel,
        telemetry_provider::{
            AnnotateSpans, AnnotationQuery, AnnotatorKind, ProjectName, Span, SpanAnnotation, SpanId, TraceId,
        },
    },
};
use cogniverse_phoenix::InMemoryTraces;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use world::{TEXT, World, profile, tenant};

const DAY: Duration = Duration::from_secs(86_400);
const TOPICS: [&str; 12] = [
    "pricing",
    "onboarding",
    "security",
    "hiring",
    "harbour",
    "logistics",
    "budget",
    "roadmap",
    "support",
    "brand",
    "safety",
    "travel",
];

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_second(1_790_000_000).unwrap()))
}

/// The text profile serves every kind of content, so that the kind alone decides what a user is content with.
async fn world(
    clock: &Arc<ManualClock>,
    more: impl FnOnce(cogniverse::CogniverseBuilder) -> cogniverse::CogniverseBuilder,
) -> World {
    let clock = clock.clone();
    let world = World::with(&["acme", "globex"], |b| more(b.clock(clock))).await;
    for of in ["acme", "globex"] {
        let segments: Vec<(String, &str)> = TOPICS.iter().map(|topic| (format!("v-{topic}"), *topic)).collect();
        let segments: Vec<(&str, f64, f64, &str)> =
            segments.iter().map(|(video, topic)| (video.as_str(), 0.0, 5.0, *topic)).collect();
        world.ingest(of, &segments).await;
    }
    world
}

async fn ask(world: &World, of: &str, query: &str) -> SearchResponse {
    world.cogniverse.search(SearchRequest::routed(tenant(of), query)).await.unwrap()
}

/// What people of this company mean: a "keynote" is a slide deck there.
fn meant(query: &str) -> Modality {
    if query.contains("keynote") { Modality::Document } else { Modality::Video }
}

/// A day of searches: users watch where the kind is the one that they meant, and ask again where it is not.
async fn day(world: &World, of: &str, number: usize, meant: fn(&str) -> Modality) -> f64 {
    let mut content = 0;
    for (at, topic) in TOPICS.iter().enumerate() {
        for query in [format!("{topic} keynote {number}"), format!("how {topic} works part {at}")] {
            let found = ask(world, of, &query).await;
            let is_right = found.route.unwrap().modality == meant(&query);
            content += usize::from(is_right);
            let feedback = if is_right { Feedback::Watched } else { Feedback::AskedAgain };
            let learned =
                world.cogniverse.record_feedback(&tenant(of), &found.search_id, feedback, Some(profile(TEXT))).await;
            assert!(learned.unwrap());
        }
    }
    content as f64 / (2 * TOPICS.len()) as f64
}

fn optimizer(world: &World, of: &str) -> OptimizationOrchestrator {
    world.cogniverse.optimizer(tenant(of), OptimizationOptions::new())
}

async fn routing_of(world: &World, of: &str) -> String {
    let config = world.cogniverse.operator().config();
    serde_json::to_value(config.export_tenant(&tenant(of)).await.unwrap()).unwrap()["entries"].to_string()
}

/// A person says what would have been right, for some of the searches.
async fn annotate(world: &World, of: &str, orchestrator: &OptimizationOrchestrator, number: usize) {
    for topic in TOPICS.iter().take(6) {
        let query = format!("the {topic} keynote of team {number}");
        let found = ask(world, of, &query).await;
        let label = match found.route.unwrap().modality {
            Modality::Document => RouteLabel::CorrectRouting,
            _ => RouteLabel::WrongRouting,
        };
        orchestrator.annotate(&found.search_id, label, Some(Modality::Document)).await.unwrap();
    }
}

/// Six days of the company acme, of which a person annotates the last three.
async fn six_days(world: &World, clock: &ManualClock, orchestrator: &OptimizationOrchestrator) {
    for number in 0..6 {
        day(world, "acme", number, meant).await;
        if number >= 3 {
            annotate(world, "acme", orchestrator, number).await;
        }
        clock.advance(DAY);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_13_a_tenants_words_are_learned_with_evidence_and_can_be_rolled_back() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
    let untouched = routing_of(&world, "globex").await;
    assert_eq!(ask(&world, "acme", "the pricing keynote").await.route.unwrap().modality, Modality::Video);
    let before = day(&world, "acme", 0, meant).await;
    let few = orchestrator.run_once().await.unwrap();
    assert!(matches!(few.outcome, OptimizationOutcome::TooFew { need: 50, .. }), "{few:?}");
    for number in 1..6 {
        clock.advance(DAY);
        day(&world, "acme", number, meant).await;
        annotate(&world, "acme", &orchestrator, number).await;
    }
    let report = orchestrator.run_once().await.unwrap();
    let OptimizationOutcome::Changed { version, before: expected_before, after: expected_after } = report.outcome
    else {
        unreachable!("{report:?}")
    };
    assert!(expected_after >= expected_before + 0.05, "{report:?}");
    let after = day(&world, "acme", 7, meant).await;
    assert!(after > before + 0.1, "{before} {after}");
    assert_eq!(ask(&world, "acme", "the pricing keynote").await.route.unwrap().modality, Modality::Document);
    // Who did it, why, and by what evidence; and back again.
    let config = world.cogniverse.get_config::<RoutingConfig>(&acme).await.unwrap();
    let evidence = config.value.learned.as_ref().unwrap().evidence;
    assert_eq!((config.version, evidence.replaces), (version, 0));
    assert!(evidence.learned_from >= 50 && evidence.measured_on > 0 && evidence.annotations >= 50, "{evidence:?}");
    let entries = world.cogniverse.audit(&acme, 0, 100).await.unwrap().entries;
    assert!(entries.iter().any(|entry| format!("{entry:?}").contains("optimization: a reward of")), "{entries:?}");
    // A day has to pass before the next change; another tenant's configuration has not changed by a byte.
    let soon = orchestrator.run_once().await.unwrap();
    assert!(matches!(soon.outcome, OptimizationOutcome::TooSoon { .. }), "{soon:?}");
    assert_eq!(routing_of(&world, "globex").await, untouched);
    assert_eq!(ask(&world, "globex", "the pricing keynote").await.route.unwrap().modality, Modality::Video);
    // A value without what was learned routes as before.
    let plain = RoutingConfig::new(acme.clone());
    let expected = cogniverse::sdk::Expected::Version(version);
    world.cogniverse.set_config(&acme, plain, expected, "as it was").await.unwrap();
    assert_eq!(ask(&world, "acme", "the pricing keynote").await.route.unwrap().modality, Modality::Video);
    let status = orchestrator.status().await.unwrap();
    assert_eq!((status.counts.optimizations, status.counts.rollbacks, status.running), (1, 0, false));
    assert!(status.to_string().contains("1 changes"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_does_harm_is_taken_back() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let orchestrator = optimizer(&world, "acme");
    six_days(&world, &clock, &orchestrator).await;
    let changed = orchestrator.run_once().await.unwrap().outcome;
    assert!(matches!(changed, OptimizationOutcome::Changed { .. }), "{changed:?}");
    // Then a keynote means a recording again, and everything else is found less well too.
    clock.advance(Duration::from_secs(60));
    for number in 10..12 {
        day(&world, "acme", number, |query| if query.contains("keynote") { Modality::Audio } else { Modality::Image })
            .await;
    }
    let back = orchestrator.run_once().await.unwrap().outcome;
    let OptimizationOutcome::RolledBack { version, expected, found } = back else { unreachable!("{back:?}") };
    assert!(found < expected - 0.05, "{back:?}");
    let config = world.cogniverse.get_config::<RoutingConfig>(&tenant("acme")).await.unwrap();
    assert_eq!((config.version, config.value.learned), (version, None));
    // It is not learned again at once.
    let next = orchestrator.run_once().await.unwrap().outcome;
    assert!(matches!(next, OptimizationOutcome::TooSoon { .. }), "{next:?}");
    assert_eq!(orchestrator.status().await.unwrap().counts.rollbacks, 1);
}

#[tokio::test]
async fn of_two_orchestrators_one_runs_and_the_other_says_so() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let (first, second, other) = (optimizer(&world, "acme"), optimizer(&world, "acme"), optimizer(&world, "globex"));
    first.start().await.unwrap();
    first.start().await.unwrap();
    other.start().await.unwrap();
    for refused in [second.start().await.unwrap_err(), second.run_once().await.unwrap_err()] {
        assert_eq!(refused.code(), ErrorCode::OptimizationRunning);
    }
    let status = second.status().await.unwrap();
    assert_eq!((status.running, status.running_elsewhere), (false, true));
    assert!(first.status().await.unwrap().running && !first.status().await.unwrap().running_elsewhere);
    first.run_once().await.unwrap();
    first.stop().await.unwrap();
    second.run_once().await.unwrap();
    second.start().await.unwrap();
    // One whose process died counts as gone after a while.
    drop(second);
    clock.advance(Duration::from_secs(120));
    first.start().await.unwrap();
    assert!(first.status().await.unwrap().running);
    first.stop().await.unwrap();
    assert!(!first.status().await.unwrap().running);
}

fn project(of: &str) -> ProjectName {
    ProjectName::parse(of).unwrap()
}

/// What the exporter would have stored of a search.
fn span(number: u64, found: &SearchResponse, query: Option<&str>, at: Timestamp) -> Span {
    let ids = (TraceId::parse(format!("{:032x}", number + 1)), SpanId::parse(format!("{:016x}", number + 1)));
    let span = Span::new(ids.0.unwrap(), ids.1.unwrap(), "cogniverse.search", at, at)
        .with_attribute("search.id", found.search_id.as_str());
    query.into_iter().fold(span, |span, query| span.with_attribute("input.value", query))
}

#[tokio::test]
async fn annotations_of_people_and_of_a_judge_are_read_back_for_real() {
    let clock = clock();
    let traces = InMemoryTraces::new();
    let judge = Arc::new(ScriptedModel::from_fn(|request| {
        let is_route = format!("{:?}", request.messages).contains("You route a query");
        Ok(ChatAnswer::new(match is_route {
            true => "none".to_owned(),
            false => r#"{"label": "wrong_routing", "suggested": "audio", "confidence": 9}"#.to_owned(),
        }))
    }));
    let provider: Arc<dyn TelemetryProvider> = Arc::new(traces.clone());
    let world = world(&clock, |b| b.telemetry_provider(provider).language_model(judge.clone())).await;
    let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
    // Searches that find nothing need a judgement.
    let (first, second, third) = (
        ask(&world, "acme", "nothing of zebras").await,
        ask(&world, "acme", "nothing of quaggas").await,
        ask(&world, "acme", "nothing of okapis").await,
    );
    let of_other = ask(&world, "globex", "nothing of zebras").await;
    let now = clock.now();
    let spans = vec![
        span(0, &first, Some("nothing of zebras"), now),
        span(1, &second, Some("nothing of quaggas"), now),
        // From before the tenant allowed its texts in telemetry, say: a judge has nothing to read.
        span(2, &third, None, now),
        // A span in the wrong project joins nothing: its search is another tenant's.
        span(3, &of_other, Some("nothing of zebras"), now),
    ];
    traces.store(&project("acme"), spans);
    // While the tenant keeps its texts out of telemetry, no model reads what was stored before.
    let report = orchestrator.run_once().await.unwrap();
    assert_eq!((report.spans_evaluated, report.annotations_requested), (3, 0), "{report:?}");
    let texts = TelemetryConfig::new().with_record_query_text(true);
    world.cogniverse.operator().config().set_telemetry_config(&acme, texts).await.unwrap();
    let report = orchestrator.run_once().await.unwrap();
    assert_eq!(
        (report.spans_evaluated, report.annotations_requested, report.annotations_completed),
        (0, 2, 2),
        "{report:?}"
    );
    let query = AnnotationQuery::new(project("acme"), vec![SpanId::parse(format!("{:016x}", 1)).unwrap()]);
    let written = traces.read_annotations(query.clone()).await.unwrap().annotations;
    assert_eq!(
        (written[0].annotation.label.as_deref(), written[0].annotation.annotator),
        (Some("wrong_routing"), AnnotatorKind::Llm)
    );
    // A person contradicts the judge: the person is right, also after the judge's is written again.
    let mut human =
        SpanAnnotation::new(SpanId::parse(format!("{:016x}", 1)).unwrap(), "routing_annotation", AnnotatorKind::Human)
            .with_label("correct_routing");
    human.identifier = "anna".to_owned();
    traces.annotate_spans(AnnotateSpans::new(project("acme"), vec![human])).await.unwrap();
    let restarted = optimizer(&world, "acme");
    let report = restarted.run_once().await.unwrap();
    assert_eq!(
        (report.spans_evaluated, report.annotations_requested, report.annotations_read),
        (0, 0, 1),
        "{report:?}"
    );
    let store = experience_of(&world).await;
    let annotation = store.get(&acme, &first.search_id).await.unwrap().unwrap().annotation.unwrap();
    assert_eq!((annotation.label, annotation.annotator), (RouteLabel::CorrectRouting, AnnotatorKind::Human));
    let judged = store.get(&acme, &second.search_id).await.unwrap().unwrap().annotation.unwrap();
    assert_eq!((judged.label, judged.suggested), (RouteLabel::WrongRouting, Some(Modality::Audio)));
    assert_eq!(restarted.run_once().await.unwrap().annotations_read, 0, "nothing is seen twice");
    // What nobody judged waits for a person, the rest does not.
    let queue = restarted.annotation_queue(10).await.unwrap();
    assert_eq!(queue.iter().map(|request| &request.search).collect::<Vec<_>>(), [&third.search_id]);
    let unknown = restarted.annotate(&of_other.search_id, RouteLabel::CorrectRouting, None).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::NotFound, "another tenant's search is none of its own");
    // A span that the trace store has erased takes its annotation with it, and the others are still read.
    traces
        .erase_project(
            &project("acme"),
            cogniverse::sdk::telemetry_provider::Settle::new().with_absent_for(Duration::ZERO),
        )
        .await
        .unwrap();
    traces.store(&project("acme"), vec![span(2, &third, None, now)]);
    let mut late =
        SpanAnnotation::new(SpanId::parse(format!("{:016x}", 3)).unwrap(), "routing_annotation", AnnotatorKind::Human)
            .with_label("wrong_routing")
            .with_explanation("document: it is a paper");
    late.identifier = "bert".to_owned();
    traces.annotate_spans(AnnotateSpans::new(project("acme"), vec![late])).await.unwrap();
    assert_eq!(restarted.run_once().await.unwrap().annotations_read, 1);
    let third = store.get(&acme, &third.search_id).await.unwrap().unwrap().annotation.unwrap();
    assert_eq!(third.suggested, Some(Modality::Document));
}

/// The store of the world, opened once more, as another process would.
async fn experience_of(world: &World) -> cogniverse::config::SqliteExperienceStore {
    world.cogniverse.close().await.unwrap();
    cogniverse::config::SqliteExperienceStore::open(world.folder.path().join("experience.sqlite")).await.unwrap()
}

#[tokio::test]
async fn invariant_09_a_trace_store_that_cannot_be_asked_is_no_empty_one() {
    let clock = clock();
    let provider: Arc<dyn TelemetryProvider> = Arc::new(
        cogniverse_phoenix::PhoenixClient::new(cogniverse_phoenix::PhoenixConfig::new("http://127.0.0.1:9")).unwrap(),
    );
    let world = world(&clock, |b| b.telemetry_provider(provider)).await;
    ask(&world, "acme", "nothing of zebras").await;
    let orchestrator = optimizer(&world, "acme");
    let error = orchestrator.run_once().await.unwrap_err();
    assert_eq!(error.kind(), cogniverse::ErrorKind::Unavailable, "{error}");
    assert_eq!(orchestrator.status().await.unwrap().counts.spans_evaluated, 0);
}

#[tokio::test]
async fn experiences_are_a_surface_of_the_tenant() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let found = ask(&world, "acme", "pricing").await;
    ask(&world, "globex", "pricing").await;
    let text =
        String::from_utf8_lossy(&std::fs::read(world.folder.path().join("experience.sqlite")).unwrap()).into_owned();
    assert!(!text.contains("pricing"), "no text of users is kept");
    // Isolation.
    let report = world.cogniverse.verify_isolation(&acme, &globex).await.unwrap();
    let json = serde_json::to_value(&report).unwrap().to_string();
    assert!(json.contains("experience"), "{json}");
    let store = experience_of(&world).await;
    assert_eq!((store.count(&acme).await.unwrap(), store.count(&globex).await.unwrap()), (1, 1), "no canary is left");
    // Another tenant's user says nothing about it.
    let foreign = world.cogniverse.record_feedback(&globex, &found.search_id, Feedback::Watched, None).await.unwrap();
    assert!(!foreign);
    // Erasure, and a new tenant of the id has none of it.
    world.cogniverse.record_feedback(&acme, &found.search_id, Feedback::Watched, None).await.unwrap();
    world.cogniverse.suspend(&acme, cogniverse::Suspend::new("leaves")).await.unwrap();
    let receipt = world.cogniverse.erase(&acme).await.unwrap();
    assert!(serde_json::to_string(&receipt).unwrap().contains("experience"));
    assert_eq!((store.count(&acme).await.unwrap(), store.count(&globex).await.unwrap()), (0, 1));
}

/// An orchestrator that runs while its tenant is erased writes nothing of it again, and is none of the next tenant's.
#[tokio::test]
async fn an_orchestrator_ends_with_its_tenant() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
    ask(&world, "acme", "pricing").await;
    orchestrator.run_once().await.unwrap();
    orchestrator.start().await.unwrap();
    world.cogniverse.suspend(&acme, cogniverse::Suspend::new("leaves")).await.unwrap();
    assert_eq!(orchestrator.run_once().await.unwrap_err().code(), ErrorCode::TenantSuspended);
    world.cogniverse.erase(&acme).await.unwrap();
    let store = experience_of(&world).await;
    assert_eq!((store.count(&acme).await.unwrap(), store.state(&acme).await.unwrap()), (0, None));
    orchestrator.stop().await.unwrap();
    assert_eq!(store.state(&acme).await.unwrap(), None, "giving the lease back makes no state");
    // Not a byte of it is left in the file or its log.
    for file in ["experience.sqlite", "experience.sqlite-wal"] {
        let bytes = std::fs::read(world.folder.path().join(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("\"scores\""), "{file}");
    }
    world.cogniverse.create_tenant(&acme, cogniverse::Template::Startup).await.unwrap();
    let error = orchestrator.run_once().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TenantGenerationChanged, "{error}");
    optimizer(&world, "acme").run_once().await.unwrap();
}

/// What an operator changes after an optimization stays when the optimization is taken back, and the change is still watched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_a_change_back_leaves_what_others_changed() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
    six_days(&world, &clock, &orchestrator).await;
    let changed = orchestrator.run_once().await.unwrap().outcome;
    assert!(matches!(changed, OptimizationOutcome::Changed { .. }), "{changed:?}");
    clock.advance(Duration::from_secs(60));
    let config = world.cogniverse.operator().config();
    let strategy = world::strategy("bm25_only");
    let edit = |own: &mut RoutingConfig| {
        own.max_routing_time_ms = 777;
        own.default_strategy = Some(strategy.clone());
        own.fast_path_confidence_threshold = 0.61;
    };
    let edited = config.update(&acme, edit).await.unwrap();
    assert!(edited.value.learned.is_some_and(|learned| !learned.evidence.changed.strategy));
    for number in 10..12 {
        day(&world, "acme", number, |_| Modality::Image).await;
    }
    let back = orchestrator.run_once().await.unwrap().outcome;
    assert!(matches!(back, OptimizationOutcome::RolledBack { .. }), "{back:?}");
    let now = config.get_routing_config(&acme).await.unwrap().value;
    assert_eq!((now.max_routing_time_ms, now.fast_path_confidence_threshold), (777, 0.61));
    assert_eq!((now.default_strategy, now.learned), (Some(strategy), None));
}

/// A folder from which a service moved to another registry of tenants: what was erased in the one is there in the other.
#[tokio::test]
async fn an_erasure_in_another_registry_is_none_of_this_ones() {
    let (acme, folder) = (tenant("acme"), tempfile::tempdir().unwrap());
    let before =
        cogniverse::config::SqliteExperienceStore::open(folder.path().join("experience.sqlite")).await.unwrap();
    before.erase_tenant(&acme, 1).await.unwrap();
    let registry = Arc::new(cogniverse::config::InMemoryConfigStore::new());
    let data = folder.path().to_owned();
    let world = World::with(&["acme"], |b| b.data_dir(data).config_store(registry)).await;
    world.ingest("acme", &[("v", 0.0, 5.0, "pricing")]).await;
    ask(&world, "acme", "pricing").await;
    assert_eq!(optimizer(&world, "acme").status().await.unwrap().experiences, 1);
}

/// Searches whose spans the trace store has forgotten, or has without a text, do not stand before the others for ever.
#[tokio::test]
async fn a_judge_gets_to_the_searches_that_it_can_read() {
    let clock = clock();
    let traces = InMemoryTraces::new();
    let judge = r#"{"label": "wrong_routing", "suggested": "audio", "confidence": 9}"#;
    let judge = Arc::new(ScriptedModel::from_fn(move |_| Ok(ChatAnswer::new(judge))));
    let provider: Arc<dyn TelemetryProvider> = Arc::new(traces.clone());
    let world = world(&clock, |b| b.telemetry_provider(provider).language_model(judge)).await;
    let acme = tenant("acme");
    let texts = TelemetryConfig::new().with_record_query_text(true);
    world.cogniverse.operator().config().set_telemetry_config(&acme, texts).await.unwrap();
    let options = OptimizationOptions::new().with_max_judgements(1);
    let orchestrator = world.cogniverse.optimizer(acme.clone(), options);
    let store = experience_of(&world).await;
    let mut last = None;
    for number in 0..7 {
        let found = ask(&world, "acme", &format!("nothing of zebra {number}")).await;
        clock.advance(Duration::from_secs(1));
        let text = (number == 6).then_some("nothing of zebra");
        traces.store(&project("acme"), vec![span(number, &found, text, clock.now())]);
        if number < 3 {
            // Its span was seen once, and is not there any more.
            orchestrator.status().await.unwrap();
            let gone = SpanId::parse(format!("{:016x}", 900 + number)).unwrap();
            assert!(store.note(&acme, &found.search_id, ExperienceNote::Span(gone)).await.unwrap());
        }
        last = Some(found);
    }
    let mut judged = 0;
    for _ in 0..8 {
        judged += orchestrator.run_once().await.unwrap().annotations_completed;
    }
    assert_eq!(judged, 1);
    assert!(store.get(&acme, &last.unwrap().search_id).await.unwrap().unwrap().annotation.is_some());
}

/// A service that asks for nonsense all day pushes out nothing of what was learned.
#[tokio::test]
async fn a_request_that_is_wrong_is_no_experience() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    ask(&world, "acme", "pricing").await;
    let wrong = SearchRequest::routed(tenant("acme"), "pricing").with_strategy(world::strategy("no_such_strategy"));
    world.cogniverse.search(wrong).await.unwrap_err();
    assert_eq!(optimizer(&world, "acme").status().await.unwrap().experiences, 1);
}

/// The harm that a change did is not held against the one before it, which is in force again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_a_change_back_takes_back_no_other() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
    let config = world.cogniverse.operator().config();
    let change = async |live: f64| {
        let version = config.get_routing_config(&acme).await.unwrap().version;
        let evidence = Evidence::new(clock.now(), version).with_change(live, Changed::new(true, false, false));
        let learned = LearnedRouting::new(1, std::collections::BTreeMap::new(), evidence);
        let set = config.update(&acme, |own: &mut RoutingConfig| own.learned = Some(learned.clone())).await.unwrap();
        clock.advance(Duration::from_secs(60));
        set.value
    };
    let first = change(0.9).await;
    day(&world, "acme", 1, |_| Modality::Video).await;
    clock.advance(DAY);
    change(0.9).await;
    for number in 2..6 {
        day(&world, "acme", number, |_| Modality::Image).await;
    }
    let back = orchestrator.run_once().await.unwrap().outcome;
    assert!(matches!(back, OptimizationOutcome::RolledBack { .. }), "{back:?}");
    assert_eq!(config.get_routing_config(&acme).await.unwrap().value.learned, first.learned);
    clock.advance(Duration::from_secs(60));
    let next = orchestrator.run_once().await.unwrap().outcome;
    assert!(matches!(next, OptimizationOutcome::TooSoon { .. }), "{next:?}");
}

#[tokio::test]
async fn experiences_are_in_a_backup_and_come_back() {
    use cogniverse::backup::{CreateBackup, FolderTarget, RestoreBackup};
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let found = ask(&world, "acme", "pricing").await;
    world.cogniverse.record_feedback(&tenant("acme"), &found.search_id, Feedback::Watched, None).await.unwrap();
    optimizer(&world, "acme").run_once().await.unwrap();
    // Another one runs while the backup is made, and is none of what comes back.
    let running = optimizer(&world, "acme");
    running.start().await.unwrap();
    let target: Arc<dyn cogniverse::sdk::BackupTarget> =
        Arc::new(FolderTarget::new(world.folder.path().join("backups")));
    let made = world.cogniverse.backups().create(&tenant("acme"), &target, CreateBackup::new()).await.unwrap();
    let request = RestoreBackup::new(made.backup).into_tenant(tenant("copy"));
    world.cogniverse.backups().restore(&target, request).await.unwrap();
    let store = experience_of(&world).await;
    let copy = store.get(&tenant("copy"), &found.search_id).await.unwrap().unwrap();
    assert_eq!(copy, store.get(&tenant("acme"), &found.search_id).await.unwrap().unwrap());
    assert_eq!(copy.feedback.positive, 1);
    let state = async |of: &str| store.state(&tenant(of)).await.unwrap().unwrap().0;
    let mut of_acme = state("acme").await;
    assert!(of_acme["holder"].is_object());
    of_acme.as_object_mut().unwrap().remove("holder");
    assert_eq!(state("copy").await, of_acme);
    optimizer(&world, "copy").run_once().await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn people_who_contradict_each_other_make_a_route_ambiguous() {
    let clock = clock();
    let traces = InMemoryTraces::new();
    let provider: Arc<dyn TelemetryProvider> = Arc::new(traces.clone());
    let world = world(&clock, |b| b.telemetry_provider(provider)).await;
    let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
    let found = ask(&world, "acme", "pricing").await;
    traces.store(&project("acme"), vec![span(0, &found, None, clock.now())]);
    orchestrator.run_once().await.unwrap();
    let said = |label: &str, by: &str| {
        let id = SpanId::parse(format!("{:016x}", 1)).unwrap();
        SpanAnnotation::new(id, "routing_annotation", AnnotatorKind::Human).with_label(label).with_identifier(by)
    };
    for (label, by) in [("correct_routing", "anna"), ("wrong_routing", "bert"), ("no such label", "carl")] {
        let request = AnnotateSpans::new(project("acme"), vec![said(label, by)]);
        traces.annotate_spans(request).await.unwrap();
    }
    assert_eq!(orchestrator.run_once().await.unwrap().annotations_read, 1);
    let store = experience_of(&world).await;
    let annotation = store.get(&acme, &found.search_id).await.unwrap().unwrap().annotation.unwrap();
    assert_eq!(annotation.label, RouteLabel::Ambiguous);
    assert_eq!(orchestrator.run_once().await.unwrap().annotations_read, 0, "and they are no news each time");
}

#[tokio::test]
async fn options_out_of_bounds_are_refused() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    for wrong in [
        OptimizationOptions::new().with_intervals(Duration::ZERO, DAY, DAY),
        OptimizationOptions::new().with_intervals(DAY, DAY, Duration::MAX),
        OptimizationOptions::new().with_improvement_threshold(f64::NAN),
    ] {
        let orchestrator = world.cogniverse.optimizer(tenant("acme"), wrong);
        assert_eq!(orchestrator.start().await.unwrap_err().kind(), cogniverse::ErrorKind::InvalidInput);
        assert_eq!(orchestrator.run_once().await.unwrap_err().kind(), cogniverse::ErrorKind::InvalidInput);
    }
}

/// Spans on their way through a real exporter to a real Phoenix, a person's annotation there, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn annotations_go_to_a_real_phoenix_and_come_back() {
    use cogniverse::telemetry::{TelemetryManager, TelemetrySettings};
    use cogniverse_otlp::{OtlpConfig, OtlpExporter, TenantLayer};
    use std::hash::{BuildHasher, RandomState};
    use tracing::instrument::WithSubscriber;
    use tracing_subscriber::layer::SubscriberExt;
    let Ok(url) = std::env::var("COGNIVERSE_PHOENIX_URL") else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must start a Phoenix");
        println!("skipped: no Phoenix; start one and set COGNIVERSE_PHOENIX_URL");
        return;
    };
    let settings = TelemetrySettings::new().with_export_interval(Duration::from_millis(20));
    let telemetry = TelemetryManager::new(settings, OtlpExporter::new(OtlpConfig::http(&url)).unwrap()).unwrap();
    let phoenix = cogniverse_phoenix::PhoenixClient::new(cogniverse_phoenix::PhoenixConfig::new(&url)).unwrap();
    let provider: Arc<dyn TelemetryProvider> = Arc::new(phoenix.clone());
    let name = format!("optimized-{:08x}", RandomState::new().hash_one("routing") as u32);
    let judge = r#"{"label": "wrong_routing", "suggested": "audio", "confidence": 9}"#;
    let judge = Arc::new(ScriptedModel::from_fn(move |_| Ok(ChatAnswer::new(judge))));
    let wired = telemetry.clone();
    let world = World::with(&[&name], |b| b.telemetry(wired).telemetry_provider(provider).language_model(judge)).await;
    let of = tenant(&name);
    world.ingest(&name, &[("talk", 0.0, 5.0, "pricing")]).await;
    world
        .cogniverse
        .operator()
        .config()
        .set_telemetry_config(&of, TelemetryConfig::new().with_record_query_text(true))
        .await
        .unwrap();
    let request = SearchRequest::routed(of.clone(), "nothing of zebras");
    let searched = async move {
        let found = world.cogniverse.search(request).await.unwrap();
        (world, found)
    };
    // While one subscriber alone exists, a span that a thread of another test is the first to make counts as unwanted for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::registry().with(TenantLayer::new(&telemetry));
    let (world, found) = tokio::spawn(searched.with_subscriber(subscriber)).await.unwrap();
    let orchestrator = world.cogniverse.optimizer(of.clone(), OptimizationOptions::new());
    let (mut spans, mut judged) = (0, 0);
    for _ in 0..60 {
        let report = orchestrator.run_once().await.unwrap();
        (spans, judged) = (spans + report.spans_evaluated, judged + report.annotations_completed);
        if judged > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!((spans, judged), (1, 1), "the span arrived, and the judge read its query");
    let store = experience_of(&world).await;
    let span = store.get(&of, &found.search_id).await.unwrap().unwrap().span.unwrap();
    // A person in Phoenix knows better.
    let human = SpanAnnotation::new(span.clone(), "routing_annotation", AnnotatorKind::Human)
        .with_label("wrong_routing")
        .with_explanation("document: they meant the zebra paper")
        .with_identifier("anna");
    phoenix.annotate_spans(AnnotateSpans::new(project(&name), vec![human])).await.unwrap();
    let mut read = 0;
    for _ in 0..60 {
        read += orchestrator.run_once().await.unwrap().annotations_read;
        if read > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(read, 1);
    let annotation = store.get(&of, &found.search_id).await.unwrap().unwrap().annotation.unwrap();
    assert_eq!((annotation.annotator, annotation.suggested), (AnnotatorKind::Human, Some(Modality::Document)));
    assert_eq!(orchestrator.run_once().await.unwrap().annotations_read, 0);
    // The trace store forgets the project: nothing fails.
    let settle = cogniverse::sdk::telemetry_provider::Settle::new().with_absent_for(Duration::from_secs(1));
    phoenix.erase_project(&project(&name), settle).await.unwrap();
    orchestrator.run_once().await.unwrap();
}

/// A store of experiences that fails at one of the changes of an optimization's state.
#[derive(Debug)]
struct FailsAt {
    inner: cogniverse::config::InMemoryExperienceStore,
    left: AtomicI64,
}

#[async_trait]
impl ExperienceStore for FailsAt {
    async fn put(&self, tenant: &TenantId, generation: u64, experiences: Vec<Experience>) -> Result<()> {
        self.inner.put(tenant, generation, experiences).await
    }
    async fn note(&self, tenant: &TenantId, id: &SearchId, note: ExperienceNote) -> Result<bool> {
        self.inner.note(tenant, id, note).await
    }
    async fn page(&self, tenant: &TenantId, after: Option<u64>, limit: usize) -> Result<ExperiencePage> {
        self.inner.page(tenant, after, limit).await
    }
    async fn get(&self, tenant: &TenantId, id: &SearchId) -> Result<Option<Experience>> {
        self.inner.get(tenant, id).await
    }
    async fn remove(&self, tenant: &TenantId, id: &SearchId) -> Result<bool> {
        self.inner.remove(tenant, id).await
    }
    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        self.inner.count(tenant).await
    }
    async fn state(&self, tenant: &TenantId) -> Result<Option<(serde_json::Value, u64)>> {
        self.inner.state(tenant).await
    }
    async fn replace_state(
        &self,
        tenant: &TenantId,
        generation: u64,
        expected: Option<u64>,
        state: &serde_json::Value,
    ) -> Result<Option<u64>> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(Error::new(cogniverse::ErrorKind::Unavailable, "the disk is away")),
            _ => self.inner.replace_state(tenant, generation, expected, state).await,
        }
    }
    async fn erase_tenant(&self, tenant: &TenantId, generation: u64) -> Result<u64> {
        self.inner.erase_tenant(tenant, generation).await
    }
}

/// At whichever write a run is cut off, the next ones end right: one change at most, a day apart, and watched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_15_a_run_that_is_cut_off_at_any_write_is_ended_by_the_next() {
    let (mut cut_off, mut changed_before) = (0, 0);
    for at in 0.. {
        let clock = clock();
        let store = Arc::new(FailsAt {
            inner: cogniverse::config::InMemoryExperienceStore::new(),
            left: AtomicI64::new(i64::MAX),
        });
        let wired: Arc<dyn ExperienceStore> = store.clone();
        let world = world(&clock, |b| b.experience_store(wired)).await;
        let (acme, orchestrator) = (tenant("acme"), optimizer(&world, "acme"));
        six_days(&world, &clock, &orchestrator).await;
        store.left.store(at, Ordering::SeqCst);
        let first = orchestrator.run_once().await;
        let is_through = store.left.swap(i64::MAX, Ordering::SeqCst) >= 0;
        let config = world.cogniverse.operator().config();
        let versions = async || config.get_routing_config(&acme).await.unwrap();
        let after_first = versions().await;
        if first.is_err() {
            cut_off += 1;
            changed_before += usize::from(after_first.value.learned.is_some());
        }
        // Once more at once, and once the lease and the day are over.
        clock.advance(Duration::from_secs(120));
        let again = orchestrator.run_once().await.unwrap().outcome;
        let changes_at_once = matches!(again, OptimizationOutcome::Changed { .. });
        assert!(!(changes_at_once && after_first.value.learned.is_some()), "{at}: two changes on one day");
        clock.advance(DAY + DAY);
        orchestrator.run_once().await.unwrap();
        let now = versions().await;
        let learned = now.value.learned.unwrap_or_else(|| unreachable!("{at}: nothing was learned in the end"));
        assert_eq!(now.version, 1, "{at}: one change, whatever was cut off");
        // It is watched, though the run that made it may never have known that it did.
        clock.advance(Duration::from_secs(60));
        for number in 10..13 {
            day(&world, "acme", number, |_| Modality::Image).await;
        }
        let back = orchestrator.run_once().await.unwrap().outcome;
        assert!(matches!(back, OptimizationOutcome::RolledBack { .. }), "{at}: {back:?} of {:?}", learned.evidence);
        if is_through {
            break;
        }
    }
    assert!(cut_off >= 4 && changed_before >= 1, "{cut_off} {changed_before}");
}

/// The configuration is read anew for each learning, and what another process set is not written over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_22_another_processs_configuration_is_in_force_at_the_next_search() {
    let clock = clock();
    let world = world(&clock, |b| b).await;
    let acme = tenant("acme");
    let listen = "listen to the podcast about pricing";
    assert_eq!(ask(&world, "acme", listen).await.route.unwrap().tier, cogniverse::agents::RouteTier::FastPath);
    // Another process: a manager of its own on the same file.
    let file = world.folder.path().join("config.sqlite");
    let other = cogniverse::config::ConfigManager::new(Arc::new(
        cogniverse::config::SqliteConfigStore::open(file).await.unwrap(),
    ));
    let ensemble = RoutingConfig::new(acme.clone())
        .with_routing_mode(cogniverse::config::RoutingMode::Ensemble)
        .with_auto_optimization(false, 3600);
    other.set_routing_config(&acme, ensemble).await.unwrap();
    assert_eq!(ask(&world, "acme", listen).await.route.unwrap().tier, cogniverse::agents::RouteTier::Ensemble);
    assert_eq!(optimizer(&world, "acme").run_once().await.unwrap().outcome, OptimizationOutcome::Disabled);
}
