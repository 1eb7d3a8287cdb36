//! Ingestion of ready-made segments and of videos made on the spot.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    ErrorKind, Filter, IngestReport, IngestRequest, IngestSource, SearchRequest,
    ingestion::{PrecomputedEncoder, ProgressEvent, ProgressSink, VideoStatus},
    sdk::{
        EncoderInfo, FieldName, FieldValue, Matrix, SchemaName, TenantSchema, VectorKind, VideoId,
        document_store::VisitRequest,
    },
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, atomic::Ordering},
};
use world::{Probe, TEXT, World, clip, ffmpeg_is_there, profile, strategy, tenant};

fn schema(of: &str) -> TenantSchema {
    TenantSchema::new(&tenant(of), &SchemaName::parse(TEXT).unwrap())
}

async fn ingest(world: &World, of: &str, source: IngestSource) -> IngestReport {
    world.cogniverse.ingest(IngestRequest::new(tenant(of), profile(TEXT), source)).await.unwrap()
}

async fn count(world: &World, of: &str) -> u64 {
    world.cogniverse.operator().backend().count(&schema(of), None).await.unwrap()
}

/// (start, end, transcript) of every segment, in order of time.
async fn segments(world: &World, of: &str) -> Vec<(f64, f64, String)> {
    let page =
        world.cogniverse.operator().backend().visit(VisitRequest::new(schema(of)).with_page_size(1000)).await.unwrap();
    let number = |d: &cogniverse::sdk::Document, field: &str| d.get(field).and_then(FieldValue::as_f64).unwrap();
    let mut found: Vec<_> = page
        .documents
        .iter()
        .map(|d| (number(d, "start_time"), number(d, "end_time"), d.text("audio_transcript").to_owned()))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}

#[tokio::test]
async fn a_second_run_does_no_work() {
    let encoder = Probe::new(384);
    let world = World::with(&["acme", "globex"], |b| b.encoder("probe", encoder.clone())).await;
    world.set_encoder("acme", "probe").await;
    let lines = [("v", 0.0, 1.0, "one"), ("v", 1.0, 2.0, "two"), ("w", 0.0, 1.0, "three"), ("w", 1.0, 2.0, "")];
    let first = world.ingest("acme", &lines).await;
    assert!(first.is_complete(), "{first}");
    assert_eq!((first.stored(), first.videos[1].without_vectors, encoder.segments.load(Ordering::SeqCst)), (4, 1, 3));
    let second = world.ingest("acme", &lines).await;
    assert_eq!((second.stored(), second.unchanged(), encoder.segments.load(Ordering::SeqCst)), (0, 4, 3));
    assert!(second.videos.iter().all(|video| video.status == VideoStatus::Unchanged) && second.is_complete());
    // One segment says something else: only that one is encoded and stored.
    let mut changed = lines;
    changed[1].3 = "two and more";
    let third = world.ingest("acme", &changed).await;
    assert_eq!((third.stored(), third.unchanged(), encoder.segments.load(Ordering::SeqCst)), (1, 3, 4));
    // Another tenant has nothing of it, and needs no encoder.
    assert_eq!((count(&world, "acme").await, count(&world, "globex").await), (4, 0));
    assert_eq!(world.ingest("globex", &lines).await.stored(), 4);
    // An encoder that is configured later gives the stored segments their vectors.
    world.set_encoder("globex", "probe").await;
    assert_eq!(world.ingest("globex", &lines).await.stored(), 3);
}

#[tokio::test]
async fn invariant_12_every_segment_is_accounted_for() {
    let encoder = Probe::new(384);
    let world = World::with(&["acme"], |b| b.encoder("probe", encoder.clone())).await;
    world.set_encoder("acme", "probe").await;
    let good = r#"{"video_id": "v", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "fine"}"#;
    let text = [
        good,
        r#"{"video_id": "v", "segment_id": 1, "start_time": 1, "end_time": 2, "audio_transcript": "unencodable"}"#,
        r#"{"video_id": "v", "segment_id": 2, "start_time": 9, "end_time": 2}"#,
        r#"{"video_id": "v", "segment_id": 3}"#,
        "not json",
        "",
        r#"{"video_id": "v", "segment_id": 99999999999, "start_time": 0, "end_time": 1, "audio_transcript": "no int"}"#,
    ]
    .join("\n");
    let file = world.file("bad.jsonl", &text);
    let report = ingest(&world, "acme", IngestSource::Segments(file)).await;
    assert_eq!((report.stored(), report.refused()), (1, 5), "{report}");
    assert!(!report.is_complete());
    let shown = report.to_string();
    for part in ["bad.jsonl:3", "bad.jsonl:4", "bad.jsonl:5", "v/1", "no model takes", "does not fit an int"] {
        let all = serde_json::to_string(&report).unwrap();
        assert!(shown.contains(part) || all.contains(part), "{part}: {all}");
    }
    assert_eq!(report.videos[0].status, VideoStatus::Partial);
    // The encoder is away: nothing is stored, and the run is not complete.
    encoder.broken.store(true, Ordering::SeqCst);
    let file = world.file("new.jsonl", &good.replace("\"v\"", "\"w\""));
    let report = ingest(&world, "acme", IngestSource::Segments(file.clone())).await;
    assert_eq!((report.stored(), report.videos[0].status), (0, VideoStatus::Failed));
    assert!(!report.is_complete() && report.to_string().contains("the model server is away"), "{report}");
    encoder.broken.store(false, Ordering::SeqCst);
    assert!(ingest(&world, "acme", IngestSource::Segments(file)).await.is_complete());
    // Nothing at all is not complete either.
    let empty = world.file("empty.jsonl", "");
    assert!(!ingest(&world, "acme", IngestSource::Segments(empty)).await.is_complete());
}

