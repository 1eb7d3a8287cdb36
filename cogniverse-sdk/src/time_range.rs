//! A stretch of a video.

use crate::{Error, Result};

/// A half-open stretch of a video, in seconds from its start: `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TimeRange {
    start: f64,
    end: f64,
}

impl TimeRange {
    /// A stretch from `start` to `end` seconds.
    ///
    /// # Errors
    /// `InvalidInput` where a bound is not finite or negative, or the end lies before the start.
    pub fn new(start: f64, end: f64) -> Result<Self> {
        if !(start.is_finite() && end.is_finite()) || start < 0.0 || end < start {
            return Err(Error::invalid(format!(
                "invalid time range {start}..{end}; give finite seconds with 0 <= start <= end"
            )));
        }
        Ok(Self { start, end })
    }

    /// First second.
    #[must_use]
    pub fn start(&self) -> f64 {
        self.start
    }

    /// The second after the last.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.end - self.start
    }

    /// Whether both share a stretch longer than nothing.
    #[must_use]
    pub fn overlaps(&self, other: &TimeRange) -> bool {
        self.start < other.end && other.start < self.end
    }
}
