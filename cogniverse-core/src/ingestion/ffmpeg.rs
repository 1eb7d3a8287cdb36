//! Invocation of ffmpeg and ffprobe.

use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, Retry};
use serde::Deserialize;
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// The number of seconds by which the last picture may end early before the file counts as truncated.
const CUT: f64 = 2.0;

/// The locations of the programs, and the timeout of a call.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    timeout: Duration,
}

impl Default for Ffmpeg {
    /// Uses `ffmpeg` and `ffprobe` from the `PATH` with a timeout of ten minutes.
    fn default() -> Self {
        Self { ffmpeg: "ffmpeg".into(), ffprobe: "ffprobe".into(), timeout: Duration::from_secs(600) }
    }
}

/// The properties of a video, as found by ffprobe.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// The length in seconds.
    pub duration: f64,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// Whether the video has an audio stream.
    pub has_audio: bool,
    /// The picture stream.
    pub(super) pictures: Pictures,
}

/// The picture stream of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pictures {
    /// The index of the stream in the file.
    pub(super) stream: u32,
    /// The end of the last picture, in seconds from the start of the video.
    pub(super) end: f64,
}

impl Pictures {
    /// Returns the ffmpeg arguments that select this stream instead of cover art.
    pub(super) fn map(&self) -> [OsString; 2] {
        ["-map".into(), format!("0:{}", self.stream).into()]
    }
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize)]
struct Stream {
    index: u32,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    start_time: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: Tags,
}

#[derive(Deserialize, Default)]
struct Disposition {
    /// Cover art, which is not part of the video.
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Deserialize, Default)]
struct Tags {
    #[serde(rename = "DURATION")]
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
struct Format {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
}

impl Format {
    /// Returns the start of the file on its own clock, which need not be zero.
    fn start(&self) -> f64 {
        seconds(self.start_time.as_ref()).unwrap_or(0.0)
    }

    fn is_matroska(&self) -> bool {
        self.format_name.contains("matroska")
    }

    /// Returns the end of the file on its own clock, as the container states it.
    fn end(&self) -> Option<f64> {
        let duration = seconds(self.duration.as_ref()).filter(|duration| *duration > 0.0)?;
        let start = self.start();
        // Matroska counts from zero, wherever its first picture stands.
        Some(if self.is_matroska() && duration > start { duration } else { start + duration })
    }
}

impl Stream {
    /// Returns the end that the stream itself states; `None` where the container does not record it.
    fn end(&self, format: &Format) -> Option<f64> {
        if format.is_matroska() {
            // What ffprobe gives here as the stream's own is the container's.
            return self.tags.duration.as_deref().and_then(clock);
        }
        Some(seconds(self.start_time.as_ref()).unwrap_or(0.0) + seconds(self.duration.as_ref()).filter(|d| *d > 0.0)?)
    }
}

fn seconds(text: Option<&String>) -> Option<f64> {
    text?.parse::<f64>().ok().filter(|seconds| seconds.is_finite())
}

/// Parses `01:00:12.000000000` into seconds.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<f64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    Some(hours * 3600.0 + minutes * 60.0 + seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0)
}

/// The longest accepted video, in seconds: two days. It bounds the number of segments that a file can cause by its
/// claimed length.
const LONGEST: f64 = 172_800.0;
/// The accepted containers, whatever the file's name: those that contain their own streams. A playlist named like a
/// video would make ffmpeg read other files, including other tenants'.
const READ_ONLY: [&str; 4] = [
    "-protocol_whitelist",
    "file",
    "-format_whitelist",
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,mxf",
];

impl Ffmpeg {
    /// Sets the paths of the programs.
    #[must_use]
    pub fn new(ffmpeg: impl Into<PathBuf>, ffprobe: impl Into<PathBuf>) -> Self {
        Self { ffmpeg: ffmpeg.into(), ffprobe: ffprobe.into(), ..Self::default() }
    }