#[tokio::test]
async fn invariant_17_vectors_are_checked_before_work_begins() {
    let world = World::with(&["acme"], |b| b).await;
    let info = |dims| EncoderInfo { model: "given".into(), dims, kind: VectorKind::Multi };
    let vectors = |dims: usize, cell: f32| {
        HashMap::from([((VideoId::parse("v").unwrap(), 0), Matrix::new(dims, vec![cell; dims]).unwrap())])
    };
    assert!(PrecomputedEncoder::new(info(384), vectors(128, 0.5)).unwrap_err().to_string().contains("128"));
    assert!(PrecomputedEncoder::new(info(384), vectors(384, f32::NAN)).unwrap_err().to_string().contains("NaN"));
    let file = world.file(
        "s.jsonl",
        "{\"video_id\": \"v\", \"segment_id\": 0, \"start_time\": 0, \"end_time\": 1, \"audio_transcript\": \"x\"}",
    );
    let request = || IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Segments(file.clone()));
    let narrow = Arc::new(PrecomputedEncoder::new(info(128), vectors(128, 0.5)).unwrap());
    let error = world.cogniverse.ingest(request().with_encoder(narrow)).await.unwrap_err();
    assert!(error.to_string().contains("128") && error.to_string().contains("v[384]"), "{error}");
    assert_eq!(count(&world, "acme").await, 0);
    let right = Arc::new(PrecomputedEncoder::new(info(384), vectors(384, 0.5)).unwrap());
    assert!(world.cogniverse.ingest(request().with_encoder(right)).await.unwrap().is_complete());
    let query = SearchRequest::new(tenant("acme"), profile(TEXT), "")
        .with_query_vectors(Matrix::new(384, vec![0.1; 384]).unwrap());
    let answer = world.cogniverse.search(query).await.unwrap();
    assert!((answer.results[0].score - 384.0 * 0.05).abs() < 1e-3);
    // An embedding of another width in a segment file is refused by itself.
    let file = world.file(
        "e.jsonl",
        "{\"video_id\": \"x\", \"segment_id\": 0, \"start_time\": 0, \"end_time\": 1, \"embedding\": [[1.0, 2.0]]}",
    );
    let report = ingest(&world, "acme", IngestSource::Segments(file)).await;
    assert!(report.to_string().contains("v[384]"), "{report}");
}

#[tokio::test]
async fn invariant_17_a_profiles_dimensions_are_its_encoders() {
    let world = World::with(&["acme"], |b| b.encoder("probe", Probe::new(384))).await;
    let config = world.cogniverse.operator().config();
    let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value.with_encoder("probe");
    let search = || {
        let request = SearchRequest::new(tenant("acme"), profile(TEXT), "fox");
        world.cogniverse.search(request.with_strategy(strategy("float_float")))
    };
    let file = world.file(
        "one.jsonl",
        r#"{"video_id": "v", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "fox"}"#,
    );
    let ingest = || {
        let source = IngestSource::Segments(file.clone());
        world.cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(TEXT), source))
    };
    config.set_profile(&tenant("acme"), &profile(TEXT), known.clone().with_dimensions(128)).await.unwrap();
    for error in [ingest().await.unwrap_err(), search().await.unwrap_err()] {
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("128 cells"), "{error}");
    }
    config.set_profile(&tenant("acme"), &profile(TEXT), known.with_dimensions(384)).await.unwrap();
    assert!(ingest().await.unwrap().is_complete());
    assert_eq!(search().await.unwrap().results.len(), 1);
}

