//! Audio of videos, in the form that speech models expect.

use super::pieces::Piece;
use crate::ingestion::ffmpeg::Ffmpeg;
use crate::worker::blocking;
use cogniverse_sdk::{Error, ErrorKind, Result, TimeRange};
use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tempfile::{NamedTempFile, TempDir};

/// The sample rate of Whisper and similar models, in samples per second.
const RATE: u32 = 16_000;
/// The size of a sample in bytes.
const SAMPLE: u32 = 2;

/// The audio of a video in a temporary folder, removed on drop: 16-bit mono samples, 115 MB an hour.
pub(super) struct Sound {
    folder: TempDir,
    samples: PathBuf,
    pub(super) seconds: f64,
    pub(super) silences: Vec<TimeRange>,
}

impl Sound {
    /// Extracts the first audio stream of a video and detects its silences. A late start is padded with silence, so
    /// that times match the video's. What is quieter than `decibels` for `shortest` seconds is silence.
    pub(super) async fn of(ffmpeg: &Ffmpeg, video: &Path, decibels: f64, shortest: f64) -> Result<Self> {
        let folder = TempDir::with_prefix("cogniverse-sound-").map_err(no_room)?;
        let samples = folder.path().join("samples");
        let filter = format!(
            "aresample={RATE}:async=1:first_pts=0,aformat=channel_layouts=mono,silencedetect=noise={decibels}dB:d={shortest}"
        );
        let mut arguments: Vec<OsString> =
            ["-nostats", "-map", "0:a:0", "-af", &filter, "-f", "s16le", "-c:a", "pcm_s16le"].map(Into::into).into();
        arguments.push(samples.clone().into());
        let output = ffmpeg.ffmpeg(video, &[], &arguments).await?;
        let bytes = std::fs::metadata(&samples).map_err(no_room)?.len();
        #[expect(clippy::cast_precision_loss, reason = "bytes of a file, far below 2^53")]
        let seconds = (bytes / u64::from(SAMPLE)) as f64 / f64::from(RATE);
        let silences = silences(&String::from_utf8_lossy(&output.stderr), seconds);
        Ok(Self { folder, samples, seconds, silences })
    }

    /// Writes a piece as a temporary WAV file, removed on drop.
    pub(super) async fn cut(&self, piece: &Piece) -> Result<NamedTempFile> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds from 0 to the end")]
        let (from, to) = ((piece.from * f64::from(RATE)) as u64, (piece.to * f64::from(RATE)) as u64);
        let (samples, folder) = (self.samples.clone(), self.folder.path().to_owned());
        blocking(move || wav(&samples, from, to, &folder).map_err(no_room)).await
    }
}

fn wav(samples: &Path, from: u64, to: u64, folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut source = File::open(samples)?;
    source.seek(SeekFrom::Start(from * u64::from(SAMPLE)))?;
    let mut bytes = Vec::new();
    source.take((to - from) * u64::from(SAMPLE)).read_to_end(&mut bytes)?;
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let mut file = tempfile::Builder::new().suffix(".wav").tempfile_in(folder)?;
    let mut head = Vec::with_capacity(44);
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&(36 + length).to_le_bytes());
    // A block of 16 bytes that says: samples as they are, one channel.
    head.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    head.extend_from_slice(&RATE.to_le_bytes());
    head.extend_from_slice(&(RATE * SAMPLE).to_le_bytes());
    head.extend_from_slice(b"\x02\0\x10\0data");
    head.extend_from_slice(&length.to_le_bytes());
    file.write_all(&head)?;
    file.write_all(&bytes)?;
    file.flush()?;
    Ok(file)
}

fn no_room(e: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the sound of a video cannot be kept; check the space and rights of the temporary folder",
    )
    .with_source(e)
}

/// Parses the output of ffmpeg's `silencedetect`; a silence without an end lasts to the end.
fn silences(log: &str, seconds: f64) -> Vec<TimeRange> {
    let number = |line: &str, name: &str| -> Option<f64> {
        line.split_once(name)?.1.split_whitespace().next()?.trim_end_matches('|').parse().ok()
    };
    let mut found = Vec::new();
    let mut start: Option<f64> = None;
    for line in log.split(['\n', '\r']) {
        if let Some(time) = number(line, "silence_start:") {
            start = Some(time.max(0.0));
        } else if let Some(end) = number(line, "silence_end:")
            && let Some(start) = start.take()
        {
            found.extend(TimeRange::new(start, end.clamp(start, seconds.max(start))));
        }
    }
    found.extend(start.and_then(|start| TimeRange::new(start, seconds.max(start)).ok()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_silencedetect() {
        let log = "Input #0\n[silencedetect @ 0x1] silence_start: -0.0003\rsize= 1\n\
            [silencedetect @ 0x1] silence_end: 12.5 | silence_duration: 12.5\n[silencedetect @ 0x1] silence_start: 20.25\n";
        let found: Vec<_> = silences(log, 30.0).iter().map(|s| (s.start(), s.end())).collect();
        assert_eq!(found, [(0.0, 12.5), (20.25, 30.0)]);
        assert!(silences("nothing of the kind", 30.0).is_empty());
    }
}