    /// Sets the timeout of each call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Probes a video and checks that it is complete.
    ///
    /// # Errors
    /// `FailedPrecondition` where ffprobe is not installed; `InvalidInput` where the file is not a video or is
    /// truncated.
    pub async fn probe(&self, video: &Path) -> Result<Probe> {
        let show = [
            "-show_entries",
            "format=format_name,start_time,duration:stream=index,codec_type,width,height,start_time,duration\
             :stream_disposition=attached_pic:stream_tags=DURATION",
        ];
        let shown = self.ffprobe(video, &show).await?;
        let moving = |stream: &&Stream| stream.codec_type == "video" && stream.disposition.attached_pic == 0;
        let picture =
            shown.streams.iter().find(moving).ok_or_else(|| not_a_video(video, "it has no moving picture"))?;
        let sound = shown.streams.iter().find(|stream| stream.codec_type == "audio");
        let start = shown.format.start();
        let pictures_end = self.pictures_end(video, &shown.format, picture, sound).await?;
        // Sound may go on behind the last picture.
        let duration = shown.format.end().map_or(pictures_end, |end| end.max(pictures_end)) - start;
        if !(duration.is_finite() && duration > 0.0) {
            return Err(not_a_video(video, "it has no length"));
        }
        if duration > LONGEST {
            return Err(not_a_video(
                video,
                &format!("it claims to last {duration:.0} s, and at most {LONGEST:.0} are taken"),
            ));
        }
        Ok(Probe {
            duration,
            width: picture.width,
            height: picture.height,
            has_audio: sound.is_some(),
            pictures: Pictures { stream: picture.index, end: pictures_end - start },
        })
    }

    /// Returns the end of the last picture, on the file's own clock.
    ///
    /// A truncated file with its index at the front still probes, so the last picture's packet decides. The file is
    /// truncated where its pictures end before the stream's stated end or, without one, where its packets end before
    /// the container's. Only packets near the end are read, and none is decoded.
    async fn pictures_end(
        &self,
        video: &Path,
        format: &Format,
        picture: &Stream,
        sound: Option<&Stream>,
    ) -> Result<f64> {
        let own = picture.end(format);
        let Some(claimed) = own.or(format.end()) else {
            // As browsers record: the length stands nowhere.
            let last = self.last_packet(video, picture, None).await?;
            return last.ok_or_else(|| not_a_video(video, "it has no length"));
        };
        if claimed > LONGEST + format.start() {
            return Ok(claimed);
        }
        let slack = CUT.max((claimed - format.start()) * 0.05);
        let mut last = self.last_packet(video, picture, Some(claimed - slack.max(10.0))).await?;
        if last.is_none() {
            last = self.last_packet(video, picture, None).await?;
        }
        let last = last.unwrap_or(format.start());
        if last >= claimed - slack {
            return Ok(last);
        }
        if own.is_none()
            && let Some(sound) = sound
            && self.last_packet(video, sound, Some(claimed - slack)).await?.is_some_and(|end| end >= claimed - slack)
        {
            return Ok(last);
        }
        let (length, end) = (claimed - format.start(), last - format.start());
        let why = format!("it is cut: its pictures should last {length:.1} s and end at {end:.1} s");
        Err(not_a_video(video, &why))
    }

