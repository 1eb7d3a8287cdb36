//! Segmentation of videos.

use super::{
    ffmpeg::{Ffmpeg, MediaKind, Probe},
    shots::{self, CutRule},
};
use cogniverse_foundation::Segmentation;
use cogniverse_sdk::{Error, Result, TimeRange};
use std::path::Path;

/// A last piece shorter than this many seconds, or than half a chunk, joins the previous one.
const SHORT: f64 = 2.0;

/// Starts closer to the end than this many seconds make no piece, as rounding could not tell them apart.
const NOTHING: f64 = 1e-6;

/// Plans the segments of a video of `duration` seconds by a rule that needs no pictures.
///
/// # Errors
/// `InvalidInput` for a rule or a duration that makes no pieces, and for scenes and shots, which need the
/// pictures.
pub fn plan_segments(duration: f64, segmentation: &Segmentation) -> Result<Vec<TimeRange>> {
    segmentation.validate()?;
    TimeRange::new(0.0, duration)?;
    match segmentation {
        Segmentation::Frames { every_seconds, max_frames } => {
            steps(duration, *every_seconds, *every_seconds, Some(*max_frames))
        }
        Segmentation::Chunks { seconds, overlap_seconds } => {
            let mut chunks = steps(duration, *seconds, seconds - overlap_seconds, None)?;
            // With an overlap, the last start may lie where the piece before already reaches the end.
            while let [.., before, last] = chunks.as_slice()
                && (last.duration() < SHORT.min(seconds / 2.0) || before.end() >= duration)
            {
                let joined = TimeRange::new(before.start(), duration)?;
                chunks.truncate(chunks.len() - 2);
                chunks.push(joined);
            }
            Ok(chunks)
        }
        _ => Err(Error::invalid(
            "scenes and shots are cut where the pictures change; they cannot be planned from the length alone",
        )),
    }
}

fn steps(duration: f64, length: f64, step: f64, most: Option<usize>) -> Result<Vec<TimeRange>> {
    let mut ranges = Vec::new();
    for number in 0..most.unwrap_or(usize::MAX) {
        // Multiplied, not added up: the thousandth start is as exact as the first.
        #[expect(clippy::cast_precision_loss, reason = "numbers of pieces far below 2^53")]
        let start = number as f64 * step;
        if duration - start < NOTHING {
            break;
        }
        ranges.push(TimeRange::new(start, (start + length).min(duration))?);
    }
    Ok(ranges)
}

/// The length of the segments of a sound, in seconds, whose profile cuts by pictures.
const SOUND: f64 = 30.0;

/// Plans the segments of a file, analyzing its pictures where the rule needs it. A picture is one segment from 0 to 0 s. A
/// sound is cut into chunks: those of the profile, or of 30 s where the profile cuts by pictures.
pub(super) async fn segments_of(
    ffmpeg: &Ffmpeg,
    video: &Path,
    probe: &Probe,
    segmentation: &Segmentation,
) -> Result<Vec<TimeRange>> {
    segmentation.validate()?;
    let duration = probe.duration;
    let pictures = match (probe.kind, &probe.pictures) {
        (MediaKind::Picture, _) => return Ok(vec![TimeRange::new(0.0, 0.0)?]),
        (MediaKind::Video, Some(pictures)) => pictures,
        _ => {
            let chunks = Segmentation::chunks(SOUND, 0.0);
            let by_time = matches!(segmentation, Segmentation::Chunks { .. });
            return plan_segments(duration, if by_time { segmentation } else { &chunks });
        }
    };
    match segmentation {
        Segmentation::Scenes { threshold, max_frames } => {
            let most = max_frames.saturating_sub(1);
            let rule = CutRule { threshold: *threshold, apart: 0.0, scaled: false, most };
            let mut starts = shots::cuts(ffmpeg, video, pictures, duration, rule).await?;
            starts.insert(0, 0.0);
            let ends = starts.iter().skip(1).copied().chain([duration]);
            starts.iter().zip(ends).map(|(start, end)| TimeRange::new(*start, end)).collect()
        }
        Segmentation::Shots { threshold, min_seconds, max_seconds } => {
            let rule = CutRule { threshold: *threshold, apart: *min_seconds, scaled: true, most: usize::MAX };
            let cuts = shots::cuts(ffmpeg, video, pictures, duration, rule).await?;
            shots::plan(duration, &cuts, *min_seconds, *max_seconds)
        }
        _ => plan_segments(duration, segmentation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(duration: f64, segmentation: &Segmentation) -> Vec<(f64, f64)> {
        plan_segments(duration, segmentation).unwrap().iter().map(|range| (range.start(), range.end())).collect()
    }

    #[test]
    fn chunks_and_frames() {
        assert_eq!(spans(65.0, &Segmentation::chunks(30.0, 0.0)), [(0.0, 30.0), (30.0, 60.0), (60.0, 65.0)]);
        assert_eq!(spans(61.0, &Segmentation::chunks(30.0, 0.0)), [(0.0, 30.0), (30.0, 61.0)]);
        assert_eq!(spans(5.3, &Segmentation::chunks(30.0, 0.0)), [(0.0, 5.3)]);
        assert_eq!(spans(55.0, &Segmentation::chunks(30.0, 5.0)), [(0.0, 30.0), (25.0, 55.0)]);
        assert_eq!(spans(2.5, &Segmentation::frames(1.0)), [(0.0, 1.0), (1.0, 2.0), (2.0, 2.5)]);
        assert!(plan_segments(f64::NAN, &Segmentation::frames(1.0)).is_err());
        assert!(spans(0.0, &Segmentation::frames(1.0)).is_empty());
    }

    proptest! {
        #[test]
        fn chunks_cover_the_video(duration in 0.1f64..5000.0, seconds in 1.0f64..60.0, part in 0.0f64..0.9) {
            let segmentation = Segmentation::chunks(seconds, seconds * part);
            let chunks = plan_segments(duration, &segmentation).unwrap();
            prop_assert_eq!(chunks[0].start(), 0.0);
            prop_assert!((chunks[chunks.len() - 1].end() - duration).abs() < 1e-9);
            for pair in chunks.windows(2) {
                prop_assert!(pair[1].start() > pair[0].start() && pair[1].start() <= pair[0].end() + 1e-9);
            }
        }
    }
}
