//! Invocation of ffmpeg and ffprobe.

use crate::{files, worker::blocking};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, PictureHeader, PictureKind, Result, Retry, picture::MAX_PIXELS};
use serde::Deserialize;
use std::{
    ffi::{OsStr, OsString},
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

/// The number of seconds by which the last picture may end early before the file counts as truncated.
const CUT: f64 = 2.0;

/// The number of bytes by which a still picture is recognized.
const SNIFFED: u64 = 16;
/// The number of bytes in which a still picture's size stands, behind its metadata.
const MAX_HEADER: u64 = 8 << 20;
/// The largest file of a still picture, in bytes.
const MAX_STILL: u64 = 256 << 20;
/// The longest line of a filter that is read together, in bytes.
const MAX_PRINTED: u64 = 4096;

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

/// The kind of a file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaKind {
    /// Moving pictures, with or without sound.
    Video,
    /// Sound without moving pictures. Cover art does not count.
    Audio,
    /// One still picture.
    Picture,
}

/// The properties of a file, as found by ffprobe.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// The kind.
    pub kind: MediaKind,
    /// The length in seconds; 0 for a picture.
    pub duration: f64,
    /// The width in pixels; 0 for audio.
    pub width: u32,
    /// The height in pixels; 0 for audio.
    pub height: u32,
    /// Whether there is an audio stream.
    pub has_audio: bool,
    /// The picture stream; `None` for audio.
    pub(super) pictures: Option<Pictures>,
}

/// The picture stream of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pictures {
    /// The index of the stream in the file.
    pub(super) stream: u32,
    /// The end of the last picture, in seconds from the start of the video.
    pub(super) end: f64,
    /// The demuxer of a still picture. By the name of its file, ffmpeg would take it for one of a numbered series.
    still: Option<&'static str>,
}

impl Pictures {
    /// Returns the ffmpeg arguments before the input.
    pub(super) fn input(&self) -> Vec<OsString> {
        let Some(demuxer) = self.still else { return Vec::new() };
        ["-f", demuxer, "-max_pixels", &MAX_PIXELS.to_string()].map(OsString::from).into()
    }

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
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,mxf,mp3,flac,aac,jpeg_pipe,png_pipe,webp_pipe,gif",
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

    /// Probes a video, a sound or a picture and checks that it is complete. A picture is one by its first bytes, whatever
    /// its name; its size is checked before anything decodes it.
    ///
    /// # Errors
    /// `FailedPrecondition` where ffprobe is not installed; `InvalidInput` where the file is none of these, is truncated,
    /// or is a picture of more pixels than are taken.
    pub async fn probe(&self, video: &Path) -> Result<Probe> {
        if let Some(header) = still(video).await? {
            return Ok(Probe {
                kind: MediaKind::Picture,
                duration: 0.0,
                width: header.width,
                height: header.height,
                has_audio: false,
                pictures: Some(Pictures { stream: 0, end: 0.0, still: Some(demuxer(header.kind)) }),
            });
        }
        let show = [
            "-show_entries",
            "format=format_name,start_time,duration:stream=index,codec_type,width,height,start_time,duration\
             :stream_disposition=attached_pic:stream_tags=DURATION",
        ];
        let shown = self.ffprobe(video, &show).await?;
        let moving = |stream: &&Stream| stream.codec_type == "video" && stream.disposition.attached_pic == 0;
        let sound = shown.streams.iter().find(|stream| stream.codec_type == "audio");
        let start = shown.format.start();
        let picture = match (shown.streams.iter().find(moving), sound) {
            (Some(picture), _) => picture,
            (None, Some(sound)) => {
                let duration = self.sound_end(video, &shown.format, sound).await? - start;
                return Ok(Probe {
                    kind: MediaKind::Audio,
                    duration: checked_length(video, duration)?,
                    width: 0,
                    height: 0,
                    has_audio: true,
                    pictures: None,
                });
            }
            (None, None) => return Err(not_a_video(video, "it has neither a moving picture nor a sound")),
        };
        let pictures_end = self.pictures_end(video, &shown.format, picture, sound).await?;
        // Sound may go on behind the last picture.
        let duration = shown.format.end().map_or(pictures_end, |end| end.max(pictures_end)) - start;
        Ok(Probe {
            kind: MediaKind::Video,
            duration: checked_length(video, duration)?,
            width: picture.width,
            height: picture.height,
            has_audio: sound.is_some(),
            pictures: Some(Pictures { stream: picture.index, end: pictures_end - start, still: None }),
        })
    }

