//! The spans of ingestion, in OpenInference's words where it has them.

use super::report::{IngestReport, VideoReport, VideoStatus};
use cogniverse_sdk::{Error, ProfileName, TenantId};
use tracing::{Span, field::Empty};

/// One run.
const INGEST: &str = "cogniverse.ingest";
/// One video of it.
const VIDEO: &str = "cogniverse.ingest.video";
/// The words of a video.
const TRANSCRIBE: &str = "cogniverse.ingest.transcribe";
/// The vectors of some segments.
const ENCODE: &str = "cogniverse.ingest.encode";

pub(super) fn ingest(tenant: &TenantId, profile: &ProfileName) -> Span {
    tracing::info_span!(
        INGEST,
        tenant.id = %tenant,
        openinference.span.kind = "CHAIN",
        %profile,
        config.version = Empty,
        ingest.videos = Empty,
        ingest.stored = Empty,
        ingest.unchanged = Empty,
        ingest.refused = Empty,
    )
}

pub(super) fn ingested(span: &Span, report: &IngestReport) {
    span.record("ingest.videos", report.videos.len());
    span.record("ingest.stored", report.stored());
    span.record("ingest.unchanged", report.unchanged());
    span.record("ingest.refused", report.refused());
}

/// The file is named by what comes last of its path: where it lies is the operator's.
pub(super) fn video(tenant: &TenantId, path: &str) -> Span {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    tracing::info_span!(
        VIDEO,
        tenant.id = %tenant,
        openinference.span.kind = "CHAIN",
        ingest.file = name,
        ingest.planned = Empty,
        ingest.stored = Empty,
    )
}

pub(super) fn video_done(report: &VideoReport) {
    let span = Span::current();
    span.record("ingest.planned", report.planned);
    span.record("ingest.stored", report.stored);
    if report.status == VideoStatus::Failed {
        tracing::error!(exception.r#type = "VideoFailed", "the video was not ingested");
    }
}

pub(super) fn encode(tenant: &TenantId, model: &str, segments: usize) -> Span {
    tracing::info_span!(
        ENCODE,
        tenant.id = %tenant,
        openinference.span.kind = "EMBEDDING",
        embedding.model_name = model,
        embedding.segments = segments,
    )
}

/// What is said is not in the span.
pub(super) fn transcribe(tenant: &TenantId, model: &str) -> Span {
    tracing::info_span!(
        TRANSCRIBE,
        tenant.id = %tenant,
        openinference.span.kind = "CHAIN",
        speech.model_name = model,
        speech.pieces = Empty,
        speech.seconds = Empty,
    )
}

/// How much is sent to the model.
pub(super) fn pieces(count: usize, seconds: f64) {
    let span = Span::current();
    span.record("speech.pieces", count);
    span.record("speech.seconds", seconds);
}

/// Says in the current span that the work failed, and as what.
pub(super) fn failed(error: &Error) {
    tracing::error!(exception.r#type = ?error.kind(), "{}", error.chain());
}
