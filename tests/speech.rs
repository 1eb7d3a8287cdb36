//! Words for videos without a transcript: written down once, at the right second, never silently missing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use cogniverse::{
    CogniverseBuilder, ErrorKind, IngestReport, IngestRequest, IngestSource, SearchRequest,
    config::Segmentation,
    ingestion::{
        CommandTranscriber, KeptTranscripts, ProgressEvent, ProgressSink, Speech, SpeechFailure, TranscriptSource,
        VideoStatus,
    },
    sdk::{Error, Result, TranscribeRequest, Transcriber, TranscriberInfo, Transcription},
};
use cogniverse_model_servers::{OpenAiTranscriber, ServerConfig};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use world::{TEXT, World, ffmpeg_is_there, profile, tenant};

/// Hears tones: 440 Hz is "low", 880 Hz is "high".
#[derive(Debug)]
struct Ear {
    info: TranscriberInfo,
    heard: Mutex<Vec<f64>>,
    languages: Mutex<Vec<Option<String>>>,
    broken: AtomicBool,
}

impl Ear {
    fn new(model: &str) -> Arc<Self> {
        Arc::new(Self {
            info: TranscriberInfo { model: model.to_owned() },
            heard: Mutex::default(),
            languages: Mutex::default(),
            broken: AtomicBool::new(false),
        })
    }

    fn calls(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

#[async_trait]
impl Transcriber for Ear {
    fn info(&self) -> &TranscriberInfo {
        &self.info
    }

    async fn transcribe(&self, request: &TranscribeRequest) -> Result<Transcription> {
        let file = std::fs::read(&request.audio).unwrap();
        assert_eq!(&file[..4], b"RIFF");
        let samples: Vec<i16> = file[44..].chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
        self.heard.lock().unwrap().push(samples.len() as f64 / 16_000.0);
        self.languages.lock().unwrap().push(request.language.clone());
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the ear is deaf"));
        }
        // In windows of 50 ms: how often the sign changes tells the tone.
        let tone = |window: &[i16]| {
            let changes = window.windows(2).filter(|two| (two[0] < 0) != (two[1] < 0)).count();
            let loud = window.iter().any(|sample| sample.unsigned_abs() > 3000);
            if loud { if changes < 66 { "low" } else { "high" } } else { "" }
        };
        let mut parts: Vec<(f64, f64, String)> = Vec::new();
        for (number, window) in samples.chunks(800).enumerate() {
            let (time, said) = (number as f64 * 0.05, tone(window));
            match parts.last_mut() {
                Some((_, end, text)) if *text == said => *end = time + 0.05,
                _ => parts.push((time, time + 0.05, said.to_owned())),
            }
        }
        Transcription::from_parts(parts)
    }
}

/// A picture of so many seconds, with the sound of a filter of ffmpeg's, or none.
fn clip(path: &Path, seconds: u32, sound: Option<&str>) -> PathBuf {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &format!("testsrc=size=160x120:rate=10:duration={seconds}"),
    ]);
    if let Some(sound) = sound {
        command.args(["-f", "lavfi", "-i", &format!("{sound}:d={seconds}"), "-c:a", "aac"]);
    }
    assert!(command.arg(path).status().unwrap().success());
    path.to_owned()
}

/// Low from 12 s to 15 s, high from 25 s to 28 s.
const TONES: &str = "aevalsrc=exprs='0.5*between(t,12,15)*sin(2*PI*440*t)+0.5*between(t,25,28)*sin(2*PI*880*t)'";

/// Tenants whose videos are cut every five seconds.
async fn world(change: impl FnOnce(CogniverseBuilder) -> CogniverseBuilder) -> World {
    let world = World::with(&["acme", "globex"], change).await;
    for of in ["acme", "globex"] {
        let config = world.cogniverse.operator().config();
        let known = config.get_profile(&tenant(of), &profile(TEXT)).await.unwrap().config.value;
        let cut = known.with_segmentation(Segmentation::chunks(5.0, 0.0));
        config.set_profile(&tenant(of), &profile(TEXT), cut).await.unwrap();
    }
    world
}

async fn ingest(world: &World, of: &str, file: &Path) -> IngestReport {
    let source = IngestSource::Files(vec![file.to_owned()]);
    world.cogniverse.ingest(IngestRequest::new(tenant(of), profile(TEXT), source)).await.unwrap()
}

