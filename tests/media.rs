//! Sounds, pictures and shots; files that bomb, grow or never end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    IngestReport, IngestRequest, IngestSource, SearchRequest,
    config::Segmentation,
    ingestion::{Ffmpeg, MediaKind, TranscriptSource, VideoStatus},
    sdk::{
        EncoderInfo, FrameDescription, Matrix, Result, SegmentContent, SegmentEncoder, VectorKind,
        frame_describer::{DescribeRequest, DescriberInfo, FrameDescriber},
    },
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use world::{TEXT, World, ffmpeg_is_there, profile, strategy, tenant};

/// Makes a file by ffmpeg.
fn make(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    let made = Command::new("ffmpeg").args(["-y", "-v", "error"]).args(arguments).arg(&path).output().unwrap();
    assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
    path
}

async fn ingest(world: &World, request: IngestRequest) -> IngestReport {
    tokio::time::timeout(Duration::from_secs(300), world.cogniverse.ingest(request)).await.unwrap().unwrap()
}

fn request(source: IngestSource) -> IngestRequest {
    IngestRequest::new(tenant("acme"), profile(TEXT), source)
}

/// (title, start, end) of the segments that hold a word.
async fn found(world: &World, word: &str) -> Vec<(String, f64, f64)> {
    let search = SearchRequest::new(tenant("acme"), profile(TEXT), word).with_strategy(strategy("bm25_only"));
    let answer = world.cogniverse.search(search).await.unwrap();
    let mut found: Vec<_> =
        answer.results.iter().map(|result| (result.title.clone(), result.start_time, result.end_time)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    found
}

/// One vector a segment; remembers each segment's text and how many pictures it was shown.
#[derive(Debug)]
struct Looks(EncoderInfo, Mutex<Vec<(String, usize)>>);

impl Looks {
    fn new() -> Arc<Self> {
        Arc::new(Self(EncoderInfo { model: "looks".into(), dims: 384, kind: VectorKind::Multi }, Mutex::default()))
    }
}

#[async_trait]
impl SegmentEncoder for Looks {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let seen = segments.iter().map(|segment| (segment.text.clone(), segment.frames.len()));
        self.1.lock().unwrap().extend(seen);
        segments.iter().map(|_| Matrix::new(384, vec![0.5; 384])).collect()
    }
}

/// Describes every picture by its size in pixels.
#[derive(Debug)]
struct Measures(DescriberInfo);

