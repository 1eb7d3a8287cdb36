//! Segmentation of videos.

use cogniverse_sdk::{Error, Result};

/// The way a video is divided into segments.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Segmentation {
    /// Frames at a fixed interval.
    Frames {
        /// The interval between frames in seconds (default 1.0).
        #[serde(default = "every_seconds")]
        every_seconds: f64,
        /// The largest number of frames per video (default 3,000).
        #[serde(default = "max_frames")]
        max_frames: usize,
    },
    /// One frame per scene.
    Scenes {
        /// The share of the picture that must change at a scene cut, above 0 and below 1 (default 0.3).
        #[serde(default = "scene_threshold")]
        threshold: f64,
        /// The largest number of frames per video (default 3,000).
        #[serde(default = "max_frames")]
        max_frames: usize,
    },
    /// One segment per shot, within bounds on its length: a cut closer than the shortest to the one before joins, and a
    /// longer shot than the longest is divided evenly.
    Shots {
        /// The share of the picture that must change at a cut, above 0 and below 1 (default 0.3).
        #[serde(default = "scene_threshold")]
        threshold: f64,
        /// The shortest segment in seconds, at least 0.5 (default 2).
        #[serde(default = "min_seconds")]
        min_seconds: f64,
        /// The longest segment in seconds, at least twice the shortest (default 60).
        #[serde(default = "max_seconds")]
        max_seconds: f64,
    },
    /// Chunks of fixed length.
    Chunks {
        /// The length of a chunk in seconds. Required.
        seconds: f64,
        /// The overlap with the previous chunk in seconds (default 0).
        #[serde(default)]
        overlap_seconds: f64,
    },
}

fn every_seconds() -> f64 {
    1.0
}

fn max_frames() -> usize {
    3000
}

fn scene_threshold() -> f64 {
    0.3
}

fn min_seconds() -> f64 {
    2.0
}

fn max_seconds() -> f64 {
    60.0
}

/// The shortest segment of shots in seconds, which bounds their number.
const SHORTEST_SHOT: f64 = 0.5;

impl Segmentation {
    /// Creates a segmentation into frames at a fixed interval, at most 3,000.
    #[must_use]
    pub fn frames(every_seconds: f64) -> Self {
        Self::Frames { every_seconds, max_frames: max_frames() }
    }

    /// Creates a segmentation into one frame per scene, at most 3,000.
    #[must_use]
    pub fn scenes(threshold: f64) -> Self {
        Self::Scenes { threshold, max_frames: max_frames() }
    }

    /// Creates a segmentation into shots of 2 to 60 seconds.
    #[must_use]
    pub fn shots(threshold: f64) -> Self {
        Self::Shots { threshold, min_seconds: min_seconds(), max_seconds: max_seconds() }
    }

    /// Creates a segmentation into chunks of a length and an overlap, both in seconds.
    #[must_use]
    pub fn chunks(seconds: f64, overlap_seconds: f64) -> Self {
        Self::Chunks { seconds, overlap_seconds }
    }

    /// Validates every number.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, the value and the remedy.
    pub fn validate(&self) -> Result<()> {
        let positive = |field: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                return Ok(());
            }
            Err(Error::invalid(format!("{field} is {value}; give a number of seconds above 0")))
        };
        match *self {
            Self::Frames { every_seconds, max_frames } => {
                positive("every_seconds", every_seconds)?;
                check_max_frames(max_frames)
            }
            Self::Scenes { threshold, max_frames } => {
                check_threshold(threshold)?;
                check_max_frames(max_frames)
            }
            Self::Shots { threshold, min_seconds, max_seconds } => {
                check_threshold(threshold)?;
                if !(min_seconds.is_finite() && min_seconds >= SHORTEST_SHOT) {
                    let message = format!("min_seconds is {min_seconds}; give {SHORTEST_SHOT} or more");
                    return Err(Error::invalid(message));
                }
                if !(max_seconds.is_finite() && max_seconds >= 2.0 * min_seconds) {
                    return Err(Error::invalid(format!(
                        "max_seconds is {max_seconds}; give at least twice min_seconds, which is {min_seconds}"
                    )));
                }
                Ok(())
            }
            Self::Chunks { seconds, overlap_seconds } => {
                positive("seconds", seconds)?;
                if overlap_seconds >= 0.0 && overlap_seconds < seconds {
                    return Ok(());
                }
                Err(Error::invalid(format!(
                    "overlap_seconds is {overlap_seconds}; give 0 or more and less than the {seconds} seconds of a chunk"
                )))
            }
        }
    }
}

fn check_threshold(threshold: f64) -> Result<()> {
    if threshold > 0.0 && threshold < 1.0 {
        return Ok(());
    }
    Err(Error::invalid(format!("threshold is {threshold}; give a part of the picture above 0 and below 1")))
}

fn check_max_frames(max_frames: usize) -> Result<()> {
    if max_frames == 0 {
        return Err(Error::invalid("max_frames is 0; give 1 or more"));
    }
    Ok(())
}