/// (start, end) of the segments that hold a word.
async fn found(world: &World, of: &str, word: &str) -> Vec<(f64, f64)> {
    let answer = world.cogniverse.search(SearchRequest::new(tenant(of), profile(TEXT), word)).await.unwrap();
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
async fn words_stand_where_they_are_said_and_are_written_down_once() {
    if !ffmpeg_is_there() {
        return;
    }
    let ear = Ear::new("ear");
    let world = world(|b| b.transcriber(ear.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let video = clip(&folder.path().join("tones.mp4"), 40, Some(TONES));
    let watcher = Arc::new(Watcher::default());
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Files(vec![video.clone()]));
    let request = request.with_language("en").with_progress(watcher.clone());
    let report = world.cogniverse.ingest(request.clone()).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.videos[0].transcript, TranscriptSource::Transcribed);
    assert_eq!(found(&world, "acme", "low").await, [(10.0, 15.0)]);
    assert_eq!(found(&world, "acme", "high").await, [(25.0, 30.0)]);
    // Ten seconds of silence lie between them: two pieces, and only what sounds is sent.
    assert_eq!(ear.calls(), 2);
    let sent: f64 = ear.heard.lock().unwrap().iter().sum();
    assert!((6.0..8.5).contains(&sent), "{sent} s were sent");
    assert_eq!(*ear.languages.lock().unwrap(), [Some("en".to_owned()), Some("en".to_owned())]);
    let transcribing = |event: &&ProgressEvent| matches!(event, ProgressEvent::Transcribing { of: 2, .. });
    assert_eq!(watcher.0.lock().unwrap().iter().filter(transcribing).count(), 2);

    // Again: nothing is asked, nothing is stored.
    let again = world.cogniverse.ingest(request).await.unwrap();
    assert_eq!((again.videos[0].transcript, again.videos[0].status), (TranscriptSource::Kept, VideoStatus::Unchanged));
    // Under another name: the content counts.
    let moved = folder.path().join("other name.mp4");
    std::fs::rename(&video, &moved).unwrap();
    let source = IngestSource::Files(vec![moved.clone()]);
    let renamed = IngestRequest::new(tenant("acme"), profile(TEXT), source).with_language("en");
    assert_eq!(world.cogniverse.ingest(renamed).await.unwrap().videos[0].transcript, TranscriptSource::Kept);
    assert_eq!(ear.calls(), 2);
    // In another language: another transcript.
    assert_eq!(ingest(&world, "acme", &moved).await.videos[0].transcript, TranscriptSource::Transcribed);
    assert_eq!(ear.calls(), 4);
    // A file beside it goes before.
    std::fs::write(moved.with_extension("srt"), "1\n00:00:30,000 --> 00:00:33,000\nwritten by hand\n").unwrap();
    let beside = ingest(&world, "acme", &moved).await;
    assert_eq!((beside.videos[0].transcript, ear.calls()), (TranscriptSource::Beside, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_04_a_tenants_transcripts_are_its_own() {
    if !ffmpeg_is_there() {
        return;
    }
    let ear = Ear::new("ear");
    let world = world(|b| b.transcriber(ear.clone())).await;
    let video = clip(&world.folder.path().join("tones.mp4"), 40, Some(TONES));
    for of in ["acme", "globex"] {
        assert_eq!(ingest(&world, of, &video).await.videos[0].transcript, TranscriptSource::Transcribed, "{of}");
    }
    assert_eq!(ear.calls(), 4);
    let kept = KeptTranscripts::new(world.folder.path().join("transcripts"));
    let count = |of: &str| std::fs::read_dir(kept.folder_of(&tenant(of))).map_or(0, Iterator::count);
    assert_eq!((count("acme"), count("globex")), (1, 1));
    assert!(kept.erase(&tenant("acme")).await.unwrap());
    assert_eq!((count("acme"), count("globex")), (0, 1));
    assert_eq!(ingest(&world, "acme", &video).await.videos[0].transcript, TranscriptSource::Transcribed);
    assert_eq!(ingest(&world, "globex", &video).await.videos[0].transcript, TranscriptSource::Kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_without_sound_has_no_words_and_silence_is_not_sent() {
    if !ffmpeg_is_there() {
        return;
    }
    let ear = Ear::new("ear");
    let world = world(|b| b.transcriber(ear.clone())).await;
    let folder = world.folder.path();
    let report = ingest(&world, "acme", &clip(&folder.join("mute.mp4"), 6, None)).await;
    assert!(report.is_complete() && report.videos[0].transcript == TranscriptSource::NoSound, "{report}");
    let silent = clip(&folder.join("silent.mp4"), 7, Some("aevalsrc=exprs='0'"));
    let report = ingest(&world, "acme", &silent).await;
    assert!(report.is_complete() && report.videos[0].transcript == TranscriptSource::Transcribed, "{report}");
    assert_eq!(ingest(&world, "acme", &silent).await.videos[0].transcript, TranscriptSource::Kept);
    assert_eq!(ear.calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_sound_goes_in_pieces_and_no_word_is_said_twice() {
    if !ffmpeg_is_there() {
        return;
    }
    let ear = Ear::new("ear");
    let world = world(|b| b.speech(Speech::new(ear.clone()).with_piece_seconds(4.0))).await;
    let sound = "aevalsrc=exprs='0.5*sin(2*PI*440*t)'";
    let report = ingest(&world, "acme", &clip(&world.folder.path().join("long.mp4"), 20, Some(sound))).await;
    assert!(report.is_complete(), "{report}");
    let heard = ear.heard.lock().unwrap().clone();
    assert!(heard.len() > 5 && heard.iter().all(|seconds| *seconds <= 4.001), "{heard:?}");
    // Each piece says one word, where it begins; of what two pieces share, each word counts once.
    let answer = world.cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), "low")).await.unwrap();
    let words: usize = answer.results.iter().map(|result| result.text.split_whitespace().count()).sum();
    assert!(words <= heard.len(), "{words} words of {} pieces", heard.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_12_a_video_is_never_silently_without_words() {
    if !ffmpeg_is_there() {
        return;
    }
    for failure in [SpeechFailure::FailVideo, SpeechFailure::StoreWithoutWords] {
        let ear = Ear::new("ear");
        let world = world(|b| b.speech(Speech::new(ear.clone()).with_failure(failure))).await;
        let video = clip(&world.folder.path().join("tones.mp4"), 40, Some(TONES));
        ear.broken.store(true, Ordering::SeqCst);
        let report = ingest(&world, "acme", &video).await;
        let of_video = &report.videos[0];
        assert!(!report.is_complete() && of_video.transcript == TranscriptSource::Failed, "{report}");
        assert!(of_video.reason.as_ref().unwrap().contains("the ear is deaf"), "{report}");
        let expected =
            if failure == SpeechFailure::FailVideo { (VideoStatus::Failed, 0) } else { (VideoStatus::Partial, 8) };
        assert_eq!((of_video.status, of_video.stored), expected);
        // Again while it is broken: still not complete.
        assert!(!ingest(&world, "acme", &video).await.is_complete());
        // The next run that can makes it whole.
        ear.broken.store(false, Ordering::SeqCst);
        let report = ingest(&world, "acme", &video).await;
        assert!(report.is_complete() && report.videos[0].transcript == TranscriptSource::Transcribed, "{report}");
        assert_eq!(found(&world, "acme", "low").await, [(10.0, 15.0)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_writes_down_and_a_missing_one_ends_the_run() {
    if !ffmpeg_is_there() {
        return;
    }
    let missing = Arc::new(CommandTranscriber::parse("no-such-program-anywhere {audio} {out}").unwrap());
    let broken = world(|b| b.transcriber(missing)).await;
    let video = clip(&broken.folder.path().join("tones.mp4"), 40, Some(TONES));
    let source = IngestSource::Files(vec![video.clone()]);
    let error = broken.cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(TEXT), source)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::FailedPrecondition && error.to_string().contains("not installed"), "{error}");
    // A shell stands for the program: it says the same of every piece.
    let line = r#"sh -c 'printf "1\n00:00:00,500 --> 00:00:01,500\nsomething sounds\n" > "$2.srt"' hear {audio} {out}"#;
    let world = world(|b| b.transcriber(Arc::new(CommandTranscriber::parse(line).unwrap()))).await;
    assert!(ingest(&world, "acme", &video).await.is_complete());
    assert_eq!(found(&world, "acme", "sounds").await, [(10.0, 15.0), (25.0, 30.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_make_no_pieces_are_refused() {
    let ear = Ear::new("ear");
    let speech = Speech::new(ear);
    for wrong in [
        speech.clone().with_piece_seconds(0.0),
        speech.clone().with_piece_seconds(f64::NAN),
        speech.clone().with_silence(3.0, 1.0),
        speech.with_silence(-40.0, f64::INFINITY),
    ] {
        let world = world(|b| b.speech(wrong)).await;
        let source = IngestSource::Files(vec!["none.mp4".into()]);
        let error =
            world.cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(TEXT), source)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

/// Counts what it passes on.
#[derive(Debug)]
struct Counting<T>(T, AtomicUsize);

#[async_trait]
impl<T: Transcriber> Transcriber for Counting<T> {
    fn info(&self) -> &TranscriberInfo {
        self.0.info()
    }

    async fn transcribe(&self, request: &TranscribeRequest) -> Result<Transcription> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.transcribe(request).await
    }
}

/// Speech by espeak-ng under a real clip, heard by a real Whisper. `COGNIVERSE_WHISPER_URL` says where it is,
/// `COGNIVERSE_TEST_VIDEOS` where the clips are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_whisper_finds_words_at_their_second() {
    let (url, clips) = (std::env::var("COGNIVERSE_WHISPER_URL"), std::env::var_os("COGNIVERSE_TEST_VIDEOS"));
    let speaks = Command::new("espeak-ng").arg("--version").output().is_ok();
    let (Ok(url), Some(clips), true) = (url, clips, speaks && ffmpeg_is_there()) else {
        assert!(
            std::env::var_os("COGNIVERSE_CI").is_none(),
            "CI must set COGNIVERSE_WHISPER_URL and COGNIVERSE_TEST_VIDEOS, and install espeak-ng"
        );
        println!("skipped: set COGNIVERSE_WHISPER_URL and COGNIVERSE_TEST_VIDEOS, and install ffmpeg and espeak-ng");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let say = |name: &str, text: &str| {
        let path = folder.path().join(name);
        assert!(Command::new("espeak-ng").args(["-s", "140", "-w"]).arg(&path).arg(text).status().unwrap().success());
        path
    };
    let first = say("first.wav", "The train to London leaves the station at seven in the morning.");
    let second = say("second.wav", "My mother bakes bread with butter and sugar every Sunday.");
    let video = folder.path().join("talk.mp4");
    // Behind 12 seconds of silence, and behind 40.
    let mix = "[1:a]adelay=12000:all=1[a];[2:a]adelay=40000:all=1[b];[a][b]amix=inputs=2:normalize=0,apad[out]";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-stream_loop", "-1", "-i"])
        .arg(Path::new(&clips).join("bigbuckbunny.mp4"))
        .arg("-i")
        .arg(&first)
        .arg("-i")
        .arg(&second)
        .args(["-filter_complex", mix, "-map", "0:v", "-map", "[out]", "-t", "60", "-s", "160x90", "-r", "10"])
        .arg(&video)
        .status()
        .unwrap();
    assert!(made.success());
    let whisper = OpenAiTranscriber::new(ServerConfig::new(url), "whisper-tiny").unwrap();
    let whisper = Arc::new(Counting(whisper, AtomicUsize::new(0)));
    let world = world(|b| b.transcriber(whisper.clone())).await;
    let report = ingest(&world, "acme", &video).await;
    assert!(report.is_complete() && report.videos[0].transcript == TranscriptSource::Transcribed, "{report}");
    let heard = whisper.1.load(Ordering::SeqCst);
    assert_eq!(heard, 2, "two pieces of speech, and no silence");
    // A word of each, in a segment of five seconds around its second.
    let train = found(&world, "acme", "train").await;
    assert!(!train.is_empty() && train.iter().all(|(start, end)| *start >= 10.0 && *end <= 20.0), "{train:?}");
    let butter = found(&world, "acme", "butter").await;
    assert!(!butter.is_empty() && butter.iter().all(|(start, end)| *start >= 40.0 && *end <= 50.0), "{butter:?}");
    // Again: nothing is transcribed.
    let again = ingest(&world, "acme", &video).await;
    assert_eq!((again.videos[0].transcript, again.videos[0].status), (TranscriptSource::Kept, VideoStatus::Unchanged));
    assert_eq!(whisper.1.load(Ordering::SeqCst), heard);
}
