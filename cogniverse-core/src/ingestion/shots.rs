//! Segments by shots: where ffmpeg finds that the picture changes, within bounds on their length.

use super::ffmpeg::{Ffmpeg, Pictures};
use cogniverse_sdk::{Result, TimeRange};
use std::{ffi::OsString, path::Path};

/// Times closer to the begin or the end of a video than this many seconds are no cuts.
const NOTHING: f64 = 1e-6;
/// The width in pixels at which shots are told apart.
const WIDTH: u32 = 320;

/// The rule of a cut: how much of the picture changes, from 0 to 1, and how close cuts may follow each other, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct CutRule {
    pub(super) threshold: f64,
    pub(super) apart: f64,
    /// Whether pictures are scaled down first, which is faster and hardly changes what is found.
    pub(super) scaled: bool,
    /// The largest number of cuts that are kept.
    pub(super) most: usize,
}

/// Finds the cuts of a video of a length in seconds, in order.
pub(super) async fn cuts(
    ffmpeg: &Ffmpeg,
    video: &Path,
    pictures: &Pictures,
    seconds: f64,
    rule: CutRule,
) -> Result<Vec<f64>> {
    let scale = if rule.scaled { format!("scale={WIDTH}:-2,") } else { String::new() };
    let filter = format!(
        "{scale}select='gt(scene,{})',metadata=mode=print:key=lavfi.scene_score:file='pipe\\:1'",
        rule.threshold
    );
    let mut arguments: Vec<OsString> = pictures.map().into();
    arguments.extend(["-an", "-sn", "-dn", "-vf", filter.as_str(), "-f", "null", "-"].map(OsString::from));
    let mut found: Vec<f64> = Vec::new();
    ffmpeg
        .printed(video, seconds, &arguments, |line| {
            let last = found.last().copied().unwrap_or(0.0);
            if let Some(time) = shown_time(line)
                && time - last >= rule.apart.max(NOTHING)
                && time < seconds - NOTHING
                && found.len() < rule.most
            {
                found.push(time);
            }
        })
        .await?;
    Ok(found)
}

/// Reads the time of a frame from a line such as `frame:12   pts:6144   pts_time:12`; a frame without one has `NOPTS`.
fn shown_time(line: &str) -> Option<f64> {
    let time: f64 = line.split("pts_time:").nth(1)?.split_whitespace().next()?.parse().ok()?;
    time.is_finite().then_some(time)
}

/// Plans the shots between cuts, in order and without overlap. A cut closer than `min` seconds to the one before it or to the
/// end is none; a shot longer than `max` is divided evenly. `max` is at least twice `min`, so that both bounds hold.
pub(super) fn plan(seconds: f64, cuts: &[f64], min: f64, max: f64) -> Result<Vec<TimeRange>> {
    if seconds < NOTHING {
        return Ok(Vec::new());
    }
    let mut bounds = vec![0.0];
    for cut in cuts.iter().copied().filter(|cut| cut.is_finite()) {
        let last = bounds.last().copied().unwrap_or_default();
        if cut - last >= min && seconds - cut >= min {
            bounds.push(cut);
        }
    }
    bounds.push(seconds);
    let mut shots = Vec::with_capacity(bounds.len());
    for (start, end) in bounds.iter().zip(bounds.iter().skip(1)) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a video's length over min"
        )]
        let parts = ((end - start) / max - NOTHING).ceil().max(1.0) as u32;
        let at =
            |part: u32| if part == parts { *end } else { start + (end - start) * f64::from(part) / f64::from(parts) };
        for part in 0..parts {
            shots.push(TimeRange::new(at(part), at(part + 1))?);
        }
    }
    Ok(shots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(seconds: f64, cuts: &[f64], min: f64, max: f64) -> Vec<(f64, f64)> {
        plan(seconds, cuts, min, max).unwrap().iter().map(|range| (range.start(), range.end())).collect()
    }

    #[test]
    fn close_cuts_join_and_long_shots_are_divided_evenly() {
        assert_eq!(spans(20.0, &[5.0, 6.0, 12.0], 2.0, 60.0), [(0.0, 5.0), (5.0, 12.0), (12.0, 20.0)]);
        assert_eq!(spans(20.0, &[1.0, 19.0], 2.0, 60.0), [(0.0, 20.0)]);
        assert_eq!(spans(100.0, &[10.0], 2.0, 30.0), [(0.0, 10.0), (10.0, 40.0), (40.0, 70.0), (70.0, 100.0)]);
        assert_eq!(spans(1.5, &[], 2.0, 60.0), [(0.0, 1.5)], "a video shorter than a shot is one");
        assert!(spans(0.0, &[], 2.0, 60.0).is_empty());
        assert_eq!(spans(10.0, &[f64::NAN, 5.0], 2.0, 60.0), [(0.0, 5.0), (5.0, 10.0)]);
    }

    #[test]
    fn lines_of_the_filter_are_read_and_others_are_none() {
        assert_eq!(shown_time("frame:3    pts:153600  pts_time:12.5"), Some(12.5));
        for line in ["lavfi.scene_score=0.412", "frame:0 pts:NOPTS pts_time:NOPTS", "pts_time:nan", "pts_time:", ""] {
            assert_eq!(shown_time(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn shots_cover_the_video_within_their_bounds(
            seconds in 0.01f64..5000.0, min in 0.5f64..20.0, ratio in 2.0f64..20.0,
            cuts in prop::collection::vec(-0.1f64..1.1, 0..60),
        ) {
            let max = min * ratio;
            let mut cuts: Vec<f64> = cuts.iter().map(|part| part * seconds).collect();
            cuts.sort_by(f64::total_cmp);
            let shots = spans(seconds, &cuts, min, max);
            prop_assert_eq!((shots[0].0, shots[shots.len() - 1].1), (0.0, seconds));
            for pair in shots.windows(2) {
                prop_assert_eq!(pair[0].1, pair[1].0);
            }
            for (start, end) in &shots {
                prop_assert!(end - start <= max * (1.0 + 1e-6) && (end - start >= min - 1e-6 || shots.len() == 1));
            }
            // Each cut that keeps its distance from the others is one.
            for (at, cut) in cuts.iter().enumerate() {
                let alone = cuts.iter().enumerate().all(|(other, time)| other == at || (time - cut).abs() >= min);
                if alone && *cut >= min && seconds - cut >= min {
                    prop_assert!(shots.iter().any(|(start, _)| (start - cut).abs() < 1e-9), "{cut} is lost");
                }
            }
        }
    }
}
