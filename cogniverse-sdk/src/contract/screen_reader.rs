//! The contract suite of [`crate::ScreenReader`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{
    Outcome,
    picture::{PictureFile, png},
};
use crate::{
    ErrorKind, ScreenReader,
    frame_describer::MAX_PICTURES,
    screen_reader::{MAX_LINES, ReadScreensRequest, ScreenText},
};

fn fit(made: &[ScreenText], count: usize) {
    assert_eq!(made.len(), count, "one text per picture");
    for text in made {
        assert!(text.lines.len() <= MAX_LINES && text.lines.iter().all(|line| !line.trim().is_empty()), "{text:?}");
    }
}

/// Each picture has its text, which may have no lines.
pub async fn each_picture_has_its_text(reader: &dyn ScreenReader) -> Outcome {
    assert!(!reader.info().model.is_empty());
    let pictures: Vec<PictureFile> = (0..3).map(|_| PictureFile::new(&png())).collect();
    for count in [1, 3] {
        let paths = pictures.iter().take(count).map(PictureFile::path).collect();
        fit(&reader.read_screens(&ReadScreensRequest::new(paths)).await.expect("read"), count);
    }
    Outcome::Ran
}

/// A language is accepted.
pub async fn a_language_may_be_said(reader: &dyn ScreenReader) -> Outcome {
    let picture = PictureFile::new(&png());
    let request = ReadScreensRequest::new(vec![picture.path()]).with_language(Some("de".to_owned()));
    fit(&reader.read_screens(&request).await.expect("read in a language"), 1);
    Outcome::Ran
}

/// A missing file is an error, never a picture without text.
pub async fn a_missing_picture_is_an_error(reader: &dyn ScreenReader) -> Outcome {
    let picture = PictureFile::new(&png());
    let request = ReadScreensRequest::new(vec![picture.path(), "/nowhere/at/all.jpg".into()]);
    assert!(reader.read_screens(&request).await.is_err());
    Outcome::Ran
}

/// A file that is no picture is an error, never a picture without text.
pub async fn what_is_no_picture_is_an_error(reader: &dyn ScreenReader) -> Outcome {
    let text = PictureFile::new(b"this is no picture at all, whatever its name says");
    assert!(reader.read_screens(&ReadScreensRequest::new(vec![text.path()])).await.is_err());
    Outcome::Ran
}

/// No pictures and too many are refused.
pub async fn the_number_of_pictures_is_checked(reader: &dyn ScreenReader) -> Outcome {
    let picture = PictureFile::new(&png());
    for count in [0, MAX_PICTURES + 1] {
        let error = reader.read_screens(&ReadScreensRequest::new(vec![picture.path(); count])).await;
        assert_eq!(error.expect_err("an error").kind(), ErrorKind::InvalidInput, "{count} pictures");
    }
    Outcome::Ran
}

/// Expands to one test per case.
#[macro_export]
macro_rules! screen_reader_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            screen_reader, $make, [$($skip),*];
            each_picture_has_its_text, a_language_may_be_said, a_missing_picture_is_an_error,
            what_is_no_picture_is_an_error, the_number_of_pictures_is_checked
        }
    };
}
