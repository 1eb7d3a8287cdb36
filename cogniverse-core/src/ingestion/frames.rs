//! Frame images of segments, for visual encoders.

use super::ffmpeg::{Ffmpeg, Pictures};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, TimeRange};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The largest number of frames per segment, spread evenly over its time.
const MOST: u32 = 10;

/// Frame images in a temporary folder, removed on drop.
pub(super) struct Frames {
    folder: TempDir,
    pictures: Pictures,
}

impl Frames {
    pub(super) fn new(pictures: Pictures) -> Result<Self> {
        let folder = TempDir::with_prefix("cogniverse-frames-").map_err(|e| {
            Error::new(
                ErrorKind::Unavailable,
                "no folder for pictures can be made; check the space and rights of the temporary folder",
            )
            .with_source(e)
        })?;
        Ok(Self { folder, pictures })
    }

    /// Extracts about one frame a second of a segment, at least one and at most ten, as JPEG files in time order.
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
            // A seek to the very end of a video finds no picture; the ones before stand for the segment.
            pictures.extend(self.take(ffmpeg, video, &[], time, picture).await?);
        }
        if pictures.is_empty() {
            // None begins within the segment: the one before it is still shown.
            let picture = self.folder.path().join(format!("{segment:06}-held.jpg"));
            let time = range.start().min(self.pictures.end);
            pictures.extend(self.take(ffmpeg, video, &["-noaccurate_seek"], time, picture).await?);
        }
        if pictures.is_empty() {
            return Err(Error::of(
                ErrorCode::VideoInvalid,
                format!("{} has no picture from {:.3} s on", video.display(), range.start()),
            ));
        }
        Ok(pictures)
    }

    /// Extracts the first frame from a time on, if there is one.
    async fn take(
        &self,
        ffmpeg: &Ffmpeg,
        video: &Path,
        how: &[&str],
        time: f64,
        picture: PathBuf,
    ) -> Result<Option<PathBuf>> {
        let mut before: Vec<OsString> = how.iter().map(OsString::from).collect();
        // A seek to the begin fails in files whose first picture is late.
        if time > 0.0 {
            before.extend(["-ss".into(), format!("{time:.3}").into()]);
        }
        let mut arguments: Vec<OsString> = self.pictures.map().into();
        arguments.extend(["-frames:v", "1", "-q:v", "2"].map(OsString::from));
        arguments.push(picture.clone().into());
        // Where there is no picture ffmpeg leaves the file alone: one of an earlier segment would stand for this one.
        match std::fs::remove_file(&picture) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::Unavailable, "an older picture cannot be removed").with_source(e));
            }
            _ => {}
        }
        ffmpeg.ffmpeg(video, &before, &arguments).await?;
        Ok(picture.exists().then_some(picture))
    }
}
