//! Videos, transcripts and folders as people have them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    ErrorKind, IngestReport, IngestRequest, IngestSource, Result, SchemaName, SearchRequest,
    encoders::HashEncoder,
    ingestion::{Ffmpeg, VideoStatus},
    sdk::{
        EncoderInfo, Error, Matrix, SegmentContent, SegmentEncoder, TenantSchema, TranscribeRequest, Transcriber,
        TranscriberInfo, Transcription, VectorKind, document_store::VisitRequest,
    },
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use world::{TEXT, World, ffmpeg_is_there, profile, tenant};

/// Makes a file by ffmpeg.
fn make(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    let made = Command::new("ffmpeg").args(["-y", "-v", "error"]).args(arguments).arg(&path).output().unwrap();
    assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
    path
}

fn picture(seconds: u32, rate: &str) -> String {
    format!("testsrc=duration={seconds}:size=64x64:rate={rate}")
}

async fn probe(path: &Path) -> Result<f64> {
    Ok(Ffmpeg::default().probe(path).await?.duration)
}

#[tokio::test]
async fn whole_videos_are_whole_and_cut_ones_are_cut() {
    if !ffmpeg_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, arguments: &[&str]| make(folder.path(), name, arguments);
    let (twelve, ten, few, one) = (picture(12, "5"), picture(10, "5"), picture(60, "1/20"), picture(1, "1"));
    let (sound12, sound30, sound60) = ("sine=duration=12", "sine=duration=30", "sine=duration=60");
    let lavfi = |picture: &str, sound: &str| {
        ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-pix_fmt", "yuv420p"].map(str::to_owned)
    };
    let with = |picture: &str, sound: &str, more: &[&str]| -> Vec<String> {
        lavfi(picture, sound).into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect()
    };
    let file = |name: &str, arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        make(name, &arguments)
    };
    let vp8 = ["-c:v", "libvpx", "-c:a", "libopus", "-b:v", "200k"];
    let cover = make("cover.png", &["-f", "lavfi", "-i", "color=red:size=64x64:duration=1", "-frames:v", "1"]);
    let plain = file("plain.mp4", with(&twelve, sound12, &["-movflags", "+faststart"]));
    let (cover, plain_name) = (cover.display().to_string(), plain.display().to_string());
    let covered = make(
        "covered.mp4",
        &[
            "-i",
            &cover,
            "-i",
            &plain_name,
            "-map",
            "0",
            "-map",
            "1",
            "-c",
            "copy",
            "-disposition:v:0",
            "attached_pic",
            "-disposition:v:1",
            "default",
        ],
    );
    let whole = [
        (plain.clone(), 12.0),
        (covered, 12.0),
        (file("longer_sound.mp4", with(&ten, sound30, &[])), 30.0),
        (file("longer_sound.mkv", with(&ten, sound30, &[])), 30.0),
        (file("few.mkv", with(&few, sound60, &[])), 60.0),
        (file("few.mp4", with(&few, sound60, &[])), 60.0),
        (file("one.mkv", with(&one, sound60, &[])), 60.0),
        (file("silent_few.mkv", ["-f", "lavfi", "-i", &few, "-pix_fmt", "yuv420p"].map(str::to_owned).into()), 60.0),
        (file("offset.mkv", with(&twelve, sound12, &["-output_ts_offset", "3600"])), 12.0),
        (file("offset.ts", with(&twelve, sound12, &["-output_ts_offset", "3600"])), 12.0),
        (file("plain.ts", with(&twelve, sound12, &[])), 12.0),
        (file("plain.avi", with(&twelve, sound12, &[])), 12.0),
        (file("h264.avi", with(&twelve, sound12, &["-c:v", "libx264", "-bf", "2"])), 12.0),
        (file("plain.flv", with(&twelve, sound12, &[])), 12.0),
        (file("plain.webm", with(&twelve, sound12, &vp8)), 12.0),
        (file("live.webm", with(&twelve, sound12, &[&vp8[..], &["-live", "1"]].concat())), 12.0),
    ];
    for (path, seconds) in whole {
        let length = probe(&path).await.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!((length - seconds).abs() < 0.5, "{}: {length}", path.display());
    }
    file("plain.mkv", with(&twelve, sound12, &[]));
    for ending in ["mp4", "mkv", "webm", "flv"] {
        let bytes = std::fs::read(folder.path().join(format!("plain.{ending}"))).unwrap();
        let cut = folder.path().join(format!("cut.{ending}"));
        std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let error = probe(&cut).await.unwrap_err();
        assert!(error.to_string().contains("it is cut"), "{ending}: {error}");
    }
}

