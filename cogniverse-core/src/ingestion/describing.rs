//! Description of what the pictures of segments show.

mod command;

pub use command::CommandDescriber;

use super::{
    kept_files::{KeptFiles, KeptKind},
    seeing_failure::SeeingFailure,
};
use cogniverse_sdk::{
    Error, Result,
    frame_describer::{DescribeRequest, FrameDescriber, MAX_PICTURES, PROMPT_VERSION},
};
use std::{path::PathBuf, sync::Arc};

/// The version of the method; raising it invalidates cached descriptions.
const VERSION: u32 = 1;

/// The configuration of descriptions. Only the describer is required.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Describing {
    /// The describer.
    pub describer: Arc<dyn FrameDescriber>,
    /// The cache of descriptions (default none).
    pub kept: Option<KeptFiles>,
    /// The handling of a segment that could not be described (default [`SeeingFailure::StoreWithout`]).
    pub on_failure: SeeingFailure,
    /// The largest number of pictures of a segment, spread evenly over its time (default 4). There is about one a second.
    pub pictures: u32,
    /// The longest side of a picture in pixels; larger ones are scaled down (default 1,024).
    pub longest_side: u32,
}

impl Describing {
    /// Creates a configuration with the default settings.
    #[must_use]
    pub fn new(describer: Arc<dyn FrameDescriber>) -> Self {
        Self { describer, kept: None, on_failure: SeeingFailure::default(), pictures: 4, longest_side: 1024 }
    }

    /// Caches descriptions in a folder, with one subfolder per tenant.
    #[must_use]
    pub fn kept_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.kept = Some(KeptFiles::new(KeptKind::Descriptions, folder));
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
        let most = u32::try_from(MAX_PICTURES).unwrap_or(u32::MAX);
        if !(1..=most).contains(&self.pictures) {
            return Err(Error::invalid(format!("pictures is {}; give 1 to {most}", self.pictures)));
        }
        if !(64..=4096).contains(&self.longest_side) {
            return Err(Error::invalid(format!("longest_side is {}; give 64 to 4096 pixels", self.longest_side)));
        }
        Ok(())
    }

    /// Returns what the cached descriptions depend on, apart from the video and the segment's time.
    pub(super) fn settings(&self, language: Option<&str>) -> String {
        let model = &self.describer.info().model;
        format!("{VERSION}\0{PROMPT_VERSION}\0{model}\0{language:?}\0{}\0{}", self.pictures, self.longest_side)
    }

    /// Describes the pictures of one segment.
    pub(super) async fn look(&self, pictures: &[PathBuf], language: Option<&str>) -> Result<String> {
        let request = DescribeRequest::new(pictures.to_vec()).with_language(language.map(str::to_owned));
        let described = self.describer.describe(&request).await?;
        Ok(described.to_segment_text())
    }
}
