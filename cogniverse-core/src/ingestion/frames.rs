//! Frame images of segments, for visual encoders.

use super::ffmpeg::{Ffmpeg, Pictures};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, TimeRange};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The default largest number of frames per segment, spread evenly over its time.
const MOST: u32 = 10;
/// The default longest side of a frame, in pixels.
const LONGEST_SIDE: u32 = 4096;

/// The width and height of a print.
const PRINT: (u32, u32) = (96, 54);

/// Returns the file of a frame's print: its brightness in 96 by 54 fields, a byte each, by which frames are told apart.
pub(super) fn print_of(frame: &Path) -> PathBuf {
    frame.with_extension("gray")
}

/// Frame images in a temporary folder, removed on drop.
pub(super) struct Frames {
    folder: TempDir,
    pictures: Pictures,
    most: u32,
    longest_side: u32,
    prints: bool,
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
        Ok(Self { folder, pictures, most: MOST, longest_side: LONGEST_SIDE, prints: false })
    }

    /// Sets the largest number of frames of a segment (default 10).
    pub(super) fn with_most(mut self, most: u32) -> Self {
        self.most = most.max(1);
        self
    }

    /// Sets the longest side of a frame in pixels, to which larger ones are scaled down (default 4,096).
    pub(super) fn with_longest_side(mut self, pixels: u32) -> Self {
        self.longest_side = pixels;
        self
    }

    /// Makes a print of each frame too: see [`print_of`].
    pub(super) fn with_prints(mut self) -> Self {
        self.prints = true;
        self
    }

    /// Removes frames that were used.
    pub(super) fn remove(&self, frames: &[PathBuf]) {
        for frame in frames.iter().filter(|frame| frame.starts_with(self.folder.path())) {
            // What stays is removed with the folder.
            let _ = std::fs::remove_file(frame);
            let _ = std::fs::remove_file(print_of(frame));
        }
    }

    /// Extracts about one frame a second of a segment, at least one and at most as many as are wanted, as JPEG files in
    /// time order.
    pub(super) async fn of(
        &self,
        ffmpeg: &Ffmpeg,
        video: &Path,
        segment: usize,
        range: &TimeRange,
    ) -> Result<Vec<PathBuf>> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=most")]
        let count = range.duration().clamp(1.0, f64::from(self.most)) as u32;
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
        let mut before = self.pictures.input();
        before.extend(how.iter().map(OsString::from));
        // A seek to the begin fails in files whose first picture is late.
        if time > 0.0 {
            before.extend(["-ss".into(), format!("{time:.3}").into()]);
        }
        let side = self.longest_side;
        let scale = format!("scale='min({side},iw)':'min({side},ih)':force_original_aspect_ratio=decrease");
        let mut arguments: Vec<OsString> = self.pictures.map().into();
        arguments.extend(["-vf", scale.as_str(), "-frames:v", "1", "-q:v", "2"].map(OsString::from));
        arguments.push(picture.clone().into());
        if self.prints {
            let print = format!("scale={}:{}:flags=area,format=gray", PRINT.0, PRINT.1);
            arguments.extend(self.pictures.map());
            arguments.extend(["-vf", print.as_str(), "-frames:v", "1", "-f", "rawvideo"].map(OsString::from));
            arguments.push(print_of(&picture).into());
        }
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