    /// Returns the end of a stream's last packet from a time on; `None` where there is none.
    async fn last_packet(&self, video: &Path, stream: &Stream, from: Option<f64>) -> Result<Option<f64>> {
        let (select, interval) = (stream.index.to_string(), from.map(|from| format!("{:.3}%", from.max(0.0))));
        let mut show = vec!["-select_streams", &select, "-show_entries", "packet=pts_time,dts_time,duration_time"];
        if let Some(interval) = &interval {
            show.extend(["-read_intervals", interval]);
        }
        let mut arguments = shown_as("csv=p=0", &show);
        arguments.extend(["-i".into(), input(video)]);
        let mut command = Command::new(&self.ffprobe);
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut program = command.spawn().map_err(|e| not_started(&self.ffprobe, e))?;
        // Read as they come: a whole film has millions.
        let ends = async {
            let mut last: Option<f64> = None;
            let mut lines = BufReader::new(
                program.stdout.take().ok_or_else(|| Error::unexpected("ffprobe has no output to read"))?,
            )
            .lines();
            while let Some(line) = lines.next_line().await.map_err(|e| not_started(&self.ffprobe, e))? {
                let mut values = line.split(',').map(|value| value.trim().parse::<f64>().ok());
                // AVI has no times of presentation for some codecs.
                let (shown, decoded) = (values.next().flatten(), values.next().flatten());
                if let Some(begins) = shown.or(decoded) {
                    let end = begins + values.next().flatten().unwrap_or(0.0);
                    last = Some(last.map_or(end, |last| last.max(end)));
                }
            }
            program.wait().await.map_err(|e| not_started(&self.ffprobe, e))?;
            Ok(last)
        };
        tokio::time::timeout(self.timeout, ends).await.map_err(|_| self.late(&self.ffprobe))?
    }

    async fn ffprobe(&self, video: &Path, show: &[&str]) -> Result<Shown> {
        let mut arguments = shown_as("json", show);
        arguments.extend(["-i".into(), input(video)]);
        let output = self.run(&self.ffprobe, arguments).await?;
        if !output.status.success() {
            return Err(not_a_video(video, &first_line(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|e| Error::unexpected("ffprobe's answer cannot be read").with_source(e))
    }

    /// Runs ffmpeg on a video, with `arguments` after the input.
    pub(super) async fn ffmpeg(
        &self,
        video: &Path,
        before: &[OsString],
        arguments: &[OsString],
    ) -> Result<std::process::Output> {
        let mut all: Vec<OsString> =
            ["-nostdin", "-hide_banner", "-loglevel", "info", "-y"].iter().map(OsString::from).collect();
        all.extend_from_slice(before);
        all.extend(READ_ONLY.iter().map(OsString::from));
        all.extend(["-i".into(), input(video)]);
        all.extend_from_slice(arguments);
        let output = self.run(&self.ffmpeg, all).await?;
        if output.status.success() { Ok(output) } else { Err(not_a_video(video, &last_line(&output.stderr))) }
    }

    async fn run(&self, program: &Path, arguments: Vec<OsString>) -> Result<std::process::Output> {
        let mut command = Command::new(program);
        command.args(&arguments).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(self.timeout, command.output()).await {
            Ok(output) => output.map_err(|e| not_started(program, e)),
            Err(_) => Err(self.late(program)),
        }
    }

    fn late(&self, program: &Path) -> Error {
        Error::new(ErrorKind::Timeout, format!("{} took longer than {:?}", program.display(), self.timeout))
            .with_retry(Retry::After(None))
    }
}

/// Returns ffprobe's arguments for an untrusted file.
fn shown_as(form: &str, show: &[&str]) -> Vec<OsString> {
    ["-v", "error", "-of", form].iter().chain(show).chain(&READ_ONLY).map(OsString::from).collect()
}

fn not_started(program: &Path, error: std::io::Error) -> Error {
    let name = program.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::of(
            ErrorCode::FfmpegMissing,
            format!("{name} is not installed; install ffmpeg (apt-get install ffmpeg), or ingest ready-made segments"),
        ),
        _ => Error::new(ErrorKind::Unavailable, format!("{name} cannot be run")),
    }
    .with_source(error)
}

/// Returns a path that cannot be mistaken for an option or a protocol.
fn input(video: &Path) -> OsString {
    let mut input = OsString::from("file:");
    input.push(OsStr::new(video));
    input
}

fn not_a_video(video: &Path, why: &str) -> Error {
    Error::of(
        ErrorCode::VideoInvalid,
        format!("{} cannot be used as a video: {why}; replace the file, or take it out of the folder", video.display()),
    )
}

fn first_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    cut(text.lines().find(|line| !line.trim().is_empty()))
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    cut(text.lines().rev().find(|line| !line.trim().is_empty()))
}

fn cut(line: Option<&str>) -> String {
    line.unwrap_or("no reason given").trim().chars().take(300).collect()
}
