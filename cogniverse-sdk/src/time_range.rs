//! Time ranges within a video.

use crate::{Error, Result};

/// A half-open time range of a video, in seconds from its start: `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Bounds")]
pub struct TimeRange {
    start: f64,
    end: f64,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    start: f64,
    end: f64,
}

impl TryFrom<Bounds> for TimeRange {
    type Error = Error;
    fn try_from(bounds: Bounds) -> Result<Self> {
        Self::new(bounds.start, bounds.end)
    }
}

impl TimeRange {
    /// Creates a range from `start` to `end` seconds.
    ///
    /// # Errors
    /// `InvalidInput` where a bound is negative or not finite, or `end` is before `start`.
    pub fn new(start: f64, end: f64) -> Result<Self> {
        if !(start.is_finite() && end.is_finite()) || start < 0.0 || end < start {
            return Err(Error::invalid(format!(
                "invalid time range {start}..{end}; give finite seconds with 0 <= start <= end"
            )));
        }
        Ok(Self { start, end })
    }

    /// Returns the start in seconds, inclusive.
    #[must_use]
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Returns the end in seconds, exclusive.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Returns the length in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.end - self.start
    }

    /// Returns whether the ranges share a part of positive length.
    #[must_use]
    pub fn overlaps(&self, other: &TimeRange) -> bool {
        self.start < other.end && other.start < self.end
    }
}