const SRT: &str = "1\n00:00:01,000 --> 00:00:03,000\nthe first words\n\n2\n00:00:29,000 --> 00:00:33,000\nbefore border | after border\n\n3\n00:00:50,000 --> 00:00:52,000\nlast of all\n";

#[derive(Debug, Default)]
struct Watcher(Mutex<Vec<ProgressEvent>>);

impl ProgressSink for Watcher {
    fn event(&self, event: &ProgressEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test]
async fn videos_are_cut_and_given_their_words() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme", "globex"], |b| b).await;
    let folder = tempfile::tempdir().unwrap();
    clip(folder.path(), "talk.mp4", 55, true);
    std::fs::write(folder.path().join("talk.srt"), SRT).unwrap();
    std::fs::create_dir(folder.path().join("zz")).unwrap();
    std::fs::copy(folder.path().join("talk.mp4"), folder.path().join("zz/copy.mp4")).unwrap();
    let watcher = Arc::new(Watcher::default());
    let source = || IngestSource::Folder(folder.path().to_owned());
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), source()).with_progress(watcher.clone());
    let report = world.cogniverse.ingest(request).await.unwrap();
    assert!(report.is_complete(), "{report}");
    let statuses: Vec<VideoStatus> = report.videos.iter().map(|video| video.status).collect();
    assert_eq!(statuses, [VideoStatus::Done, VideoStatus::Duplicate]);
    assert!(watcher.0.lock().unwrap().contains(&ProgressEvent::Started { videos: 2 }));
    // The words of a cue that straddles the border stand on their own side: six words over 29 s to 33 s.
    let expected = [(0.0, 30.0, "the first words before border"), (30.0, 55.0, "| after border last of all")];
    let found = segments(&world, "acme").await;
    assert_eq!(found.iter().map(|(a, b, c)| (*a, *b, c.as_str())).collect::<Vec<_>>(), expected);
    let answer = world.cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), "last")).await.unwrap();
    assert_eq!((answer.results[0].start_time, answer.results[0].title.as_str()), (30.0, "talk"));
    assert_eq!(count(&world, "globex").await, 0);
    assert!(ingest(&world, "globex", source()).await.is_complete());
    let again = ingest(&world, "acme", source()).await;
    assert_eq!((again.stored(), again.unchanged()), (0, 2));
    // Another cut: the new segments are stored, the old ones go.
    let mut frames =
        world.cogniverse.operator().config().get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    frames.segmentation = cogniverse::config::Segmentation::frames(10.0);
    world.cogniverse.operator().config().set_profile(&tenant("acme"), &profile(TEXT), frames).await.unwrap();
    let report = ingest(&world, "acme", source()).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(count(&world, "acme").await, 6);
    assert_eq!(segments(&world, "acme").await[3].0, 30.0);
}

/// A playlist under a video's name would have ffmpeg read another tenant's file: it is no video, and nothing of it is taken.
#[tokio::test]
async fn invariant_01_a_playlist_reaches_no_other_file() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let (theirs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = clip(theirs.path(), "secret.mp4", 8, true);
    let transport = theirs.path().join("secret.ts");
    let remux = Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&secret).arg(&transport).status().unwrap();
    assert!(remux.success());
    let hls = |target: &Path| {
        let target = target.display();
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{target}\n#EXT-X-ENDLIST\n")
    };
    std::fs::copy(&secret, folder.path().join("own.dat")).unwrap();
    std::fs::write(folder.path().join("hls.mp4"), hls(&secret)).unwrap();
    std::fs::write(folder.path().join("hls-ts.mp4"), hls(&transport)).unwrap();
    std::fs::write(folder.path().join("concat.mp4"), "ffconcat version 1.0\nfile own.dat\n").unwrap();
    let report = ingest(&world, "acme", IngestSource::Folder(folder.path().to_owned())).await;
    assert_eq!(report.videos.len(), 3);
    for video in &report.videos {
        assert_eq!(video.status, VideoStatus::Failed, "{}", video.name);
        let reason = video.reason.as_ref().unwrap();
        // Refused for what it is, before any file that it names is opened.
        assert!(reason.contains("cannot be used as a video") && reason.contains("whitelist"), "{reason}");
    }
    assert_eq!(count(&world, "acme").await, 0);
}