#[async_trait]
impl FrameDescriber for Measures {
    fn info(&self) -> &DescriberInfo {
        &self.0
    }
    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription> {
        let header = cogniverse::sdk::Picture::read(&request.pictures[0], 1 << 24)?.header();
        FrameDescription::new(
            &format!("side{} of {} pictures", header.width.max(header.height), request.pictures.len()),
            [""],
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sounds_are_segments_with_words_and_no_pictures() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("sounds");
    let tone = "sine=duration=70";
    let cover =
        make(world.folder.path(), "cover.png", &["-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1"]);
    let cover = cover.display().to_string();
    let with_cover = |codec: &[&str]| -> Vec<String> {
        let mut words: Vec<&str> = vec!["-f", "lavfi", "-i", tone, "-i", &cover, "-map", "0:a", "-map", "1:v"];
        words.extend(codec);
        words.extend(["-disposition:v:0", "attached_pic"]);
        words.into_iter().map(str::to_owned).collect()
    };
    let plain = |codec: &[&str]| -> Vec<String> {
        ["-f", "lavfi", "-i", tone].into_iter().chain(codec.iter().copied()).map(str::to_owned).collect()
    };
    let files: [(&str, Vec<String>); 8] = [
        ("a.mp3", with_cover(&["-c:v", "mjpeg"])),
        ("b.m4a", with_cover(&["-c:a", "aac", "-c:v", "mjpeg"])),
        ("c.wav", plain(&[])),
        ("d.flac", with_cover(&["-c:v", "png"])),
        ("e.ogg", plain(&["-c:a", "libvorbis"])),
        ("f.opus", plain(&["-c:a", "libopus"])),
        ("g.aac", plain(&["-c:a", "aac"])),
        // The first frames say another rate than the others: what the size suggests is no length.
        ("h.mp3", plain(&["-c:a", "libmp3lame", "-q:a", "9", "-write_xing", "0"])),
    ];
    for (name, arguments) in &files {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let path = make(&folder, name, &arguments);
        let probe = Ffmpeg::default().probe(&path).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(probe.kind == MediaKind::Audio && (probe.duration - 70.0).abs() < 0.5, "{name}: {probe:?}");
        let srt = format!("1\n00:00:41,000 --> 00:00:44,000\nword{}\n", &name[..1]);
        std::fs::write(path.with_extension("srt"), srt).unwrap();
    }
    let encoder = Looks::new();
    let source = || IngestSource::Folder(folder.clone());
    let report = ingest(&world, request(source()).with_encoder(encoder.clone()).with_frames()).await;
    assert!(report.is_complete() && report.videos.len() == 8 && report.stored() == 24, "{report}");
    for (name, _) in &files {
        let title = name[..1].to_owned();
        assert_eq!(found(&world, &format!("word{title}")).await, [(title, 30.0, 60.0)], "{name}");
    }
    let seen = encoder.1.lock().unwrap().clone();
    assert!(seen.iter().all(|(_, pictures)| *pictures == 0) && seen.len() == 8, "{seen:?}");
    assert_eq!(ingest(&world, request(source()).with_encoder(encoder).with_frames()).await.unchanged(), 24);
    // A profile that cuts by pictures has chunks of sound.
    for cut in [Segmentation::frames(1.0), Segmentation::scenes(0.3), Segmentation::shots(0.3)] {
        let config = world.cogniverse.operator().config();
        let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
        config.set_profile(&tenant("acme"), &profile(TEXT), known.with_segmentation(cut)).await.unwrap();
        assert_eq!(ingest(&world, request(source())).await.videos[0].planned, 3);
    }
    // What states its length and ends before it is cut.
    for (name, why) in [("d.flac", "it is cut: its sound should last 70.0 s"), ("b.m4a", "cannot be used")] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let cut = world.folder.path().join(format!("cut.{name}"));
        std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let error = Ffmpeg::default().probe(&cut).await.unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_one_segment_and_is_looked_at() {
    if !ffmpeg_is_there() {
        return;
    }
    let describer = Arc::new(Measures(DescriberInfo { model: "ruler".into() }));
    let world = World::with(&["acme"], |b| b.frame_describer(describer)).await;
    let folder = world.folder.path().join("pictures");
    let sizes =
        [("a.jpg", "300x200"), ("b.jpeg", "200x301"), ("c.PNG", "302x8"), ("d.webp", "303x64"), ("e.gif", "304x64")];
    for (name, size) in sizes {
        let path = make(
            &folder,
            &name.to_lowercase(),
            &["-f", "lavfi", "-i", &format!("testsrc=size={size}"), "-frames:v", "1"],
        );
        std::fs::rename(path, folder.join(name)).unwrap();
    }
    make(&folder, "large.jpg", &["-f", "lavfi", "-i", "testsrc=size=3000x1500", "-frames:v", "1"]);
    // Named like a video, and in a series of which ffmpeg would take the first.
    std::fs::copy(folder.join("a.jpg"), folder.join("frame%03d.jpg")).unwrap();
    std::fs::write(
        folder.join("frame%03d.jpg"),
        [std::fs::read(folder.join("a.jpg")).unwrap(), b"x".to_vec()].concat(),
    )
    .unwrap();
    // The covers of a talk are none of their own.
    make(&folder, "talk.mp4", &["-f", "lavfi", "-i", "testsrc=duration=3:size=64x64:rate=5", "-pix_fmt", "yuv420p"]);
    std::fs::copy(folder.join("a.jpg"), folder.join("TALK.jpg")).unwrap();
    let encoder = Looks::new();
    let source = || request(IngestSource::Folder(folder.clone())).describing();
    let report = ingest(&world, source().with_encoder(encoder.clone()).with_frames()).await;
    assert!(report.is_complete() && report.videos.len() == 8 && report.stored() == 8, "{report}");
    assert_eq!(report.passed_over.len(), 1, "{report}");
    assert!(report.passed_over[0].1.contains("the cover of"), "{report}");
    let still = report.videos.iter().find(|video| video.name.ends_with("a.jpg")).unwrap();
    assert_eq!((still.planned, still.described, still.transcript), (1, 1, TranscriptSource::None));
    for (side, name) in [
        ("side300", "a"),
        ("side301", "b"),
        ("side302", "c"),
        ("side303", "d"),
        ("side304", "e"),
        ("side1024", "large"),
    ] {
        let found = found(&world, side).await;
        assert!(found.iter().any(|hit| *hit == (name.to_owned(), 0.0, 0.0)), "{side}: {found:?}");
    }
    let seen = encoder.1.lock().unwrap().clone();
    assert!(seen.len() == 8 && seen.iter().all(|(_, pictures)| (1..=3).contains(pictures)), "{seen:?}");
    assert_eq!(ingest(&world, source().with_encoder(encoder).with_frames()).await.unchanged(), 8);
}

/// A PNG that claims a size, with the data of none.
fn claims(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = cogniverse::sdk::contract::picture::png();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_claims_billions_of_pixels_is_refused_before_it_is_decoded() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bomb.png"), claims(60_000, 60_000)).unwrap();
    // The content decides, whatever the name.
    std::fs::write(folder.join("hidden.mp4"), claims(60_000, 60_001)).unwrap();
    std::fs::write(folder.join("half.png"), &claims(8, 8)[..20]).unwrap();
    let began = Instant::now();
    let report = ingest(&world, request(IngestSource::Folder(folder))).await;
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!((report.videos.len(), report.stored()), (3, 0), "{report}");
    for (name, why) in [("bomb.png", "60000x60000"), ("hidden.mp4", "60000x60001"), ("half.png", "cut or damaged")] {
        let video = report.videos.iter().find(|video| video.name.ends_with(name)).unwrap();
        let reason = video.reason.as_ref().unwrap();
        assert!(video.status == VideoStatus::Failed && reason.contains(why), "{name}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_by_shots_begin_where_the_picture_changes() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("videos");
    // Cuts at 6, 6.5 and 14 s, and then 16 s without one.
    let shots = ["red:d=6", "white:d=0.5", "blue:d=7.5", "green:d=16"].map(|shot| {
        let (colour, length) = shot.split_once(':').unwrap();
        format!("color={colour}:size=160x120:rate=10:{length}")
    });
    let mut arguments: Vec<&str> = Vec::new();
    shots.iter().for_each(|shot| arguments.extend(["-f", "lavfi", "-i", shot]));
    arguments.extend(["-filter_complex", "concat=n=4", "-pix_fmt", "yuv420p"]);
    let video = make(&folder, "shots.mp4", &arguments);
    // Times that begin at an hour: those of the segments do not.
    let shifted = video.display().to_string();
    make(&folder, "later.mkv", &["-i", &shifted, "-c", "copy", "-output_ts_offset", "3600"]);
    let config = world.cogniverse.operator().config();
    let known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    let spans = async |cut: Segmentation| {
        let profile_of = known.clone().with_segmentation(cut);
        config.set_profile(&tenant("acme"), &profile(TEXT), profile_of).await.unwrap();
        let report = ingest(&world, request(IngestSource::Folder(folder.clone()))).await;
        assert!(report.is_complete(), "{report}");
        let rounded = |time: f64| (time * 10.0).round() / 10.0;
        let of = |title: &str, all: &[(String, f64, f64)]| {
            all.iter().filter(|hit| hit.0 == title).map(|hit| (rounded(hit.1), rounded(hit.2))).collect::<Vec<_>>()
        };
        let all = segments(&world).await;
        assert_eq!(of("shots", &all), of("later", &all));
        of("shots", &all)
    };
    let cut = |min_seconds, max_seconds| Segmentation::Shots { threshold: 0.2, min_seconds, max_seconds };
    assert_eq!(spans(cut(2.0, 10.0)).await, [(0.0, 6.0), (6.0, 14.0), (14.0, 22.0), (22.0, 30.0)]);
    assert_eq!(spans(cut(0.5, 60.0)).await, [(0.0, 6.0), (6.0, 6.5), (6.5, 14.0), (14.0, 30.0)]);
    assert_eq!(spans(cut(15.0, 60.0)).await, [(0.0, 30.0)]);
    assert_eq!(spans(Segmentation::scenes(0.2)).await, [(0.0, 6.0), (6.0, 6.5), (6.5, 14.0), (14.0, 30.0)]);
}

/// All segments that are stored.
async fn segments(world: &World) -> Vec<(String, f64, f64)> {
    use cogniverse::sdk::{FieldValue, SchemaName, TenantSchema, document_store::VisitRequest};
    let schema = TenantSchema::new(&tenant("acme"), &SchemaName::parse(TEXT).unwrap());
    let page = world.cogniverse.operator().backend().visit(VisitRequest::new(schema)).await.unwrap();
    let seconds =
        |document: &cogniverse::sdk::Document, field: &str| document.get(field).and_then(FieldValue::as_f64).unwrap();
    let of = |found: &cogniverse::sdk::OwnedDocument| {
        let document = &found.document;
        (document.text("video_title").to_owned(), seconds(document, "start_time"), seconds(document, "end_time"))
    };
    let mut all: Vec<_> = page.documents.iter().map(of).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    all
}

/// Lets a file grow while its pictures are described.
#[derive(Debug)]
struct Records(DescriberInfo, PathBuf);

#[async_trait]
impl FrameDescriber for Records {
    fn info(&self) -> &DescriberInfo {
        &self.0
    }
    async fn describe(&self, _: &DescribeRequest) -> Result<FrameDescription> {
        std::fs::OpenOptions::new().append(true).open(&self.1).unwrap().write_all(b"more").unwrap();
        FrameDescription::new("a scene", [""])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_grows_while_it_is_read_is_said_and_not_stored() {
    if !ffmpeg_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let video = make(
        folder.path(),
        "live.mp4",
        &["-f", "lavfi", "-i", "testsrc=duration=3:size=64x64:rate=5", "-pix_fmt", "yuv420p"],
    );
    let records = Arc::new(Records(DescriberInfo { model: "recorder".into() }, video.clone()));
    let world = World::with(&["acme"], |b| b.frame_describer(records)).await;
    let report = ingest(&world, request(IngestSource::Files(vec![video.clone()])).describing()).await;
    let reason = report.videos[0].reason.as_ref().unwrap();
    assert!(reason.contains("changed while it was read") && reason.contains("ingest it again"), "{reason}");
    assert_eq!((report.videos[0].status, report.stored()), (VideoStatus::Failed, 0));
    assert!(ingest(&world, request(IngestSource::Files(vec![video]))).await.is_complete(), "it stands still now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subtitles_of_gigabytes_are_refused_and_a_million_cues_are_read() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("videos");
    for name in ["huge.mp4", "many.mp4"] {
        let length = if name == "huge.mp4" { 3 } else { 4 };
        let picture = format!("testsrc=duration={length}:size=64x64:rate=5");
        make(&folder, name, &["-f", "lavfi", "-i", &picture, "-pix_fmt", "yuv420p"]);
    }
    // Sparse: it takes no room on the disk.
    std::fs::File::create(folder.join("huge.srt")).unwrap().set_len(2 << 30).unwrap();
    let mut cues = String::with_capacity(40 << 20);
    for number in 0..1_000_000u32 {
        use std::fmt::Write as _;
        let (seconds, thousandths) = (number / 1000, number % 1000);
        let time = format!("{:02}:{:02}.{thousandths:03}", seconds / 60, seconds % 60);
        write!(cues, "{time} --> {time}\nw{number}\n\n").unwrap();
    }
    std::fs::write(folder.join("many.vtt"), format!("WEBVTT\n\n{cues}")).unwrap();
    let began = Instant::now();
    let report = ingest(&world, request(IngestSource::Folder(folder))).await;
    println!("a million cues in {:?}", began.elapsed());
    let of = |name: &str| report.videos.iter().find(|video| video.name.ends_with(name)).unwrap();
    let reason = of("huge.mp4").reason.as_ref().unwrap();
    assert!(reason.contains("2147483648 bytes") && reason.contains("at most"), "{reason}");
    assert_eq!(of("many.mp4").status, VideoStatus::Done, "{report}");
    assert_eq!(found(&world, "w3999").await.len(), 1);
    assert!(found(&world, "w4000").await.is_empty());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_a_hundred_thousand_files_and_loops_of_links_are_gone_through() {
    use std::os::unix::fs::symlink;
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("many");
    for part in 0..100 {
        let below = folder.join(format!("{part}"));
        std::fs::create_dir_all(&below).unwrap();
        for number in 0..1000 {
            std::fs::File::create(below.join(format!("{number}.txt"))).unwrap();
        }
    }
    symlink(&folder, folder.join("7/up")).unwrap();
    symlink(folder.join("7/self.mp4"), folder.join("7/self.mp4")).unwrap();
    make(
        &folder.join("99"),
        "talk.mp4",
        &["-f", "lavfi", "-i", "testsrc=duration=3:size=64x64:rate=5", "-pix_fmt", "yuv420p"],
    );
    let began = Instant::now();
    let report = ingest(&world, request(IngestSource::Folder(folder))).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!((report.stored(), report.passed_over_count, report.passed_over.len()), (1, 100_002, 100), "{report}");
}
