//! Which profile cut a segment, which model made its vectors, and that both are minded.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, ErrorKind, IngestReport, IngestRequest, IngestSource, Result, SchemaName, SearchRequest, Template,
    config::Segmentation,
    embedded::{Durability, EmbeddedBackend, EmbeddedConfig},
    encoders::HashEncoder,
    ingestion::VideoStatus,
    lifecycle::{Suspend, TenantLifecycle},
    schemas::{EmbeddedSchemaLoader, provenance},
    sdk::{
        BaseSchema, Document, DocumentId, EncoderInfo, FieldName, Matrix, QueryEncoder, SchemaLoader, SegmentContent,
        SegmentEncoder, TenantSchema, VectorKind,
        document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
        schema_store::{DeployRequest, SchemaAction, SchemaDeployment},
    },
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use vespa_testkit::TestServer;
use world::{TEXT, World, ffmpeg_is_there, leaky::Leaky, profile, strategy, tenant};

/// A model of a name, whose vectors are its own: those of another one are turned by it.
#[derive(Debug)]
struct Model {
    info: EncoderInfo,
    inner: HashEncoder,
    turn: usize,
    encoded: AtomicUsize,
}

impl Model {
    fn new(name: &str, turn: usize) -> Arc<Self> {
        let info = EncoderInfo { model: name.to_owned(), dims: 384, kind: VectorKind::Multi };
        let inner = HashEncoder::new(384, VectorKind::Multi);
        Arc::new(Self { info, inner, turn, encoded: AtomicUsize::new(0) })
    }

    fn turned(&self, rows: &Matrix<f32>) -> Matrix<f32> {
        let mut cells = rows.cells().to_vec();
        cells.chunks_mut(rows.width()).for_each(|row| row.rotate_left(self.turn));
        Matrix::new(rows.width(), cells).unwrap()
    }
}

#[async_trait]
impl QueryEncoder for Model {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }
    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        Ok(self.turned(&self.inner.encode_query(text).await?))
    }
}

#[async_trait]
impl SegmentEncoder for Model {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        self.encoded.fetch_add(segments.len(), Ordering::SeqCst);
        // Time for another run of the same to come between.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(self.inner.encode_segments(segments).await?.iter().map(|rows| self.turned(rows)).collect())
    }
}

fn schema(of: &str) -> TenantSchema {
    TenantSchema::new(&tenant(of), &SchemaName::parse(TEXT).unwrap())
}

fn clip(path: &Path, seconds: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let source = format!("testsrc=size=64x64:rate=2:duration={seconds}");
    let made = Command::new("ffmpeg")
        .args(["-y", "-v", "error", "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p"])
        .arg(path)
        .status();
    assert!(made.unwrap().success());
}

const SRT: &str =
    "1\n00:00:01,000 --> 00:00:20,000\nalpha beta gamma\n\n2\n00:00:31,000 --> 00:00:50,000\ndelta epsilon\n";

async fn ingest(cogniverse: &Cogniverse, by: &str, source: IngestSource) -> IngestReport {
    cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(by), source)).await.unwrap()
}

async fn ids(cogniverse: &Cogniverse) -> Vec<String> {
    let page =
        cogniverse.operator().backend().visit(VisitRequest::new(schema("acme")).with_page_size(500)).await.unwrap();
    assert!(page.continuation.is_none());
    page.documents.into_iter().map(|document| document.id.to_string()).collect()
}

async fn set_segmentation(cogniverse: &Cogniverse, name: &str, segmentation: Segmentation) {
    let config = cogniverse.operator().config();
    let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    config.set_profile(&tenant("acme"), &profile(name), known.with_segmentation(segmentation)).await.unwrap();
}