    /// Returns the end of a sound without pictures, on the file's own clock.
    ///
    /// Raw MP3 and AAC state no length: what ffprobe says is a guess by the size, so that all packets are looked at, of
    /// which none is decoded. Of the other forms only those near the end are.
    async fn sound_end(&self, file: &Path, format: &Format, sound: &Stream) -> Result<f64> {
        let guessed = ["mp3", "aac"].iter().any(|name| format.format_name == *name);
        let claimed = sound.end(format).or(format.end()).filter(|_| !guessed);
        let Some(claimed) = claimed.filter(|claimed| *claimed <= LONGEST + format.start()) else {
            let last = self.last_packet(file, sound, None).await?;
            return last.ok_or_else(|| not_a_video(file, "it has no length"));
        };
        let slack = CUT.max((claimed - format.start()) * 0.05);
        let mut last = self.last_packet(file, sound, Some(claimed - slack.max(10.0))).await?;
        if last.is_none() {
            last = self.last_packet(file, sound, None).await?;
        }
        match last {
            Some(last) if last >= claimed - slack => Ok(last),
            last => {
                let (length, end) = (claimed - format.start(), last.unwrap_or(format.start()) - format.start());
                let why = format!("it is cut: its sound should last {length:.1} s and ends at {end:.1} s");
                Err(not_a_video(file, &why))
            }
        }
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

    /// Returns the picture of a video at a time as JPEG, at most `width` pixels wide, after the end the last one.
    pub(crate) async fn picture(&self, video: &Path, seconds: f64, width: u32) -> Result<Vec<u8>> {
        let Some(pictures) = self.probe(video).await?.pictures else { return Ok(Vec::new()) };
        let scale = format!("scale='min({width},iw)':-2");
        let mut arguments: Vec<OsString> = pictures.map().into();
        arguments.extend(["-frames:v", "1", "-vf", &scale, "-q:v", "4", "-f", "mjpeg", "pipe:1"].map(OsString::from));
        let at = |seconds: f64| [OsString::from("-ss"), format!("{seconds:.3}").into()];
        if seconds < pictures.end {
            let before = if seconds > 0.0 { Vec::from(at(seconds)) } else { Vec::new() };
            let picture = self.ffmpeg(video, &before, &arguments).await?.stdout;
            if !picture.is_empty() {
                return Ok(picture);
            }
        }
        // None begins there any more: from the last one that others are made from, the last.
        let mut before = vec![OsString::from("-noaccurate_seek")];
        before.extend(at((seconds.min(pictures.end) - 1.0).max(0.0)));
        let last = ["-update", "1", "-q:v", "4", "-vf", &scale, "-f", "image2", "-c:v", "mjpeg", "pipe:1"];
        let mut arguments: Vec<OsString> = pictures.map().into();
        arguments.extend(last.map(OsString::from));
        let all = self.ffmpeg(video, &before, &arguments).await?.stdout;
        // Each picture takes the place of the one before.
        let begins = all.windows(3).rposition(|bytes| bytes == [0xFF, 0xD8, 0xFF]).unwrap_or(0);
        Ok(all.get(begins..).unwrap_or_default().to_vec())
    }

    /// Runs ffmpeg on a video and passes on the lines that a filter prints to the standard output, as they come. What it
    /// says itself is not kept beyond its end. It is given the timeout and as long as the video lasts.
    pub(super) async fn printed(
        &self,
        video: &Path,
        seconds: f64,
        arguments: &[OsString],
        mut line: impl FnMut(&str),
    ) -> Result<()> {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error"]).args(READ_ONLY);
        command.arg("-i").arg(input(video)).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut program = command.spawn().map_err(|e| not_started(&self.ffmpeg, e))?;
        let closed = || Error::unexpected("ffmpeg has no output to read");
        let output = program.stdout.take().ok_or_else(closed)?;
        let mut errors = program.stderr.take().ok_or_else(closed)?;
        let broken = |e: std::io::Error| not_started(&self.ffmpeg, e);
        let work = async {
            let read = async {
                let mut reader = BufReader::new(output);
                let mut bytes = Vec::new();
                // No line of a filter is so long: what else is there is cut.
                while (&mut reader).take(MAX_PRINTED).read_until(b'\n', &mut bytes).await.map_err(broken)? > 0 {
                    line(String::from_utf8_lossy(&bytes).trim_end());
                    bytes.clear();
                }
                Ok::<_, Error>(())
            };
            let complain = async {
                let (mut said, mut part) = (Vec::new(), vec![0; 4096]);
                loop {
                    let count = errors.read(&mut part).await.map_err(broken)?;
                    if count == 0 {
                        return Ok::<_, Error>(said);
                    }
                    said.extend_from_slice(part.get(..count).unwrap_or_default());
                    let surplus = said.len().saturating_sub(4096);
                    said.drain(..surplus);
                }
            };
            let ((), said) = tokio::try_join!(read, complain)?;
            let status = program.wait().await.map_err(broken)?;
            if status.success() { Ok(()) } else { Err(not_a_video(video, &last_line(&said))) }
        };
        let limit = self.timeout.saturating_add(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)));
        tokio::time::timeout(limit, work).await.map_err(|_| self.late(&self.ffmpeg))?
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

/// Returns the header of a file that is a still picture; `None` for any other.
async fn still(path: &Path) -> Result<Option<PictureHeader>> {
    let owned = path.to_owned();
    blocking(move || {
        let (mut file, size) = files::open_regular("the file", &owned)?;
        let unreadable = |e: std::io::Error| {
            Error::of(ErrorCode::FileUnreadable, format!("the file {} cannot be read", owned.display())).with_source(e)
        };
        let mut bytes = Vec::new();
        file.by_ref().take(SNIFFED).read_to_end(&mut bytes).map_err(unreadable)?;
        if PictureKind::of(&bytes).is_none() {
            return Ok(None);
        }
        if size > MAX_STILL {
            return Err(not_a_video(
                &owned,
                &format!("it is a picture of {size} bytes, and at most {MAX_STILL} are taken"),
            ));
        }
        file.take(MAX_HEADER).read_to_end(&mut bytes).map_err(unreadable)?;
        PictureHeader::parse(&bytes).map(Some).map_err(|e| not_a_video(&owned, e.message()))
    })
    .await
}

fn demuxer(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Png => "png_pipe",
        PictureKind::WebP => "webp_pipe",
        PictureKind::Gif => "gif",
        _ => "jpeg_pipe",
    }
}

/// Refuses a length that nothing has, and one that is too long.
fn checked_length(video: &Path, duration: f64) -> Result<f64> {
    if !(duration.is_finite() && duration > 0.0) {
        return Err(not_a_video(video, "it has no length"));
    }
    if duration > LONGEST {
        let why = format!("it claims to last {duration:.0} s, and at most {LONGEST:.0} are taken");
        return Err(not_a_video(video, &why));
    }
    Ok(duration)
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
