//! The contract suite of [`crate::FrameDescriber`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{
    Outcome,
    picture::{PictureFile, png},
};
use crate::{
    ErrorKind, FrameDescriber,
    frame_describer::{DescribeRequest, FrameDescription, MAX_PICTURES, MAX_TAGS, MAX_TEXT_CHARS},
};

fn fits(made: &FrameDescription) {
    assert!(!made.to_segment_text().trim().is_empty(), "a description that says nothing");
    assert!(made.text.chars().count() <= MAX_TEXT_CHARS && made.tags.len() <= MAX_TAGS, "an endless description");
}

/// One picture and several give one bounded description.
pub async fn pictures_are_described(describer: &dyn FrameDescriber) -> Outcome {
    assert!(!describer.info().model.is_empty());
    let pictures: Vec<PictureFile> = (0..3).map(|_| PictureFile::new(&png())).collect();
    for count in [1, 3] {
        let paths = pictures.iter().take(count).map(PictureFile::path).collect();
        fits(&describer.describe(&DescribeRequest::new(paths)).await.expect("describe"));
    }
    Outcome::Ran
}

/// A language is accepted.
pub async fn a_language_may_be_said(describer: &dyn FrameDescriber) -> Outcome {
    let picture = PictureFile::new(&png());
    let request = DescribeRequest::new(vec![picture.path()]).with_language(Some("de".to_owned()));
    fits(&describer.describe(&request).await.expect("describe in a language"));
    Outcome::Ran
}

/// A missing file is an error, never a guess.
pub async fn a_missing_picture_is_an_error(describer: &dyn FrameDescriber) -> Outcome {
    let picture = PictureFile::new(&png());
    let request = DescribeRequest::new(vec![picture.path(), "/nowhere/at/all.jpg".into()]);
    assert!(describer.describe(&request).await.is_err());
    Outcome::Ran
}

/// A file that is no picture is an error, never a guess.
pub async fn what_is_no_picture_is_an_error(describer: &dyn FrameDescriber) -> Outcome {
    let text = PictureFile::new(b"this is no picture at all, whatever its name says");
    assert!(describer.describe(&DescribeRequest::new(vec![text.path()])).await.is_err());
    Outcome::Ran
}

/// No pictures and too many are refused.
pub async fn the_number_of_pictures_is_checked(describer: &dyn FrameDescriber) -> Outcome {
    let picture = PictureFile::new(&png());
    for count in [0, MAX_PICTURES + 1] {
        let error = describer.describe(&DescribeRequest::new(vec![picture.path(); count])).await;
        assert_eq!(error.expect_err("an error").kind(), ErrorKind::InvalidInput, "{count} pictures");
    }
    Outcome::Ran
}

/// Expands to one test per case.
#[macro_export]
macro_rules! frame_describer_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            frame_describer, $make, [$($skip),*];
            pictures_are_described, a_language_may_be_said, a_missing_picture_is_an_error,
            what_is_no_picture_is_an_error, the_number_of_pictures_is_checked
        }
    };
}