#[tokio::test]
async fn two_profiles_of_one_schema_have_their_segments_side_by_side() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    set_segmentation(c, "fine", Segmentation::chunks(5.0, 0.0)).await;
    set_segmentation(c, "words_of_all", Segmentation::chunks(7.0, 0.0)).await;
    let videos = world.folder.path().join("videos");
    clip(&videos.join("talk.mp4"), 60);
    std::fs::write(videos.join("talk.srt"), SRT).unwrap();
    let source = || IngestSource::Folder(videos.clone());
    let search = async |by: &str, words: &str| {
        let answer = c.search(SearchRequest::new(tenant("acme"), profile(by), words)).await.unwrap();
        answer.results.iter().map(|hit| (hit.start_time, hit.end_time)).collect::<Vec<_>>()
    };
    for (by, stored, unchanged, held) in [(TEXT, 2, 0, 2), ("fine", 12, 0, 14), (TEXT, 0, 2, 14), ("fine", 0, 12, 14)] {
        let report = ingest(c, by, source()).await;
        assert_eq!((report.stored(), report.unchanged(), report.videos[0].removed), (stored, unchanged, 0), "{by}");
        assert_eq!(ids(c).await.len(), held, "{by}");
    }
    assert_eq!(search(TEXT, "alpha").await, [(0.0, 30.0)]);
    assert!(search("fine", "alpha").await.iter().all(|(start, end)| end - start == 5.0));
    // One by which nothing was ingested sees what is there.
    assert!(search("words_of_all", "alpha").await.len() > 1);
    // A coarser cut of one takes away its own alone.
    set_segmentation(c, "fine", Segmentation::chunks(20.0, 0.0)).await;
    let report = ingest(c, "fine", source()).await;
    assert_eq!((report.stored(), report.videos[0].removed), (3, 9));
    assert_eq!(ids(c).await.len(), 5);
    assert_eq!(search(TEXT, "delta").await, [(30.0, 60.0)]);
}

#[tokio::test]
async fn what_an_interrupted_removal_left_is_removed_by_the_next_run() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    let videos = world.folder.path().join("videos");
    clip(&videos.join("long.mp4"), 200);
    set_segmentation(c, TEXT, Segmentation::chunks(1.0, 0.0)).await;
    assert_eq!(ingest(c, TEXT, IngestSource::Folder(videos.clone())).await.stored(), 200);
    let before =
        c.operator().backend().visit(VisitRequest::new(schema("acme")).with_page_size(500)).await.unwrap().documents;
    set_segmentation(c, TEXT, Segmentation::chunks(100.0, 0.0)).await;
    let report = ingest(c, TEXT, IngestSource::Folder(videos.clone())).await;
    assert_eq!((report.stored(), report.videos[0].removed), (2, 198));
    // A part of what was to be removed is there again, as a crash leaves it.
    let number = |document: &Document| document.id.as_str().rsplit('/').next().unwrap().parse::<u32>().unwrap();
    let left: Vec<Document> =
        before.into_iter().map(|found| found.document).filter(|document| (2..30).contains(&number(document))).collect();
    assert_eq!(left.len(), 28);
    c.operator().backend().put(PutRequest::new(schema("acme"), left)).await.unwrap();
    let report = ingest(c, TEXT, IngestSource::Folder(videos)).await;
    assert_eq!((report.videos[0].status, report.videos[0].removed), (VideoStatus::Unchanged, 28));
    assert_eq!(ids(c).await.len(), 2);
}

const LINES: [(&str, f64, f64, &str); 3] =
    [("a", 0.0, 1.0, "gradient descent"), ("b", 0.0, 1.0, "a walk in the woods"), ("c", 0.0, 1.0, "")];

/// The model of the text profile, registered by its name.
async fn world_of(models: &[Arc<Model>]) -> World {
    World::with(&["acme"], |mut builder| {
        for model in models {
            builder = builder.encoder(model.info.model.clone(), model.clone());
        }
        builder
    })
    .await
}

