//! Requests to ingest videos.

use super::{progress::ProgressSink, source::IngestSource};
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
    /// Whether the encoder needs frame images (default `false`).
    pub frames: bool,
    /// The spoken language as an ISO 639-1 code, for the transcriber; `None` (the default) detects it.
    pub language: Option<String>,
    /// The number of videos processed concurrently (default 2).
    pub concurrency: usize,
    /// The receiver of progress events.
    pub progress: Option<Arc<dyn ProgressSink>>,
}

impl IngestRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(tenant: TenantId, profile: ProfileName, source: IngestSource) -> Self {
        Self { tenant, profile, source, encoder: None, frames: false, language: None, concurrency: 2, progress: None }
    }

    /// Replaces the profile's encoder, for example by [`super::PrecomputedEncoder`].
    #[must_use]
    pub fn with_encoder(mut self, encoder: Arc<dyn SegmentEncoder>) -> Self {
        self.encoder = Some(encoder);
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
