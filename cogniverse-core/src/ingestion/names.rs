//! Title, address and metadata of a video: as people set them, as the caller or a file beside it says, by the name of its file, in
//! this order.

use super::sidecar::Sidecar;
use crate::catalogue::StoredVideo;
use cogniverse_sdk::{Metadata, Timestamp};

/// The title, address, time of recording and metadata of a video.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Names {
    pub(super) title: String,
    pub(super) url: Option<String>,
    pub(super) recorded_at: Option<Timestamp>,
    pub(super) metadata: Metadata,
}

impl Names {
    /// Joins what the caller and a file say with what people set by hand in the catalogue.
    pub(super) fn new(sidecar: &Sidecar, file_title: &str, known: Option<&StoredVideo>) -> Self {
        let mut names = Self {
            title: sidecar.title.clone().unwrap_or_else(|| file_title.to_owned()),
            url: sidecar.url.clone(),
            recorded_at: sidecar.recorded_at,
            metadata: sidecar.metadata.clone(),
        };
        let Some(StoredVideo { video, by_hand, .. }) = known else { return names };
        if by_hand.title {
            names.title.clone_from(&video.title);
        }
        if by_hand.url {
            names.url.clone_from(&video.url);
        }
        if by_hand.recorded_at {
            names.recorded_at = video.recorded_at;
        }
        for name in &by_hand.metadata {
            match video.metadata.get(name) {
                Some(value) => drop(names.metadata.insert(name.clone(), value.clone())),
                None => drop(names.metadata.remove(name)),
            }
        }
        names
    }

    /// Returns whether a record says the same.
    pub(super) fn are_in(&self, known: &StoredVideo) -> bool {
        let video = &known.video;
        self.title == video.title
            && self.url == video.url
            && self.recorded_at == video.recorded_at
            && self.metadata == video.metadata
    }

    /// Writes them into a record.
    pub(super) fn write(&self, stored: &mut StoredVideo) {
        let video = &mut stored.video;
        video.title.clone_from(&self.title);
        video.url.clone_from(&self.url);
        video.recorded_at = self.recorded_at;
        video.metadata.clone_from(&self.metadata);
    }
}
