//! ffmpeg and ffprobe, as programs.

use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use serde::Deserialize;
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// How much shorter the last picture may lie than the container says before the file counts as cut.
const CUT: f64 = 2.0;

/// Where the programs are, and how long they may take.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    timeout: Duration,
}

impl Default for Ffmpeg {
    /// `ffmpeg` and `ffprobe` of the path; ten minutes a call.
    fn default() -> Self {
        Self { ffmpeg: "ffmpeg".into(), ffprobe: "ffprobe".into(), timeout: Duration::from_secs(600) }
    }
}

/// What ffprobe says of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// Length in seconds.
    pub duration: f64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Whether it has sound.
    pub has_audio: bool,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    packets: Vec<Packet>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
struct Format {
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Packet {
    pts_time: Option<String>,
}

/// The longest video, in seconds: two days. How many pieces are made comes from the length that a file claims.
const LONGEST: f64 = 172_800.0;
/// What a file may be, whatever it is called: containers that hold their own pictures and sound. A playlist under a video's name
/// would have ffmpeg read other files, those of other tenants too.
const READ_ONLY: [&str; 4] = [
    "-protocol_whitelist",
    "file",
    "-format_whitelist",
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,mxf",
];

impl Ffmpeg {
    /// Other programs than those of the path.
    #[must_use]
    pub fn new(ffmpeg: impl Into<PathBuf>, ffprobe: impl Into<PathBuf>) -> Self {
        Self { ffmpeg: ffmpeg.into(), ffprobe: ffprobe.into(), ..Self::default() }
    }

    /// Another limit of time for each call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Length, size and sound of a video whose pictures are all there.
    ///
    /// # Errors
    /// `FailedPrecondition` where ffprobe is not installed; `InvalidInput` where the file is no video or is cut.
    pub async fn probe(&self, video: &Path) -> Result<Probe> {
        let show = ["-show_entries", "format=duration:stream=codec_type,width,height,duration"];
        let shown = self.ffprobe(video, &show).await?;
        let picture = shown.streams.iter().find(|stream| stream.codec_type == "video");
        let Some(picture) = picture else {
            return Err(not_a_video(video, "it has no picture"));
        };
        let duration =
            [&shown.format.duration, &picture.duration].into_iter().flatten().find_map(|text| text.parse::<f64>().ok());
        let duration = duration
            .filter(|duration| duration.is_finite() && *duration > 0.0)
            .ok_or_else(|| not_a_video(video, "it has no length"))?;
        if duration > LONGEST {
            return Err(not_a_video(
                video,
                &format!("it claims to last {duration:.0} s, and at most {LONGEST:.0} are taken"),
            ));
        }
        self.check_whole(video, duration).await?;
        let has_audio = shown.streams.iter().any(|stream| stream.codec_type == "audio");
        Ok(Probe { duration, width: picture.width, height: picture.height, has_audio })
    }

    /// A file whose index stands at its front still probes when its end was cut off: the last picture's packet tells. Only
    /// packets near the end are read, and none is decoded.
    async fn check_whole(&self, video: &Path, duration: f64) -> Result<()> {
        let from = format!("{:.3}%", (duration - 10.0).max(0.0));
        let show = ["-select_streams", "v:0", "-show_entries", "packet=pts_time", "-read_intervals", &from];
        let last = self
            .ffprobe(video, &show)
            .await?
            .packets
            .iter()
            .filter_map(|p| p.pts_time.as_deref()?.parse::<f64>().ok())
            .fold(0.0, f64::max);
        if last < duration - CUT.max(duration * 0.05) {
            return Err(not_a_video(
                video,
                &format!("it is cut: it should last {duration:.1} s and its pictures end at {last:.1} s"),
            ));
        }
        Ok(())
    }

    async fn ffprobe(&self, video: &Path, show: &[&str]) -> Result<Shown> {
        let mut arguments: Vec<OsString> =
            ["-v", "error", "-of", "json"].iter().chain(show).map(OsString::from).collect();
        arguments.extend(READ_ONLY.iter().map(OsString::from));
        arguments.extend(["-i".into(), input(video)]);
        let output = self.run(&self.ffprobe, arguments).await?;
        if !output.status.success() {
            return Err(not_a_video(video, &first_line(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|e| Error::unexpected("ffprobe's answer cannot be read").with_source(e))
    }

    /// Runs ffmpeg on a video; `arguments` stand behind the input.
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
        let name = program.display();
        let mut command = Command::new(program);
        command.args(&arguments).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(self.timeout, command.output()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!(
                    "{name} is not installed; install ffmpeg (apt-get install ffmpeg), or ingest ready-made segments"
                ),
            )
            .with_source(e)),
            Ok(Err(e)) => Err(Error::new(ErrorKind::Unavailable, format!("{name} cannot be started")).with_source(e)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("{name} took longer than {:?}", self.timeout))
                .with_retry(Retry::After(None))),
        }
    }
}

/// A path that is never taken for an option or another protocol.
fn input(video: &Path) -> OsString {
    let mut input = OsString::from("file:");
    input.push(OsStr::new(video));
    input
}

fn not_a_video(video: &Path, why: &str) -> Error {
    Error::invalid(format!(
        "{} cannot be used as a video: {why}; replace the file, or take it out of the folder",
        video.display()
    ))
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