/// One vector a segment, and how many pictures it was shown.
#[derive(Debug)]
struct Looks(EncoderInfo, Mutex<Vec<usize>>);

#[async_trait]
impl SegmentEncoder for Looks {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        self.1.lock().unwrap().extend(segments.iter().map(|segment| segment.frames.len()));
        segments.iter().map(|_| Matrix::new(384, vec![0.5; 384])).collect()
    }
}

#[tokio::test]
async fn every_segment_has_a_picture_where_few_are_or_the_sound_goes_on() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("videos");
    let (few, ten) = (picture(90, "1/40"), picture(10, "5"));
    for (name, picture) in [("few.mkv", &few), ("few.mp4", &few), ("sound.mp4", &ten)] {
        make(
            &folder,
            name,
            &["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=duration=90", "-pix_fmt", "yuv420p"],
        );
    }
    let encoder =
        Arc::new(Looks(EncoderInfo { model: "looks".into(), dims: 384, kind: VectorKind::Multi }, Mutex::default()));
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Folder(folder))
        .with_encoder(encoder.clone())
        .with_frames();
    let report = world.cogniverse.ingest(request).await.unwrap();
    assert!(report.is_complete(), "{report}");
    let shown = encoder.1.lock().unwrap().clone();
    assert!(shown.len() == 11 && shown.iter().all(|pictures| *pictures > 0), "{shown:?}");
}

async fn ingest(world: &World, source: IngestSource) -> IngestReport {
    let ingest = world.cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(TEXT), source));
    tokio::time::timeout(Duration::from_secs(120), ingest).await.unwrap().unwrap()
}

async fn titles(world: &World) -> Vec<String> {
    let schema = TenantSchema::new(&tenant("acme"), &SchemaName::parse(TEXT).unwrap());
    let page = world.cogniverse.operator().backend().visit(VisitRequest::new(schema)).await.unwrap();
    page.documents.iter().map(|document| document.text("video_title").to_owned()).collect()
}

async fn found(world: &World, words: &str) -> usize {
    world.cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), words)).await.unwrap().results.len()
}

const CUE: &str = "1\n00:00:01,000 --> 00:00:03,000\n";

#[tokio::test]
async fn a_renamed_file_is_the_same_video() {
    if !ffmpeg_is_there() {
        return;
    }
    let probe = world::Probe::new(384);
    let world = World::with(&["acme"], |b| b.encoder("probe", probe.clone())).await;
    world.set_encoder("acme", "probe").await;
    let folder = world.folder.path().join("videos");
    let path = make(&folder, "old.mp4", &["-f", "lavfi", "-i", &picture(5, "5"), "-pix_fmt", "yuv420p"]);
    std::fs::write(folder.join("old.srt"), format!("{CUE}rhubarb\n")).unwrap();
    assert_eq!(ingest(&world, IngestSource::Folder(folder.clone())).await.stored(), 1);
    std::fs::rename(&path, folder.join("new.mp4")).unwrap();
    std::fs::rename(folder.join("old.srt"), folder.join("new.srt")).unwrap();
    let report = ingest(&world, IngestSource::Folder(folder.clone())).await;
    assert_eq!((report.stored(), report.videos[0].status), (1, VideoStatus::Done));
    assert_eq!(titles(&world).await, ["new"]);
    assert_eq!(probe.segments.load(std::sync::atomic::Ordering::SeqCst), 1, "nothing was encoded anew");
    assert_eq!(ingest(&world, IngestSource::Folder(folder)).await.unchanged(), 1);
    assert_eq!((found(&world, "rhubarb").await, found(&world, "new").await), (1, 1));
}

