//! Codes of errors: each is documented, used, and what the public API gives in the case that it names.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    Cogniverse, Error, ErrorCode, Filter, IngestRequest, IngestSource, PublicError, Result, SearchRequest, Suspend,
    Template, TenantId, VideoSearchAgent,
    agents::PageCursor,
    config::SystemConfig,
    embedded::{EmbeddedBackend, EmbeddedConfig},
    encoders::HashEncoder,
    guarded_backend::GuardedBackend,
    ingestion::{CommandTranscriber, Ffmpeg},
    memory::{Remember, Revise},
    schemas::EmbeddedSchemaLoader,
    sdk::{
        AgentId, BaseSchema, EncoderInfo, FieldName, ManualClock, Matrix, MemoryId, MemoryScope, QueryEncoder,
        SchemaLoader, SchemaName, TenantSchema, TranscribeRequest, Transcriber, VectorKind,
        config_store::Expected,
        schema_store::{DeployRequest, SchemaDeployment},
    },
};
use cogniverse_tests::root;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use world::{Probe, TEXT, World, leaky::Leaky, profile, strategy, tenant};

/// Stands in every value that the tests give, and in no answer to a customer.
const CANARY: &str = "canary";

/// Asserts the code of a failure, and what goes with it.
#[track_caller]
fn fails<T: std::fmt::Debug>(result: Result<T>, code: ErrorCode, status: u16) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert_eq!((error.kind(), error.code().http_status()), (code.kind(), status), "{error:?}");
    let public = error.public();
    let shown = format!("{public} {public:?} {}", serde_json::json!(public));
    for private in [CANARY, "acme", "globex", "/tmp", "segments.jsonl", "nowhere", "video_text_minilm"] {
        assert!(!shown.contains(private), "{private}: {shown}");
    }
    let read: PublicError = serde_json::from_value(serde_json::json!(public)).unwrap();
    assert_eq!(read, public);
    let operator = serde_json::json!(error);
    assert_eq!((operator["code"].as_str(), operator["message"].as_str()), (Some(code.as_str()), Some(error.message())));
}

fn ask(of: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), CANARY)
}

#[tokio::test]
async fn tenants_and_schemas_fail_by_their_codes() {
    let world = World::with(&["acme"], |b| b).await;
    let (service, acme, canary) = (&world.cogniverse, tenant("acme"), tenant(CANARY));
    fails(service.search(ask(CANARY)).await, ErrorCode::TenantUnknown, 404);
    fails(service.create_tenant(&acme, Template::Trial).await, ErrorCode::TenantExists, 409);
    fails(service.reactivate(&acme).await, ErrorCode::TenantStateMismatch, 409);
    fails(TenantId::parse(format!("{CANARY} !")).map_err(Error::from), ErrorCode::NameInvalid, 400);
    let unknown = SchemaName::parse(CANARY).unwrap();
    fails(service.operator().schemas().deploy(&acme, &unknown).await, ErrorCode::SchemaUnknown, 404);
    service.create_tenant(&canary, Template::Startup).await.unwrap();
    fails(service.search(ask(CANARY)).await, ErrorCode::SchemaNotDeployed, 404);
    let base = SchemaName::parse(TEXT).unwrap();
    fails(service.operator().schemas().drop_schema(&canary, &base).await, ErrorCode::SchemaNotDeployed, 404);
    let mut changed: BaseSchema = (*EmbeddedSchemaLoader.load(&base).await.unwrap()).clone();
    changed.document.fields.retain(|field| field.name.as_str() != "video_title");
    changed.fieldsets.clear();
    changed.rank_profiles.retain(|ranks| !format!("{ranks:?}").contains("video_title"));
    let schema = TenantSchema::new(&acme, &base);
    let request = DeployRequest::new(vec![SchemaDeployment { schema, definition: Arc::new(changed) }]);
    fails(service.operator().backend().deploy(request).await, ErrorCode::SchemaDiffers, 409);
    service.suspend(&acme, Suspend::new(CANARY)).await.unwrap();
    fails(service.search(ask("acme")).await, ErrorCode::TenantSuspended, 403);
    let segments = IngestSource::Segments(world.file("segments.jsonl", ""));
    let request = IngestRequest::new(acme, profile(TEXT), segments);
    fails(service.ingest(request).await, ErrorCode::TenantSuspended, 403);
}

