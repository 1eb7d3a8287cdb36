//! Text that stands on screen in segments.

mod command;
mod merging;

pub use command::CommandScreenReader;

use super::{
    frames::print_of,
    kept_files::{KeptFiles, KeptKind},
    seeing_failure::SeeingFailure,
};
use crate::worker::blocking;
use cogniverse_sdk::{
    Error, ErrorCode, Result,
    screen_reader::{ReadScreensRequest, ScreenReader},
};
use std::{collections::VecDeque, path::PathBuf, sync::Arc};

/// The version of the method; raising it invalidates cached texts.
const VERSION: u32 = 1;
/// The number of pictures of a video whose texts are remembered: a slide that stands still is read once.
const REMEMBERED: usize = 64;
/// The largest difference of brightness, of 255, between two pictures of the same slide.
const NOISE: u8 = 8;

/// The configuration of reading text on screen. Only the reader is required.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScreenReading {
    /// The reader.
    pub reader: Arc<dyn ScreenReader>,
    /// The cache of texts (default none).
    pub kept: Option<KeptFiles>,
    /// The handling of a segment that could not be read (default [`SeeingFailure::StoreWithout`]).
    pub on_failure: SeeingFailure,
    /// The largest number of pictures of a segment, spread evenly over its time (default 10). There is about one a second.
    pub pictures: u32,
    /// The longest side of a picture in pixels; larger ones are scaled down (default 1,920).
    pub longest_side: u32,
}

impl ScreenReading {
    /// Creates a configuration with the default settings.
    #[must_use]
    pub fn new(reader: Arc<dyn ScreenReader>) -> Self {
        Self { reader, kept: None, on_failure: SeeingFailure::default(), pictures: 10, longest_side: 1920 }
    }

    /// Caches texts in a folder, with one subfolder per tenant.
    #[must_use]
    pub fn kept_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.kept = Some(KeptFiles::new(KeptKind::ScreenTexts, folder));
        self
    }

    /// Sets [`Self::on_failure`].
    #[must_use]
    pub fn with_failure(mut self, failure: SeeingFailure) -> Self {
        self.on_failure = failure;
        self
    }

    /// Sets [`Self::pictures`] and [`Self::longest_side`].
    #[must_use]
    pub fn with_pictures(mut self, most: u32, longest_side: u32) -> Self {
        (self.pictures, self.longest_side) = (most, longest_side);
        self
    }

    /// Refuses settings that make no pictures.
    pub(super) fn validate(&self) -> Result<()> {
        if !(1..=16).contains(&self.pictures) {
            return Err(Error::invalid(format!("pictures is {}; give 1 to 16", self.pictures)));
        }
        if !(64..=8192).contains(&self.longest_side) {
            return Err(Error::invalid(format!("longest_side is {}; give 64 to 8192 pixels", self.longest_side)));
        }
        Ok(())
    }

    /// Returns what the cached texts depend on, apart from the video and the segment's time.
    pub(super) fn settings(&self, language: Option<&str>) -> String {
        let model = &self.reader.info().model;
        format!("{VERSION}\0{model}\0{language:?}\0{}\0{}", self.pictures, self.longest_side)
    }

    /// Reads the pictures of one segment: each line that stands there, once.
    pub(super) async fn look(
        &self,
        pictures: &[PathBuf],
        language: Option<&str>,
        remembered: &mut Remembered,
    ) -> Result<String> {
        let prints = prints(pictures).await?;
        let mut texts: Vec<Option<Vec<String>>> = prints.iter().map(|print| remembered.of(print)).collect();
        // Of pictures that are alike, the first is read.
        let mut unread: Vec<usize> = Vec::new();
        for (place, print) in prints.iter().enumerate() {
            let is_alike = |other: &usize| prints.get(*other).is_some_and(|other| are_alike(other, print));
            if texts.get(place).is_some_and(Option::is_none) && !unread.iter().any(is_alike) {
                unread.push(place);
            }
        }
        if !unread.is_empty() {
            let paths: Vec<PathBuf> = unread.iter().filter_map(|place| pictures.get(*place).cloned()).collect();
            let count = paths.len();
            let request = ReadScreensRequest::new(paths).with_language(language.map(str::to_owned));
            let read = self.reader.read_screens(&request).await?;
            if read.len() != count {
                let message = format!("the screen reader read {} of {count} pictures; use another", read.len());
                return Err(Error::unexpected(message));
            }
            for (place, text) in unread.into_iter().zip(read) {
                if let Some(print) = prints.get(place) {
                    remembered.put(print.clone(), text.lines);
                }
            }
            for (text, print) in texts.iter_mut().zip(&prints).filter(|(text, _)| text.is_none()) {
                *text = remembered.of(print);
            }
        }
        let screens: Vec<Vec<String>> = texts.into_iter().flatten().collect();
        Ok(merging::merged(screens.iter().map(Vec::as_slice)).join("\n"))
    }
}

/// Reads the prints of pictures.
async fn prints(pictures: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let paths: Vec<PathBuf> = pictures.iter().map(|picture| print_of(picture)).collect();
    blocking(move || {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| {
                Error::of(
                    ErrorCode::FileUnreadable,
                    "the print of a picture cannot be read; check the temporary folder",
                )
                .with_source(e)
            })
        };
        paths.iter().map(read).collect()
    })
    .await
}

/// Returns whether two pictures show the same: nowhere does their brightness differ by more than a codec makes it.
fn are_alike(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && !a.is_empty() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= NOISE)
}

/// The texts of the latest pictures of one video, by their prints.
#[derive(Debug, Default)]
pub(super) struct Remembered(VecDeque<(Vec<u8>, Vec<String>)>);

impl Remembered {
    fn of(&self, print: &[u8]) -> Option<Vec<String>> {
        self.0.iter().rev().find(|(known, _)| are_alike(known, print)).map(|(_, lines)| lines.clone())
    }

    fn put(&mut self, print: Vec<u8>, lines: Vec<String>) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((print, lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_alike_but_for_noise() {
        let slide: Vec<u8> = (0..96 * 54).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let noisy: Vec<u8> = slide.iter().map(|value| value.saturating_add(NOISE)).collect();
        let mut other = slide.clone();
        // One word more, in two fields.
        other[100] = other[100].wrapping_add(60);
        other[101] = other[101].wrapping_add(60);
        assert!(are_alike(&slide, &noisy) && !are_alike(&slide, &other) && !are_alike(&slide, &slide[1..]));
        assert!(!are_alike(&[], &[]), "what has no print is like nothing");
        let mut remembered = Remembered::default();
        remembered.put(slide.clone(), vec!["a".into()]);
        assert_eq!((remembered.of(&noisy), remembered.of(&other)), (Some(vec!["a".into()]), None));
        (0..70u8).for_each(|at| remembered.put(vec![at * 3; 4], Vec::new()));
        assert_eq!(remembered.of(&slide), None, "it is bounded");
    }
}