#[cfg(unix)]
#[tokio::test]
async fn what_lies_in_a_folder_is_read_or_named_and_nothing_waits_for_it() {
    use std::os::unix::fs::symlink;
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = world.folder.path().join("videos");
    let clip = |name: &str, seconds: u32| {
        make(&folder, name, &["-f", "lavfi", "-i", &picture(seconds, "5"), "-pix_fmt", "yuv420p"])
    };
    clip("talk.mp4", 4);
    std::fs::write(
        folder.join("talk.en.vtt"),
        "WEBVTT\n\n00:01.000 --> 00:03.000\nzucchini\n\n00:09.000 --> 00:02.000\nlost\n",
    )
    .unwrap();
    std::fs::write(folder.join("talk.de.srt"), format!("{CUE}kürbis\n")).unwrap();
    std::fs::copy(clip("x.mp4", 5), folder.join("SPEECH.MP4")).unwrap();
    std::fs::remove_file(folder.join("x.mp4")).unwrap();
    std::fs::write(folder.join("SPEECH.SRT"), format!("{CUE}rhubarb\n")).unwrap();
    make(&folder, "old.mpg", &["-f", "lavfi", "-i", &picture(6, "25"), "-pix_fmt", "yuv420p"]);
    std::fs::write(folder.join("._talk.mp4"), [0, 5, 22, 7]).unwrap();
    let fifo = |name: &str| assert!(Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
    fifo("pipe.mp4");
    clip("piped.mp4", 7);
    fifo("piped.srt");
    clip("zero.mp4", 8);
    symlink("/dev/zero", folder.join("zero.srt")).unwrap();
    clip("linked.mp4", 9);
    let secret = world.file("other/secret.srt", &format!("{CUE}secret\n"));
    symlink(&secret, folder.join("linked.srt")).unwrap();
    let report = ingest(&world, IngestSource::Folder(folder.clone())).await;
    let of = |name: &str| {
        report.videos.iter().find(|video| video.name.ends_with(name)).unwrap_or_else(|| panic!("{name}: {report}"))
    };
    let talk = of("/talk.mp4");
    // Without a language that was asked for, by name.
    assert_eq!(
        (talk.transcript_file.as_deref(), talk.transcripts_unread.as_slice()),
        (Some("talk.de.srt"), &["talk.en.vtt".to_owned()][..])
    );
    assert_eq!(of("SPEECH.MP4").transcript_file.as_deref(), Some("SPEECH.SRT"));
    assert_eq!(of("old.mpg").status, VideoStatus::Done);
    for (name, why) in [
        ("piped.mp4", "not a regular file"),
        ("zero.mp4", "leads out of its folder"),
        ("linked.mp4", "leads out of its folder"),
    ] {
        let video = of(name);
        assert!(
            video.status == VideoStatus::Failed && video.reason.as_ref().unwrap().contains(why),
            "{name}: {:?}",
            video.reason
        );
    }
    let passed: Vec<&str> = report.passed_over.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(passed, ["._talk.mp4", "linked.srt", "pipe.mp4", "zero.srt"]);
    assert!(
        report.to_string().contains("not read: talk.en.vtt")
            && report.to_string().contains("pipe.mp4: not a regular file"),
        "{report}"
    );
    assert_eq!(
        (found(&world, "kürbis").await, found(&world, "rhubarb").await, found(&world, "secret").await),
        (1, 1, 0)
    );
    // The language that is asked for, and the cue of it that cannot be read.
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Files(vec![folder.join("talk.mp4")]));
    let report = world.cogniverse.ingest(request.with_language("en")).await.unwrap();
    let talk = &report.videos[0];
    assert_eq!((talk.transcript_file.as_deref(), talk.cues_refused_count), (Some("talk.en.vtt"), 1));
    assert!(
        talk.cues_refused[0].contains("line 6") && talk.cues_refused[0].contains("00:09.000 --> 00:02.000"),
        "{talk:?}"
    );
    assert_eq!(found(&world, "zucchini").await, 1);
}

