//! The contract suites of [`crate::QueryEncoder`] and [`crate::SegmentEncoder`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, picture};
use crate::{
    EncoderInfo, Matrix, Picture, PictureEncoder, QueryEncoder, SegmentContent, SegmentEncoder, VectorKind,
    tensor::check_finite,
};

pub(super) const TEXTS: [&str; 4] =
    ["a", "two words", "the quick brown fox jumps over the lazy dog, and then some more of it", "naïve café 東京 🙂 x"];

fn fits(info: &EncoderInfo, rows: &Matrix<f32>) {
    assert_eq!(rows.width(), info.dims);
    assert!(!rows.is_empty());
    assert!(info.kind == VectorKind::Multi || rows.len() == 1, "one vector a text");
    check_finite(rows.cells()).expect("finite cells");
}

pub(super) fn near(a: &Matrix<f32>, b: &Matrix<f32>) {
    assert_eq!((a.len(), a.width()), (b.len(), b.width()));
    assert!(a.cells().iter().zip(b.cells()).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
}

/// Vectors have the promised shape, and the same text gives the same vectors.
pub async fn queries_are_as_promised(encoder: &dyn QueryEncoder) -> Outcome {
    for text in TEXTS {
        let rows = encoder.encode_query(text).await.expect("encode");
        fits(encoder.info(), &rows);
        near(&rows, &encoder.encode_query(text).await.expect("encode again"));
    }
    Outcome::Ran
}

/// A long text is not cut: its end changes its vectors.
pub async fn long_queries_are_not_cut(encoder: &dyn QueryEncoder) -> Outcome {
    let long = "word ".repeat(1500);
    let plain = encoder.encode_query(&long).await.expect("encode");
    let ended = encoder.encode_query(&format!("{long} zebra")).await.expect("encode");
    fits(encoder.info(), &plain);
    assert_ne!(plain, ended, "the last word counts");
    Outcome::Ran
}

/// A batch returns the vectors of each segment encoded alone, in order; an empty batch returns nothing.
pub async fn batches_equal_single_segments(encoder: &dyn SegmentEncoder) -> Outcome {
    let segments: Vec<SegmentContent> =
        TEXTS.iter().cycle().take(37).map(|text| SegmentContent::from_text(*text)).collect();
    let batch = encoder.encode_segments(&segments).await.expect("encode");
    assert_eq!(batch.len(), segments.len());
    for (segment, rows) in segments.iter().zip(&batch).take(TEXTS.len()) {
        fits(encoder.info(), rows);
        let alone = encoder.encode_segments(std::slice::from_ref(segment)).await.expect("encode");
        near(rows, alone.first().expect("one matrix for one segment"));
    }
    assert!(encoder.encode_segments(&[]).await.expect("encode nothing").is_empty());
    Outcome::Ran
}

/// A segment without any text is an error, never a zero vector.
pub async fn nothing_to_encode_is_an_error(encoder: &dyn SegmentEncoder) -> Outcome {
    assert!(encoder.encode_segments(&[SegmentContent::from_text("")]).await.is_err());
    Outcome::Ran
}

/// Vectors of a picture have the promised shape, and the same picture gives the same vectors.
pub async fn pictures_are_as_promised(encoder: &dyn PictureEncoder) -> Outcome {
    let picture = Picture::parse(picture::png()).expect("a picture");
    let rows = encoder.encode_picture(&picture).await.expect("encode");
    fits(encoder.info(), &rows);
    near(&rows, &encoder.encode_picture(&picture).await.expect("encode again"));
    Outcome::Ran
}

/// A picture whose data is cut is an error, never a vector.
pub async fn half_a_picture_is_an_error(encoder: &dyn PictureEncoder) -> Outcome {
    let mut bytes = picture::png();
    bytes.truncate(40);
    let half = Picture::parse(bytes).expect("a whole header");
    assert!(encoder.encode_picture(&half).await.is_err());
    Outcome::Ran
}

/// Expands to one test per case of the `PictureEncoder` contract.
#[macro_export]
macro_rules! picture_encoder_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! { encoder, $make, [$($skip),*]; pictures_are_as_promised, half_a_picture_is_an_error }
    };
}

/// Expands to one test per case of the `QueryEncoder` contract.
#[macro_export]
macro_rules! query_encoder_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! { encoder, $make, [$($skip),*]; queries_are_as_promised, long_queries_are_not_cut }
    };
}

/// Expands to one test per case of the `SegmentEncoder` contract.
#[macro_export]
macro_rules! segment_encoder_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! { encoder, $make, [$($skip),*]; batches_equal_single_segments, nothing_to_encode_is_an_error }
    };
}
