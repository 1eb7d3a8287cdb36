//! Parts that are kept on purpose.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// A part that an erasure keeps on purpose, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retention {
    /// The time after which it is gone; `None` where it stays.
    pub until: Option<Timestamp>,
    /// The part that is kept, and why.
    pub reason: String,
}

impl Retention {
    /// Creates a retention without an end.
    #[must_use]
    pub fn for_good(reason: impl Into<String>) -> Self {
        Self { until: None, reason: reason.into() }
    }

    /// Creates a retention with an end.
    #[must_use]
    pub fn until(until: Timestamp, reason: impl Into<String>) -> Self {
        Self { until: Some(until), reason: reason.into() }
    }
}
