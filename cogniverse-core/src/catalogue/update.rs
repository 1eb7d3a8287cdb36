//! Changes to a video that need no new ingest.

use cogniverse_sdk::{MetadataName, MetadataValue, Timestamp};
use std::collections::BTreeMap;

/// A change of what is said about a video. What it does not name stays, and the next ingest keeps what it sets.
///
/// ```
/// use cogniverse_core::catalogue::VideoUpdate;
/// use cogniverse_sdk::MetadataName;
///
/// let speaker = MetadataName::parse("speaker")?;
/// let update = VideoUpdate::default().with_title("Lecture 42").with_metadata(speaker, "Ada Lovelace");
/// # Ok::<(), cogniverse_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct VideoUpdate {
    /// The new title.
    pub title: Option<String>,
    /// The new address.
    pub url: Option<String>,
    /// The new time of recording.
    pub recorded_at: Option<Timestamp>,
    /// New values of metadata; `None` removes one.
    pub metadata: BTreeMap<MetadataName, Option<MetadataValue>>,
}

impl VideoUpdate {
    /// Sets the title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the address.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the time of recording.
    #[must_use]
    pub fn with_recorded_at(mut self, at: Timestamp) -> Self {
        self.recorded_at = Some(at);
        self
    }

    /// Sets a value of metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: MetadataName, value: impl Into<MetadataValue>) -> Self {
        self.metadata.insert(name, Some(value.into()));
        self
    }

    /// Removes a value of metadata.
    #[must_use]
    pub fn without_metadata(mut self, name: MetadataName) -> Self {
        self.metadata.insert(name, None);
        self
    }
}
