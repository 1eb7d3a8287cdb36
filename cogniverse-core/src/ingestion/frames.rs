//! Pictures of segments, for encoders that look.

use super::ffmpeg::Ffmpeg;
use cogniverse_sdk::{Error, ErrorKind, Result, TimeRange};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The most pictures of one segment, evenly over its time.
const MOST: u32 = 10;

/// Pictures in a folder of their own, which goes when this is dropped.
pub(super) struct Frames {
    folder: TempDir,
}

impl Frames {
    pub(super) fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("cogniverse-frames-").map_err(|e| {
            Error::new(
                ErrorKind::Unavailable,
                "no folder for pictures can be made; check the space and rights of the temporary folder",
            )
            .with_source(e)
        })?;
        Ok(Self { folder })
    }

    /// About one picture a second of a segment, at least one, at most ten: JPEG files in order of time.
    pub(super) async fn of(
        &self,
        ffmpeg: &Ffmpeg,
        video: &Path,
        segment: usize,
        range: &TimeRange,
    ) -> Result<Vec<PathBuf>> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=10")]
        let count = range.duration().clamp(1.0, f64::from(MOST)) as u32;
        let mut pictures = Vec::new();
        for number in 0..count {
            let time = range.start() + range.duration() * f64::from(number) / f64::from(count);
            let picture = self.folder.path().join(format!("{segment:06}-{number:02}.jpg"));
            let before: Vec<OsString> = vec!["-ss".into(), format!("{time:.3}").into()];
            let arguments: Vec<OsString> =
                vec!["-frames:v".into(), "1".into(), "-q:v".into(), "2".into(), picture.clone().into()];
            // Where there is no picture ffmpeg leaves the file alone: one of an earlier segment would stand for this one.
            match std::fs::remove_file(&picture) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::new(ErrorKind::Unavailable, "an older picture cannot be removed").with_source(e));
                }
                _ => {}
            }
            ffmpeg.ffmpeg(video, &before, &arguments).await?;
            // A seek to the very end of a video finds no picture; the ones before stand for the segment.
            if picture.exists() {
                pictures.push(picture);
            }
        }
        if pictures.is_empty() {
            return Err(Error::invalid(format!("{} has no picture from {:.3} s on", video.display(), range.start())));
        }
        Ok(pictures)
    }
}
