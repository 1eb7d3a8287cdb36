//! Requests to ingest videos.

use super::{progress::ProgressSink, source::IngestSource};
use cogniverse_foundation::Segmentation;
use cogniverse_sdk::{ProfileName, SegmentEncoder, TenantId};
use std::sync::Arc;

/// A request to ingest videos.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IngestRequest {
    /// The tenant that will own the segments.
    pub tenant: TenantId,
    /// The profile to ingest into.
    pub profile: ProfileName,
    /// The source of the videos.
    pub source: IngestSource,
    /// An encoder to use instead of the profile's.
    pub encoder: Option<Arc<dyn SegmentEncoder>>,
    /// The segmentation to use instead of the profile's; `None` (the default) uses the profile's. A later run with another one cuts
    /// the videos anew.
    pub segmentation: Option<Segmentation>,
    /// Whether the encoder needs frame images (default `false`).
    pub frames: bool,
    /// The spoken language (a code of ISO 639 such as `de`, or a tag such as `pt-BR`): for the choice among transcripts, the
    /// transcriber, and the analysis of words. `None` (the default) takes the profile's, else that of each transcript.
    pub language: Option<String>,
    /// Whether videos that are not in the folder any more are removed at the end (default `false`).
    pub prune: bool,
    /// Whether the pictures of segments are described, by the ingestor's frame describer (default `false`: descriptions
    /// that are stored stay).
    pub describing: bool,
    /// Whether text on screen is read, by the ingestor's screen reader (default `false`: texts that are stored stay).
    pub reading_screens: bool,
    /// The number of videos processed concurrently (default 2).
    pub concurrency: usize,
    /// The receiver of progress events.
    pub progress: Option<Arc<dyn ProgressSink>>,
}

impl IngestRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(tenant: TenantId, profile: ProfileName, source: IngestSource) -> Self {
        Self {
            tenant,
            profile,
            source,
            encoder: None,
            segmentation: None,
            frames: false,
            language: None,
            prune: false,
            describing: false,
            reading_screens: false,
            concurrency: 2,
            progress: None,
        }
    }

    /// Replaces the profile's encoder, for example by [`super::PrecomputedEncoder`].
    #[must_use]
    pub fn with_encoder(mut self, encoder: Arc<dyn SegmentEncoder>) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Sets the segmentation to use instead of the profile's.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = Some(segmentation);
        self
    }

    /// Passes frame images to the encoder.
    #[must_use]
    pub fn with_frames(mut self) -> Self {
        self.frames = true;
        self
    }

    /// Sets the spoken language.
    #[must_use]
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Removes the videos of the folder that are not there any more, once the others are ingested.
    #[must_use]
    pub fn with_prune(mut self) -> Self {
        self.prune = true;
        self
    }

    /// Describes what the pictures of segments show, in the spoken language where one is set. Descriptions are made once
    /// and kept.
    #[must_use]
    pub fn describing(mut self) -> Self {
        self.describing = true;
        self
    }

    /// Reads the text that stands on screen in segments. It is read once and kept.
    #[must_use]
    pub fn reading_screens(mut self) -> Self {
        self.reading_screens = true;
        self
    }

    /// Sets the number of videos processed concurrently.
    #[must_use]
    pub fn with_concurrency(mut self, videos: usize) -> Self {
        self.concurrency = videos.max(1);
        self
    }

    /// Sets the receiver of progress events.
    #[must_use]
    pub fn with_progress(mut self, sink: Arc<dyn ProgressSink>) -> Self {
        self.progress = Some(sink);
        self
    }
}
