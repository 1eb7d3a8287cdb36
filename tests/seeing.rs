//! What is seen: described and read once, found by words, and never another tenant's.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    CogniverseBuilder, ErrorKind, IngestReport, IngestRequest, IngestSource, SearchRequest,
    config::Segmentation,
    ingestion::{
        CommandDescriber, CommandScreenReader, Describing, ProgressEvent, ProgressSink, ScreenReading, SeeingFailure,
        VideoStatus,
    },
    sdk::{
        DescribeRequest, DescriberInfo, Error, ErrorCode, FrameDescriber, FrameDescription, ReadScreensRequest, Result,
        ScreenReader, ScreenReaderInfo, ScreenText,
    },
};
use cogniverse_model_servers::{HttpScreenReader, ServerConfig};
use cogniverse_tests::root;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};
use world::{Probe, TEXT, World, ffmpeg_is_there, profile, strategy, tenant};

/// Sees the colour of pictures, by ffmpeg.
#[derive(Debug)]
struct Eyes {
    describer: DescriberInfo,
    reader: ScreenReaderInfo,
    /// The pictures of each call.
    calls: Mutex<Vec<usize>>,
    broken: Mutex<Option<Error>>,
}

impl Eyes {
    fn new(model: &str) -> Arc<Self> {
        Arc::new(Self {
            describer: DescriberInfo { model: model.to_owned() },
            reader: ScreenReaderInfo { model: model.to_owned() },
            calls: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn break_by(&self, kind: Option<ErrorKind>) {
        *self.broken.lock().unwrap() = kind.map(|kind| Error::new(kind, "the eyes are shut"));
    }

    fn look(&self, pictures: &[PathBuf]) -> Result<Vec<&'static str>> {
        self.calls.lock().unwrap().push(pictures.len());
        if let Some(error) = &*self.broken.lock().unwrap() {
            return Err(Error::new(error.kind(), error.message()));
        }
        Ok(pictures.iter().map(|picture| colour(picture)).collect())
    }
}

fn colour(picture: &Path) -> &'static str {
    let seen = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(picture)
        .args(["-vf", "scale=1:1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let most = (0..3).max_by_key(|channel| seen.stdout[*channel]).unwrap();
    ["crimson", "emerald", "azure"][most]
}

#[async_trait]
impl FrameDescriber for Eyes {
    fn info(&self) -> &DescriberInfo {
        &self.describer
    }

    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription> {
        let seen = self.look(&request.pictures)?;
        FrameDescription::new(&format!("A wall that is {}", seen[0]), ["wall", seen[0]])
    }
}

#[async_trait]
impl ScreenReader for Eyes {
    fn info(&self) -> &ScreenReaderInfo {
        &self.reader
    }

    async fn read_screens(&self, request: &ReadScreensRequest) -> Result<Vec<ScreenText>> {
        self.look(&request.pictures)?
            .into_iter()
            .map(|seen| ScreenText::new([format!("Slide of {seen}"), "page".into()]))
            .collect()
    }
}

/// Five seconds each of red, green and blue.
fn clip(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let colours = ["red", "lime", "blue"].map(|name| format!("color={name}:size=160x120:rate=10:duration=5"));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]);
    for colour in &colours {
        command.args(["-f", "lavfi", "-i", colour]);
    }
    command.args(["-filter_complex", "concat=n=3", "-pix_fmt", "yuv420p"]);
    assert!(command.arg(path).status().unwrap().success());
    path.to_owned()
}

/// Tenants whose videos are cut every five seconds.
async fn world(change: impl FnOnce(CogniverseBuilder) -> CogniverseBuilder) -> World {
    let world = World::with(&["acme", "globex"], change).await;
    for of in ["acme", "globex"] {
        segmented(&world, of, Segmentation::chunks(5.0, 0.0)).await;
    }
    world
}

async fn segmented(world: &World, of: &str, segmentation: Segmentation) {
    let config = world.cogniverse.operator().config();
    let known = config.get_profile(&tenant(of), &profile(TEXT)).await.unwrap().config.value;
    config.set_profile(&tenant(of), &profile(TEXT), known.with_segmentation(segmentation)).await.unwrap();
}

fn request(of: &str, file: &Path) -> IngestRequest {
    IngestRequest::new(tenant(of), profile(TEXT), IngestSource::Files(vec![file.to_owned()]))
}

async fn ingest(world: &World, request: IngestRequest) -> IngestReport {
    world.cogniverse.ingest(request).await.unwrap()
}

/// (start, end) of the segments that hold a word.
async fn found(world: &World, of: &str, word: &str) -> Vec<(f64, f64)> {
    let search = SearchRequest::new(tenant(of), profile(TEXT), word).with_strategy(strategy("bm25_only"));
    let answer = world.cogniverse.search(search).await.unwrap();
    let mut found: Vec<_> = answer.results.iter().map(|result| (result.start_time, result.end_time)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}

#[derive(Debug, Default)]
struct Watcher(Mutex<Vec<ProgressEvent>>);

impl ProgressSink for Watcher {
    fn event(&self, event: &ProgressEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_seen_is_found_at_its_second_and_paid_for_once() {
    if !ffmpeg_is_there() {
        return;
    }
    let (eyes, glasses, encoder) = (Eyes::new("eyes"), Eyes::new("glasses"), Probe::new(384));
    let (describer, reader, probe) = (eyes.clone(), glasses.clone(), encoder.clone());
    let world = world(|b| b.frame_describer(describer).screen_reader(reader).encoder("probe", probe)).await;
    world.set_encoder("acme", "probe").await;
    let video = clip(&world.folder.path().join("videos/walls.mp4"));
    let watcher = Arc::new(Watcher::default());
    let both = || request("acme", &video).describing().reading_screens();
    let report = ingest(&world, both().with_progress(watcher.clone())).await;
    assert!(report.is_complete(), "{report}");
    let walls = &report.videos[0];
    assert_eq!((walls.described, walls.screens_read, walls.unseen_count), (3, 3, 0));
    assert!(report.to_string().contains("3 described, 3 screens read"), "{report}");
    assert_eq!(found(&world, "acme", "emerald").await, [(5.0, 10.0)], "by the description and by the screen");
    assert_eq!((found(&world, "acme", "wall").await.len(), found(&world, "acme", "page").await.len()), (3, 3));
    assert_eq!(encoder.segments.load(std::sync::atomic::Ordering::SeqCst), 3);
    // Four pictures of five seconds are described; of pictures that are the same, one is read.
    assert_eq!((eyes.calls.lock().unwrap().clone(), glasses.calls.lock().unwrap().clone()), (vec![4; 3], vec![1; 3]));
    let events = watcher.0.lock().unwrap().clone();
    let describing = events.iter().filter(|event| matches!(event, ProgressEvent::Describing { of: 3, .. })).count();
    let reading = events.iter().filter(|event| matches!(event, ProgressEvent::ReadingScreens { of: 3, .. })).count();
    assert_eq!((describing, reading), (3, 3));

    // Again, and under another name: nothing is asked, nothing is encoded.
    let again = ingest(&world, both()).await;
    assert_eq!((again.videos[0].status, again.videos[0].described), (VideoStatus::Unchanged, 3));
    let moved = world.folder.path().join("videos/other.mp4");
    std::fs::rename(&video, &moved).unwrap();
    let moved_report = ingest(&world, request("acme", &moved).describing().reading_screens()).await;
    assert!(moved_report.is_complete() && moved_report.videos[0].screens_read == 3, "{moved_report}");
    assert_eq!((eyes.calls(), glasses.calls()), (3, 3));
    // A run that does not look takes nothing away.
    let blind = ingest(&world, request("acme", &moved)).await;
    assert_eq!((blind.videos[0].status, blind.videos[0].described), (VideoStatus::Unchanged, 0), "{blind}");
    assert_eq!(found(&world, "acme", "emerald").await, [(5.0, 10.0)]);
    assert_eq!(encoder.segments.load(std::sync::atomic::Ordering::SeqCst), 3);
    // Other times are other segments.
    segmented(&world, "acme", Segmentation::chunks(7.5, 0.0)).await;
    let cut = ingest(&world, request("acme", &moved).describing()).await;
    assert_eq!((cut.videos[0].described, eyes.calls(), glasses.calls()), (2, 5, 3), "{cut}");
    // Back again: it is still kept.
    segmented(&world, "acme", Segmentation::chunks(5.0, 0.0)).await;
    ingest(&world, request("acme", &moved).describing().reading_screens()).await;
    assert_eq!((eyes.calls(), glasses.calls()), (5, 3));
    assert_eq!(found(&world, "acme", "emerald").await, [(5.0, 10.0)]);
    // Another language is another description.
    ingest(&world, request("acme", &moved).describing().with_language("de")).await;
    assert_eq!(eyes.calls(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_04_what_a_tenants_models_saw_is_its_own() {
    if !ffmpeg_is_there() {
        return;
    }
    let eyes = Eyes::new("eyes");
    let (describer, reader) = (eyes.clone(), eyes.clone());
    let world = world(|b| b.frame_describer(describer).screen_reader(reader)).await;
    let video = clip(&world.folder.path().join("videos/walls.mp4"));
    let both = |of: &str| request(of, &video).describing().reading_screens();
    ingest(&world, both("acme")).await;
    assert_eq!(eyes.calls(), 6);
    assert!(found(&world, "globex", "emerald").await.is_empty());
    ingest(&world, both("globex")).await;
    assert_eq!(eyes.calls(), 12, "the same video of another tenant is asked for anew");
    let count =
        |kind: &str, of: &str| std::fs::read_dir(world.folder.path().join(kind).join(of)).map_or(0, Iterator::count);
    for kind in ["descriptions", "screen_texts"] {
        assert_eq!((count(kind, "acme"), count(kind, "globex")), (1, 1), "{kind}");
    }
    world.cogniverse.suspend(&tenant("acme"), cogniverse::Suspend::new("done")).await.unwrap();
    let receipt = world.cogniverse.erase(&tenant("acme")).await.unwrap();
    assert!(receipt.is_complete(), "{receipt:?}");
    for kind in ["descriptions", "screen_texts"] {
        assert_eq!((count(kind, "acme"), count(kind, "globex")), (0, 1), "{kind}");
    }
    ingest(&world, both("globex")).await;
    assert_eq!(eyes.calls(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_12_what_was_not_seen_is_said_and_never_stored_as_empty() {
    if !ffmpeg_is_there() {
        return;
    }
    for failure in [SeeingFailure::StoreWithout, SeeingFailure::FailVideo] {
        let eyes = Eyes::new("eyes");
        let describing = Describing::new(eyes.clone()).with_failure(failure);
        let world = world(|b| b.describing(describing)).await;
        let video = clip(&world.folder.path().join("videos/walls.mp4"));
        let describe = || request("acme", &video).describing();
        eyes.break_by(Some(ErrorKind::Unavailable));
        let report = ingest(&world, describe()).await;
        let walls = &report.videos[0];
        assert!(!report.is_complete() && report.to_string().contains("the eyes are shut"), "{report}");
        match failure {
            SeeingFailure::FailVideo => assert_eq!((walls.status, walls.stored), (VideoStatus::Failed, 0), "{report}"),
            _ => {
                assert_eq!((walls.status, walls.stored, walls.unseen_count), (VideoStatus::Partial, 3, 3), "{report}");
                assert!(walls.unseen[1].1.contains("not tried"), "{report}");
            }
        }
        assert_eq!(eyes.calls(), 1, "a server that is away is not waited for three times");
        // The next run that can makes it whole.
        eyes.break_by(None);
        assert!(ingest(&world, describe()).await.is_complete());
        assert_eq!(found(&world, "acme", "emerald").await, [(5.0, 10.0)]);
        // What was seen stays where a later run, by another model that fails, sees nothing.
        let report = match failure {
            SeeingFailure::FailVideo => continue,
            _ => {
                eyes.break_by(Some(ErrorKind::Unexpected));
                ingest(&world, describe().with_language("fr")).await
            }
        };
        assert_eq!((report.videos[0].status, report.videos[0].unseen_count), (VideoStatus::Partial, 3), "{report}");
        assert_eq!(eyes.calls(), 1 + 3 + 3, "each segment is tried, as it may be the only one");
        assert_eq!(found(&world, "acme", "emerald").await, [(5.0, 10.0)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_set_up_ends_the_run_and_is_named() {
    if !ffmpeg_is_there() {
        return;
    }
    let plain = world(|b| b).await;
    let video = clip(&plain.folder.path().join("videos/walls.mp4"));
    let fails =
        async |world: &World, request: IngestRequest| world.cogniverse.ingest(request).await.unwrap_err().code();
    assert_eq!(fails(&plain, request("acme", &video).describing()).await, ErrorCode::FrameDescriberMissing);
    assert_eq!(fails(&plain, request("acme", &video).reading_screens()).await, ErrorCode::ScreenReaderMissing);
    let describer = Arc::new(CommandDescriber::parse("no-such-program-anywhere").unwrap());
    let reader = Arc::new(CommandScreenReader::parse("no-such-program-anywhere").unwrap());
    let broken = world(|b| b.frame_describer(describer).screen_reader(reader)).await;
    assert_eq!(fails(&broken, request("acme", &video).describing()).await, ErrorCode::FrameDescriberMissing);
    assert_eq!(fails(&broken, request("acme", &video).reading_screens()).await, ErrorCode::ScreenReaderMissing);
    let eyes = Eyes::new("eyes");
    let (describing, screens) = (Describing::new(eyes.clone()), ScreenReading::new(eyes));
    for wrong in [(0, 1024), (17, 1024), (4, 10)] {
        let (describing, screens) = (describing.clone(), screens.clone());
        let (most, side) = wrong;
        let world = world(|b| {
            b.describing(describing.with_pictures(most, side)).screen_reading(screens.with_pictures(most, side))
        })
        .await;
        assert_eq!(fails(&world, request("acme", &video).describing()).await, ErrorCode::InvalidInput, "{wrong:?}");
        assert_eq!(fails(&world, request("acme", &video).reading_screens()).await, ErrorCode::InvalidInput);
    }
}

/// A python with `RapidOCR`, named by `COGNIVERSE_RAPIDOCR_PYTHON`.
fn rapidocr() -> Option<String> {
    let Ok(python) = std::env::var("COGNIVERSE_RAPIDOCR_PYTHON") else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set COGNIVERSE_RAPIDOCR_PYTHON");
        println!("skipped: set COGNIVERSE_RAPIDOCR_PYTHON to a python with rapidocr-onnxruntime");
        return None;
    };
    ffmpeg_is_there().then_some(python)
}

fn script() -> String {
    root().join("examples/screen_reader.py").display().to_string()
}

/// Seconds that each slide of the deck stands.
const SLIDE: usize = 8;

/// Renders the deck of `tests/data/deck` to a video, and returns its path and the number of slides.
fn deck(python: &str, folder: &Path) -> (PathBuf, usize) {
    let data = root().join("tests/data/deck");
    let rendered =
        Command::new(python).arg(data.join("render.py")).arg(data.join("slides.txt")).arg(folder).output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let slides = String::from_utf8(rendered.stdout).unwrap().trim().parse().unwrap();
    let video = folder.join("deck.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-framerate", &format!("1/{SLIDE}"), "-i"])
        .arg(folder.join("%03d.png"))
        .args(["-r", "2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .arg(&video)
        .status();
    assert!(made.unwrap().success());
    (video, slides)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_on_slides_are_found_at_their_time_by_a_real_rapidocr() {
    let Some(python) = rapidocr() else { return };
    let reader =
        CommandScreenReader::parse(&format!("'{python}' '{}'", script())).unwrap().with_model("rapidocr 1.4.4");
    let world = world(|b| b.screen_reader(Arc::new(reader))).await;
    let (video, slides) = deck(&python, world.folder.path());
    segmented(&world, "acme", Segmentation::chunks(4.0, 0.0)).await;
    let report = ingest(&world, request("acme", &video).reading_screens()).await;
    assert!(report.is_complete() && report.videos[0].screens_read == slides * SLIDE / 4, "{report}");
    let queries = std::fs::read_to_string(root().join("tests/data/deck/queries.txt")).unwrap();
    let (mut right, mut wrong) = (0, Vec::new());
    for (slide, query) in queries.lines().enumerate() {
        let answer = world.cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), query)).await.unwrap();
        let (from, to) = ((slide * SLIDE) as f64, ((slide + 1) * SLIDE) as f64);
        match answer.results.first() {
            Some(first) if first.start_time >= from - 0.01 && first.end_time <= to + 0.01 => right += 1,
            first => wrong.push((query, first.map(|first| first.start_time))),
        }
    }
    println!("{right} of {slides} queries find the time of their slide; not found: {wrong:?}");
    assert!(slides == 40 && queries.lines().count() == slides && right * 10 >= slides * 9, "{right}: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_rapidocr_is_read_over_http_too_and_keeps_the_contract() {
    use cogniverse::sdk::contract::{Outcome, screen_reader as suite};
    let Some(python) = rapidocr() else { return };
    let mut server = Command::new(&python).arg(script()).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    let http = HttpScreenReader::new(ServerConfig::new(url), "rapidocr").unwrap();
    let command = CommandScreenReader::parse(&format!("'{python}' '{}'", script())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    deck(&python, folder.path());
    let slides = ReadScreensRequest::new(vec![folder.path().join("000.png"), folder.path().join("001.png")]);
    for reader in [&http as &dyn ScreenReader, &command] {
        assert_eq!(suite::each_picture_has_its_text(reader).await, Outcome::Ran);
        assert_eq!(suite::a_language_may_be_said(reader).await, Outcome::Ran);
        assert_eq!(suite::a_missing_picture_is_an_error(reader).await, Outcome::Ran);
        assert_eq!(suite::what_is_no_picture_is_an_error(reader).await, Outcome::Ran);
        let read = reader.read_screens(&slides).await.unwrap();
        assert!(read[0].lines.iter().any(|line| line.contains("Photosynthesis")), "{read:?}");
        assert!(read[1].lines.iter().any(|line| line.contains("Evaporation")), "{read:?}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
