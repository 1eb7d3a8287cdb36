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
                if !(threshold > 0.0 && threshold < 1.0) {
                    let message = format!("threshold is {threshold}; give a part of the picture above 0 and below 1");
                    return Err(Error::invalid(message));
                }
                check_max_frames(max_frames)
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

fn check_max_frames(max_frames: usize) -> Result<()> {
    if max_frames == 0 {
        return Err(Error::invalid("max_frames is 0; give 1 or more"));
    }
    Ok(())
}