#[tokio::test]
async fn a_byte_order_mark_before_ready_made_segments_is_passed_over() {
    let world = World::with(&["acme"], |b| b).await;
    let line = |video: &str, words: &str| {
        format!(r#"{{"video_id":"{video}","segment_id":0,"start_time":0,"end_time":5,"audio_transcript":"{words}"}}"#)
    };
    let text = format!("\u{feff}{}\r\n{}\r\n", line("v1", "artichoke"), line("v2", "asparagus"));
    let report = ingest(&world, IngestSource::Segments(world.file("bom.jsonl", &text))).await;
    assert!(report.is_complete() && report.stored() == 2, "{report}");
    assert_eq!(found(&world, "artichoke").await, 1);
}

/// Fails whole batches for one text of them, as servers do.
#[derive(Debug)]
struct Fails(HashEncoder, ErrorKind);

#[async_trait]
impl SegmentEncoder for Fails {
    fn info(&self) -> &EncoderInfo {
        SegmentEncoder::info(&self.0)
    }
    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        match segments.iter().any(|segment| segment.text.contains("poison")) {
            true => Err(Error::new(self.1, "the server failed with 500")),
            false => self.0.encode_segments(segments).await,
        }
    }
}

#[tokio::test]
async fn one_text_that_no_server_takes_costs_one_segment() {
    for (bad, kind) in [0, 7].into_iter().flat_map(|bad| {
        [ErrorKind::InvalidInput, ErrorKind::Unavailable, ErrorKind::Unexpected].map(|kind| (bad, kind))
    }) {
        let world = World::with(&["acme"], |b| b).await;
        let line = |n: u32| {
            let words = if n == bad { "poison" } else { "talk" };
            format!(
                r#"{{"video_id":"v{n}","segment_id":0,"start_time":0,"end_time":5,"audio_transcript":"garden {words} {n}"}}"#
            )
        };
        let file = world.file("poison.jsonl", &(0..20).map(line).collect::<Vec<_>>().join("\n"));
        let encoder = Arc::new(Fails(HashEncoder::new(384, VectorKind::Multi), kind));
        let request =
            IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Segments(file)).with_encoder(encoder);
        let report = world.cogniverse.ingest(request).await.unwrap();
        assert_eq!((report.stored(), report.refused()), (19, 1), "{kind:?}: {report}");
        assert!(report.videos[bad as usize].refused[0].0.starts_with(&format!("v{bad}/")), "{report}");
    }
}

/// Writes down words at the times that it was given.
#[derive(Debug)]
struct Says(TranscriberInfo, Vec<(f64, f64, String)>);

#[async_trait]
impl Transcriber for Says {
    fn info(&self) -> &TranscriberInfo {
        &self.0
    }
    async fn transcribe(&self, _: &TranscribeRequest) -> Result<Transcription> {
        Transcription::from_parts(self.1.clone())
    }
}

#[tokio::test]
async fn a_speech_server_that_counts_in_other_units_is_refused_by_its_times() {
    if !ffmpeg_is_there() {
        return;
    }
    let parts =
        |unit: f64| vec![(0.0, 4.0 * unit, "welcome".to_owned()), (4.0 * unit, 9.0 * unit, "tomatoes".to_owned())];
    for (unit, stored) in [(1e9, 0), (1e3, 0), (1.0, 1)] {
        let transcriber = Says(TranscriberInfo { model: format!("units of {unit}") }, parts(unit));
        let world = World::with(&["acme"], |b| b.transcriber(Arc::new(transcriber))).await;
        let folder = world.folder.path().join("videos");
        make(
            &folder,
            "talk.mp4",
            &["-f", "lavfi", "-i", &picture(12, "5"), "-f", "lavfi", "-i", "sine=duration=12", "-pix_fmt", "yuv420p"],
        );
        let report = ingest(&world, IngestSource::Folder(folder)).await;
        assert_eq!(report.stored(), stored, "{report}");
        if stored == 0 {
            let reason = report.videos[0].reason.as_ref().unwrap();
            assert!(
                reason.contains("does not count in seconds") && reason.contains(&format!("{}", 4.0 * unit)),
                "{reason}"
            );
        } else {
            assert_eq!(found(&world, "tomatoes").await, 1);
        }
    }
}