#[tokio::test]
async fn another_model_is_noticed_by_ingestion_and_by_every_search() {
    let (old, new) = (Model::new("old", 0), Model::new("new", 100));
    let world = world_of(&[old.clone(), new.clone()]).await;
    let c = &world.cogniverse;
    let ask =
        |how: &str| SearchRequest::new(tenant("acme"), profile(TEXT), "gradient descent").with_strategy(strategy(how));
    world.set_encoder("acme", "old").await;
    // Of nothing, nothing is found.
    assert!(c.search(ask("float_float")).await.unwrap().results.is_empty());
    world.ingest("acme", &LINES).await;
    let best = c.search(ask("float_float")).await.unwrap();
    assert_eq!((best.results[0].video_id.as_str(), best.results.len()), ("a", 2), "what has no vectors is no answer");
    assert!(best.profiles[0].degraded.is_none());
    assert_eq!(old.encoded.load(Ordering::SeqCst), 2);

    world.set_encoder("acme", "new").await;
    for how in ["float_float", "binary_binary", "phased", "hybrid_float_bm25"] {
        let error = c.search(ask(how)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{how}: {error}");
        assert!(error.to_string().contains("new") && error.to_string().contains("ingest them again"), "{how}: {error}");
        let answer = c.search(ask(how).allowing_degraded()).await.unwrap();
        let profile = &answer.profiles[0];
        assert_eq!((profile.strategy.as_str(), answer.results.len()), ("bm25_only", 1), "{how}: by words instead");
        let degraded = profile.degraded.as_ref().unwrap();
        assert_eq!(degraded.wanted.as_str(), how);
        assert!(degraded.reason.contains("ingest them again"), "{}", degraded.reason);
    }
    assert_eq!(c.search(ask("bm25_only")).await.unwrap().results.len(), 1, "words need no model");
    // One video of the three is ingested by the new model: the others are left out, and that is said.
    world.ingest("acme", &LINES[..1]).await;
    assert_eq!(new.encoded.load(Ordering::SeqCst), 1);
    for how in ["float_float", "phased"] {
        let answer = c.search(ask(how)).await.unwrap();
        assert_eq!(answer.results.iter().map(|hit| hit.video_id.as_str()).collect::<Vec<_>>(), ["a"], "{how}");
        let degraded = answer.profiles[0].degraded.as_ref().unwrap();
        assert!(degraded.reason.starts_with("1 segments are left out"), "{}", degraded.reason);
    }
    let report = world.ingest("acme", &LINES).await;
    assert_eq!((report.stored(), report.unchanged()), (1, 2), "the one that is left");
    assert_eq!(new.encoded.load(Ordering::SeqCst), 2);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let whole = c.search(ask("float_float")).await.unwrap();
    assert!(whole.profiles[0].degraded.is_none() && whole.results.len() == 2, "{:?}", whole.profiles);
}

/// The same by Vespa's wire, where a search that ranks what has no vectors gives it a score of 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_model_is_noticed_on_vespa_too() {
    let server = TestServer::start().await.unwrap();
    let vespa = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    let (old, new) = (Model::new("old", 0), Model::new("new", 100));
    let world = World::with(&["acme"], |builder| {
        builder.backend(Arc::new(vespa)).encoder("old", old.clone()).encoder("new", new.clone())
    })
    .await;
    let c = &world.cogniverse;
    let ask =
        || SearchRequest::new(tenant("acme"), profile(TEXT), "gradient descent").with_strategy(strategy("float_float"));
    let videos = async || {
        let answer = c.search(ask()).await.unwrap();
        let videos: Vec<String> = answer.results.iter().map(|hit| hit.video_id.clone()).collect();
        (videos, answer.profiles[0].degraded.is_some())
    };
    world.set_encoder("acme", "old").await;
    world.ingest("acme", &LINES).await;
    assert_eq!(videos().await, (vec!["a".to_owned(), "b".to_owned()], false), "what has no vectors is no answer");
    world.set_encoder("acme", "new").await;
    assert_eq!(c.search(ask()).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    let by_words = c.search(ask().allowing_degraded()).await.unwrap();
    assert!(by_words.is_degraded() && by_words.results.len() == 1, "{:?}", by_words.profiles);
    world.ingest("acme", &LINES[..1]).await;
    assert_eq!(videos().await, (vec!["a".to_owned()], true));
    assert_eq!(world.ingest("acme", &LINES).await.unchanged(), 2);
}

#[tokio::test]
async fn what_does_not_say_its_model_is_not_ranked_and_what_was_given_is() {
    let model = Model::new("probe", 0);
    let world = world_of(std::slice::from_ref(&model)).await;
    let c = &world.cogniverse;
    world.set_encoder("acme", "probe").await;
    world.ingest("acme", &LINES).await;
    let ask =
        || SearchRequest::new(tenant("acme"), profile(TEXT), "gradient descent").with_strategy(strategy("float_float"));
    let mut silent = c
        .operator()
        .backend()
        .get(GetRequest::new(schema("acme"), vec![DocumentId::parse("a/0").unwrap()]))
        .await
        .unwrap();
    let mut silent = silent.remove(0).unwrap().document;
    silent.id = DocumentId::parse("by_hand/0").unwrap();
    silent.fields.remove(&FieldName::parse(provenance::EMBEDDING_MODEL).unwrap());
    c.operator().backend().put(PutRequest::new(schema("acme"), vec![silent])).await.unwrap();
    let answer = c.search(ask()).await.unwrap();
    assert_eq!(answer.results.len(), 2);
    assert!(answer.profiles[0].degraded.as_ref().unwrap().reason.contains("do not say by which"));
    let says = [(FieldName::parse(provenance::EMBEDDING_MODEL).unwrap(), provenance::GIVEN.into())];
    let given = DocumentUpdate::assign(DocumentId::parse("by_hand/0").unwrap(), says.into());
    c.operator().backend().update(UpdateRequest::new(schema("acme"), vec![given])).await.unwrap();
    assert_eq!(c.search(ask()).await.unwrap().results.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_of_one_file_at_once_do_the_work_once() {
    let model = Model::new("probe", 0);
    let world = world_of(std::slice::from_ref(&model)).await;
    let c = &world.cogniverse;
    world.set_encoder("acme", "probe").await;
    let mut files = vec![world.file("one.jsonl", &line("a", "some words"))];
    if ffmpeg_is_there() {
        let videos = world.folder.path().join("videos");
        clip(&videos.join("talk.mp4"), 20);
        std::fs::write(videos.join("talk.srt"), SRT).unwrap();
        files.push(videos);
    }
    for file in files {
        let source =
            || if file.is_dir() { IngestSource::Folder(file.clone()) } else { IngestSource::Segments(file.clone()) };
        let before = model.encoded.load(Ordering::SeqCst);
        let (first, second, third) =
            tokio::join!(ingest(c, TEXT, source()), ingest(c, TEXT, source()), ingest(c, TEXT, source()));
        assert_eq!(model.encoded.load(Ordering::SeqCst) - before, 1, "{}", file.display());
        assert_eq!(first.stored() + second.stored() + third.stored(), 1, "{}", file.display());
    }
}

fn line(video: &str, words: &str) -> String {
    let line = serde_json::json!({"video_id": video, "segment_id": 0, "start_time": 0.0, "end_time": 1.0, "audio_transcript": words});
    format!("{line}\n")
}

#[tokio::test]
async fn an_unchanged_run_reads_no_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let backend = Arc::new(Leaky::that_watches(Arc::new(EmbeddedBackend::open(config).await.unwrap())));
    let model = Model::new("probe", 0);
    let c = Cogniverse::builder()
        .data_dir(folder.path())
        .backend(backend.clone())
        .encoder("probe", model.clone())
        .open()
        .await
        .unwrap();
    c.create_tenant(&tenant("acme"), Template::Startup).await.unwrap();
    c.deploy(&tenant("acme"), &profile(TEXT)).await.unwrap();
    let config = c.operator().config();
    let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    config.set_profile(&tenant("acme"), &profile(TEXT), known.with_encoder("probe")).await.unwrap();
    let file = folder.path().join("own.jsonl");
    std::fs::write(&file, line("a", "words") + &line("b", "other words")).unwrap();
    assert_eq!(ingest(&c, TEXT, IngestSource::Segments(file.clone())).await.stored(), 2);
    assert_eq!(ingest(&c, TEXT, IngestSource::Segments(file)).await.unchanged(), 2);
    assert_eq!(backend.vectors_read.load(Ordering::SeqCst), 0);
}

/// A run without a model neither takes vectors away nor passes for one with it.
#[tokio::test]
async fn what_was_stored_without_a_model_is_left_out_and_counted_and_takes_no_vectors_away() {
    let model = Model::new("probe", 0);
    let world = world_of(std::slice::from_ref(&model)).await;
    let c = &world.cogniverse;
    assert_eq!(world.ingest("acme", &LINES).await.stored(), 3);
    world.set_encoder("acme", "probe").await;
    world.ingest("acme", &LINES[..1]).await;
    let ask =
        || SearchRequest::new(tenant("acme"), profile(TEXT), "woods").with_strategy(strategy("hybrid_float_bm25"));
    let answer = c.search(ask()).await.unwrap();
    let reason = &answer.profiles[0].degraded.as_ref().unwrap().reason;
    assert!(reason.starts_with("1 segments are left out"), "{reason}");
    world.ingest("acme", &LINES).await;
    assert_eq!(model.encoded.load(Ordering::SeqCst), 2);
    // The profile without its model, for one run.
    let config = c.operator().config();
    let mut known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    known.encoder = None;
    config.set_profile(&tenant("acme"), &profile(TEXT), known).await.unwrap();
    assert_eq!(world.ingest("acme", &LINES).await.unchanged(), 3);
    world.set_encoder("acme", "probe").await;
    assert_eq!(world.ingest("acme", &LINES).await.unchanged(), 3);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let answer = c.search(ask()).await.unwrap();
    assert!(answer.profiles[0].degraded.is_none() && answer.results.len() == 2, "{:?}", answer.profiles);
}

/// What a run with gaps left behind the next plan goes, wherever it stands.
#[tokio::test]
async fn stale_segments_behind_a_gap_are_removed() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    let videos = world.folder.path().join("videos");
    clip(&videos.join("long.mp4"), 200);
    set_segmentation(c, TEXT, Segmentation::chunks(1.0, 0.0)).await;
    assert_eq!(ingest(c, TEXT, IngestSource::Folder(videos.clone())).await.stored(), 200);
    let of = |id: &String| id.rsplit('/').next().unwrap().parse::<u32>().unwrap();
    let gap: Vec<DocumentId> =
        ids(c).await.iter().filter(|id| (64..192).contains(&of(id))).map(|id| DocumentId::parse(id).unwrap()).collect();
    c.operator().backend().delete(DeleteRequest::ids(schema("acme"), gap)).await.unwrap();
    set_segmentation(c, TEXT, Segmentation::chunks(3.0, 0.0)).await;
    let report = ingest(c, TEXT, IngestSource::Folder(videos)).await;
    assert_eq!((report.videos[0].status, report.videos[0].removed), (VideoStatus::Done, 8));
    assert_eq!(ids(c).await.len(), 67);
}

/// Suspends the tenant while its second batch is encoded.
#[derive(Debug)]
struct Suspending(HashEncoder, TenantLifecycle, AtomicUsize);

#[async_trait]
impl SegmentEncoder for Suspending {
    fn info(&self) -> &EncoderInfo {
        SegmentEncoder::info(&self.0)
    }
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        if self.2.fetch_add(segments.len(), Ordering::SeqCst) == 64 {
            self.1.suspend(&tenant("acme"), Suspend::new("late")).await?;
        }
        self.0.encode_segments(segments).await
    }
}