#[tokio::test]
async fn what_a_request_gets_wrong_has_a_code_of_its_own() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    world.ingest("acme", &[(CANARY, 0.0, 1.0, CANARY), (CANARY, 1.0, 2.0, CANARY)]).await;
    let service = &world.cogniverse;
    let search = async |request: SearchRequest| service.search(request).await;
    let unknown = SearchRequest::new(tenant("acme"), profile(CANARY), "x");
    fails(search(unknown).await, ErrorCode::ProfileUnknown, 404);
    fails(search(ask("acme").with_strategy(strategy(CANARY))).await, ErrorCode::StrategyUnknown, 404);
    let filter = |field: &str| Filter::equals(FieldName::parse(field).unwrap(), CANARY);
    fails(search(ask("acme").with_filter(filter(CANARY))).await, ErrorCode::FilterInvalid, 400);
    fails(search(ask("acme").with_filter(filter("segment_id"))).await, ErrorCode::FilterInvalid, 400);
    let json = serde_json::json!({ CANARY: { CANARY: 1 } });
    fails(Filter::from_json(&json), ErrorCode::FilterInvalid, 400);
    fails(search(ask("acme").with_cursor(PageCursor::from_text(CANARY))).await, ErrorCode::PageCursorInvalid, 400);
    let next = search(ask("acme").with_top_k(1)).await.unwrap().next.unwrap();
    let stolen = ask("globex").with_cursor(next);
    fails(search(stolen).await, ErrorCode::PageCursorOtherRequest, 400);
    let long = SearchRequest::new(tenant("acme"), profile(TEXT), CANARY.repeat(9000));
    fails(search(long).await, ErrorCode::TextTooLong, 413);
    let empty = search(SearchRequest::new(tenant("acme"), profile(TEXT), "?!")).await.unwrap_err();
    assert_eq!(
        (empty.code(), empty.public().message()),
        (ErrorCode::InvalidInput, "The query has no word to search by.")
    );
    fails(search(ask("acme").with_top_k(0)).await, ErrorCode::InvalidInput, 400);
    let late = search(ask("acme").with_timeout(Duration::ZERO)).await;
    fails(late, ErrorCode::SearchTimeout, 504);
}

#[tokio::test]
async fn what_is_not_set_up_is_told_apart() {
    let (three, whole) = (Probe::new(3), Probe::new(384));
    let ffmpeg = Ffmpeg::new("/nowhere/canary-ffmpeg", "/nowhere/canary-ffprobe");
    let world = World::with(&["acme"], |b| b.encoder("three", three).encoder("whole", whole).ffmpeg(ffmpeg)).await;
    let (service, acme) = (&world.cogniverse, tenant("acme"));
    world.ingest("acme", &[(CANARY, 0.0, 1.0, CANARY)]).await;
    let by_vectors = || ask("acme").with_strategy(strategy("float_float"));
    fails(service.search(by_vectors()).await, ErrorCode::EncoderMissing, 501);
    world.set_encoder("acme", CANARY).await;
    fails(service.search(by_vectors()).await, ErrorCode::EncoderUnknown, 501);
    world.set_encoder("acme", "three").await;
    fails(service.search(by_vectors()).await, ErrorCode::EncoderMismatch, 501);
    world.set_encoder("acme", "whole").await;
    fails(service.search(by_vectors()).await, ErrorCode::SegmentsWithoutVectors, 409);
    let missing = IngestSource::Segments(world.folder.path().join(CANARY));
    let ingest = async |source| service.ingest(IngestRequest::new(acme.clone(), profile(TEXT), source)).await;
    fails(ingest(missing).await, ErrorCode::FileUnreadable, 500);
    let video = world.file("canary.mp4", "no video");
    fails(ingest(IngestSource::Files(vec![video.clone()])).await, ErrorCode::FfmpegMissing, 501);
    let transcriber = CommandTranscriber::parse("/nowhere/canary-transcriber {audio} {out}").unwrap();
    fails(transcriber.transcribe(&TranscribeRequest::new(video)).await, ErrorCode::TranscriberMissing, 501);
    fails(service.memory(&acme).await, ErrorCode::TextEmbedderMissing, 501);
    let model = SystemConfig::new(acme.clone()).with_llm_model(format!("{CANARY}/model"));
    service.operator().config().set_system_config(&acme, model).await.unwrap();
    fails(service.operator().models().of(&acme).await, ErrorCode::LanguageModelUnknown, 501);
}

/// Promises more than it makes.
#[derive(Debug)]
struct Short(EncoderInfo);

#[async_trait::async_trait]
impl QueryEncoder for Short {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }

    async fn encode_query(&self, _: &str) -> Result<Matrix<f32>> {
        Matrix::new(2, vec![0.5, 0.5])
    }
}

#[tokio::test]
async fn an_encoder_and_a_backend_that_break_their_word_are_told_apart() {
    let short = Arc::new(Short(QueryEncoder::info(&HashEncoder::new(384, VectorKind::Multi)).clone()));
    let whole = Probe::new(384);
    let world =
        World::with(&["acme", "globex"], |b| b.query_encoder("short", short).segment_encoder("short", whole)).await;
    world.set_encoder("acme", "short").await;
    for name in ["acme", "globex"] {
        world.ingest(name, &[(CANARY, 0.0, 1.0, CANARY)]).await;
    }
    let service = &world.cogniverse;
    let by_vectors = ask("acme").with_strategy(strategy("float_float"));
    fails(service.search(by_vectors).await, ErrorCode::EncoderFailed, 502);
    let base = SchemaName::parse(TEXT).unwrap();
    let leaky = Arc::new(Leaky::new(service.operator().backend().clone(), TenantSchema::new(&tenant("globex"), &base)));
    let operator = service.operator();
    let leaky = GuardedBackend::new(leaky, operator.audit().clone());
    let agent = VideoSearchAgent::builder(leaky, operator.schemas().clone(), operator.gate().clone()).build();
    let words = ask("acme").with_strategy(strategy("bm25_only"));
    fails(agent.search(words).await, ErrorCode::IsolationViolation, 500);
}