#[tokio::test]
async fn bad_videos_are_named_and_the_others_go_on() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = tempfile::tempdir().unwrap();
    let whole = clip(folder.path(), "whole.mp4", 20, true);
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(folder.path().join("cut-front.mp4"), &bytes[..bytes.len() * 6 / 10]).unwrap();
    let end = std::fs::read(clip(folder.path(), "end.mp4", 21, false)).unwrap();
    std::fs::write(folder.path().join("end.mp4"), &end[..end.len() * 6 / 10]).unwrap();
    std::fs::write(folder.path().join("notes.mp4"), "these are notes, not a video").unwrap();
    std::fs::write(folder.path().join("empty.mp4"), "").unwrap();
    let overlapping = clip(folder.path(), "overlap.mp4", 5, true);
    std::fs::write(
        overlapping.with_extension("srt"),
        "1\n00:00:01,000 --> 00:00:04,000\na\n\n2\n00:00:02,000 --> 00:00:05,000\nb\n",
    )
    .unwrap();
    let report = ingest(&world, "acme", IngestSource::Folder(folder.path().to_owned())).await;
    assert!(!report.is_complete());
    for video in &report.videos {
        let name = Path::new(&video.name).file_name().unwrap().to_string_lossy().into_owned();
        let reason = video.reason.clone().unwrap_or_default();
        let (status, part) = match name.as_str() {
            "whole.mp4" => (VideoStatus::Done, ""),
            "cut-front.mp4" => (VideoStatus::Failed, "cut"),
            "overlap.mp4" => (VideoStatus::Done, ""),
            _ => (VideoStatus::Failed, "cannot be used as a video"),
        };
        assert_eq!(video.status, status, "{name}: {reason}");
        assert!(reason.contains(part) && (part.is_empty() || reason.contains(&name)), "{name}: {reason}");
    }
    assert_eq!((report.videos.len(), count(&world, "acme").await), (6, 2));
    let empty = tempfile::tempdir().unwrap();
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Folder(empty.path().to_owned()));
    let error = world.cogniverse.ingest(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("no video in") && error.to_string().contains("mp4"), "{error}");
}

#[tokio::test]
async fn without_ffmpeg_the_remedy_is_named() {
    let missing = cogniverse::ingestion::Ffmpeg::new("/nowhere/ffmpeg", "/nowhere/ffprobe");
    let world = World::with(&["acme"], |b| b.ffmpeg(missing)).await;
    let video = world.file("v.mp4", "x");
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Files(vec![video]));
    let error = world.cogniverse.ingest(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("apt-get install ffmpeg"), "{error}");
}

/// The real clips, for two tenants, with a transcript beside one of them. `COGNIVERSE_TEST_VIDEOS` says where they are.
#[tokio::test]
async fn real_videos_for_two_tenants() {
    let Some(media) = std::env::var_os("COGNIVERSE_TEST_VIDEOS").map(PathBuf::from) else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set COGNIVERSE_TEST_VIDEOS");
        println!(
            "skipped: set COGNIVERSE_TEST_VIDEOS to a folder with bigbuckbunny.mp4, bikes.mp4 and trailer_bbb.mp4"
        );
        return;
    };
    if !ffmpeg_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["bigbuckbunny.mp4", "bikes.mp4", "trailer_bbb.mp4"] {
        std::fs::copy(media.join(name), folder.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let vtt = "WEBVTT\n\n00:02.000 --> 00:05.000\na rabbit wakes in the meadow\n\n00:40.000 --> 00:44.000\nthree rodents plan mischief\n";
    std::fs::write(folder.path().join("trailer_bbb.vtt"), vtt).unwrap();
    let world = World::with(&["acme", "globex"], |b| b).await;
    let source = IngestSource::Folder(folder.path().to_owned());
    let report = ingest(&world, "acme", source.clone()).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.videos.iter().map(|v| v.planned).collect::<Vec<_>>(), [1, 1, 2], "{report}");
    let spans: Vec<(f64, f64)> = segments(&world, "acme").await.iter().map(|(start, end, _)| (*start, *end)).collect();
    assert!(spans.iter().any(|(start, end)| *start == 30.0 && (*end - 55.0).abs() < 0.5), "{spans:?}");
    assert!(spans.iter().any(|(start, end)| *start == 0.0 && (*end - 5.3).abs() < 0.2), "{spans:?}");
    let ask = |of: &str, words: &str| SearchRequest::new(tenant(of), profile(TEXT), words);
    let answer = world.cogniverse.search(ask("acme", "mischievous rodent")).await.unwrap();
    assert_eq!(answer.results.len(), 1);
    assert_eq!((answer.results[0].start_time, answer.results[0].title.as_str()), (30.0, "trailer_bbb"));
    assert!(world.cogniverse.search(ask("globex", "rodents")).await.unwrap().results.is_empty());
    let bikes = Filter::equals(FieldName::parse("video_title").unwrap(), "bikes");
    assert!(
        world.cogniverse.search(ask("globex", "x").with_filter(bikes)).await.is_err(),
        "a title is searched, not filtered"
    );
    assert!(ingest(&world, "globex", source).await.is_complete());
    assert_eq!(world.cogniverse.search(ask("globex", "rodents")).await.unwrap().results.len(), 1);
}