#[tokio::test]
async fn a_suspension_ends_the_ingestion_that_is_under_way() {
    let world = World::with(&["acme"], |b| b).await;
    let c = &world.cogniverse;
    let encoder =
        Suspending(HashEncoder::new(384, VectorKind::Multi), c.operator().lifecycle().clone(), AtomicUsize::new(0));
    let lines: String = (0..1000).map(|n| line(&format!("v{n}"), "words")).collect();
    let source = IngestSource::Segments(world.file("long.jsonl", &lines));
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), source).with_encoder(Arc::new(encoder));
    let error = c.ingest(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("suspended"), "{error}");
    assert_eq!(
        c.operator().backend().count(&schema("acme"), None).await.unwrap(),
        128,
        "the batch at work, and none after it"
    );
}

/// The shipped schema as it was before it had the fields of this page.
async fn schema_of_before() -> BaseSchema {
    let mut schema = (*EmbeddedSchemaLoader.load(&SchemaName::parse(TEXT).unwrap()).await.unwrap()).clone();
    schema.document.fields.retain(|field| !["profile", "embedding_model", "language"].contains(&field.name.as_str()));
    schema
}

#[tokio::test]
async fn a_schema_of_before_serves_on_and_takes_the_new_fields_without_ingesting_anew() {
    let model = Model::new("probe", 0);
    let world = world_of(std::slice::from_ref(&model)).await;
    let c = &world.cogniverse;
    world.set_encoder("acme", "probe").await;
    c.operator().backend().drop_schema(&schema("acme")).await.unwrap();
    let deployment = SchemaDeployment { schema: schema("acme"), definition: Arc::new(schema_of_before().await) };
    c.operator().backend().deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let ask =
        |how: &str| SearchRequest::new(tenant("acme"), profile(TEXT), "gradient descent").with_strategy(strategy(how));
    assert_eq!(world.ingest("acme", &LINES).await.stored(), 3);
    assert_eq!(world.ingest("acme", &LINES).await.unchanged(), 3);
    assert_eq!(c.search(ask("float_float")).await.unwrap().results.len(), 2);
    // The store is open while the fields come.
    let report = c.deploy(&tenant("acme"), &profile(TEXT)).await.unwrap();
    let (_, SchemaAction::Changed { what }) = &report.schemas[0] else { panic!("{report:?}") };
    assert!(what.iter().any(|what| what.contains("embedding_model")), "{what:?}");
    assert_eq!(c.operator().backend().count(&schema("acme"), None).await.unwrap(), 3);
    assert_eq!(c.search(ask("bm25_only")).await.unwrap().results.len(), 1);
    // One of them says its origin now: the others are found by words as before, and their vectors are left out and counted.
    assert_eq!(world.ingest("acme", &LINES[..1]).await.stored(), 1);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let walk = SearchRequest::new(tenant("acme"), profile(TEXT), "woods").with_strategy(strategy("bm25_only"));
    assert_eq!(c.search(walk).await.unwrap().results.len(), 1);
    let answer = c.search(ask("float_float")).await.unwrap();
    let reason = &answer.profiles[0].degraded.as_ref().unwrap().reason;
    assert!(answer.results.len() == 1 && reason.starts_with("2 segments are left out"), "{reason}");
    let report = world.ingest("acme", &LINES).await;
    assert_eq!(report.stored(), 2, "they say their model now");
    tokio::time::sleep(Duration::from_secs(6)).await;
    let answer = c.search(ask("float_float")).await.unwrap();
    assert!(answer.results.len() == 2 && answer.profiles[0].degraded.is_none());
    // Of vectors, the documents that are stored have none: that is no such addition.
    let mut words = (*EmbeddedSchemaLoader.load(&SchemaName::parse(TEXT).unwrap()).await.unwrap()).clone();
    let mut more = words.document.fields.iter().find(|field| field.name.as_str() == "embedding").unwrap().clone();
    more.name = FieldName::parse("more_vectors").unwrap();
    words.document.fields.push(more);
    let deployment = SchemaDeployment { schema: schema("acme"), definition: Arc::new(words) };
    let error = c.operator().backend().deploy(DeployRequest::new(vec![deployment])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
}