#[tokio::test]
async fn memories_fail_by_their_codes() {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    let clock = Arc::new(ManualClock::new("2030-01-01T00:00:00Z".parse().unwrap()));
    let world = World::with(&["acme"], |b| b.text_embedder(embedder).clock(clock.clone())).await;
    let memory = world.cogniverse.memory(&tenant("acme")).await.unwrap();
    let scope = MemoryScope::new(AgentId::parse(CANARY).unwrap());
    let add = async |text: &str| {
        let report = memory.add(Remember::text(scope.clone(), text)).await.unwrap();
        report.decisions[0].memory.clone().unwrap()
    };
    let unknown = MemoryId::parse(CANARY).unwrap();
    fails(memory.delete(&scope, &unknown, CANARY).await, ErrorCode::MemoryUnknown, 404);
    let (tea, coffee) = (add("canary likes tea").await, add("canary likes coffee").await);
    let revise = Revise::new().with_text("canary likes tea");
    fails(memory.update(&scope, &coffee, revise).await, ErrorCode::MemoryDuplicate, 409);
    let ends = "2030-01-02T00:00:00Z".parse().unwrap();
    memory.update(&scope, &tea, Revise::new().with_expiry(Some(ends))).await.unwrap();
    clock.advance(Duration::from_secs(2 * 24 * 3600));
    fails(memory.update(&scope, &tea, Revise::new().with_text("x")).await, ErrorCode::MemoryExpired, 409);
    let long = memory.add(Remember::text(scope.clone(), CANARY.repeat(9000))).await;
    fails(long, ErrorCode::TextTooLong, 413);
    let inferred = memory.add(Remember::text(scope.clone(), CANARY).inferring()).await;
    fails(inferred, ErrorCode::LanguageModelMissing, 501);
}

#[tokio::test]
async fn configuration_fails_by_its_codes() {
    let world = World::with(&["acme"], |b| b).await;
    let (config, acme) = (world.cogniverse.operator().config(), tenant("acme"));
    let value = SystemConfig::new(acme.clone());
    let stale = config.compare_and_set(&acme, value.clone(), Expected::Version(9)).await;
    fails(stale, ErrorCode::ConfigConflict, 409);
    let again = config.create_from_template(&acme, Template::Startup, serde_json::Map::new()).await;
    fails(again, ErrorCode::ConfigExists, 409);
    fails(config.rollback::<SystemConfig>(&acme, 9).await, ErrorCode::ConfigVersionUnknown, 404);
    config.delete::<SystemConfig>(&acme, Expected::Any).await.unwrap();
    fails(config.get_system_config(&acme).await, ErrorCode::ConfigKeyUnknown, 404);
    fails(config.delete::<SystemConfig>(&acme, Expected::Any).await, ErrorCode::ConfigKeyUnknown, 404);
    let foreign = value.with_base_url("http://canary.example:1");
    fails(config.set_system_config(&acme, foreign).await, ErrorCode::OriginNotAllowed, 403);
}

#[tokio::test]
async fn a_folder_that_another_holds_has_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let _first = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
    let second = Cogniverse::builder().data_dir(folder.path()).open().await;
    fails(second, ErrorCode::DataFolderInUse, 503);
}

/// The cells of each row of the table of codes.
fn documented() -> BTreeMap<String, [String; 3]> {
    let text = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect();
        let [code, kind, status, retry, what, remedy] = cells.as_slice() else { panic!("six cells: {line}") };
        assert!(what.ends_with('.') && remedy.ends_with('.'), "{line}");
        let row = [*kind, *status, *retry].map(str::to_owned);
        assert_eq!(rows.insert((*code).to_owned(), row), None, "{code} has two rows");
    }
    rows
}

#[test]
fn every_code_has_one_row_in_the_guide_and_no_row_is_left_over() {
    let expected: BTreeMap<String, [String; 3]> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let kind = serde_json::json!(code.kind()).as_str().unwrap().to_owned();
            let retry = if code.is_transient() { "yes" } else { "no" };
            (code.to_string(), [kind, code.http_status().to_string(), retry.to_owned()])
        })
        .collect();
    assert_eq!(documented(), expected);
}

/// The sources of the library, without tests and without the table of codes itself.
fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cogniverse-")))
        .map(|path| path.join("src"))
        .chain([root().join("src")])
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" && !path.ends_with("cogniverse-sdk/src/error") {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn every_code_is_given_somewhere_or_is_the_default_of_its_kind() {
    let mut used = BTreeSet::new();
    for file in sources() {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for rest in code.split("ErrorCode::").skip(1) {
            let name: String = rest.chars().take_while(|letter| letter.is_alphanumeric()).collect();
            used.insert(name);
        }
    }
    for &code in ErrorCode::ALL {
        let default = ErrorCode::of_kind(code.kind()) == code;
        assert!(default || used.contains(&format!("{code:?}")), "{code} is given nowhere: remove it");
    }
}
