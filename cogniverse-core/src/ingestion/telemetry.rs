//! Spans of ingestion, with OpenInference's attributes where they exist.

use super::report::{IngestReport, VideoReport, VideoStatus};
pub(super) use cogniverse_foundation::telemetry::failed;
use cogniverse_sdk::{ProfileName, TenantId};
use tracing::{Span, field::Empty};

/// Span: one ingestion run.
const INGEST: &str = "cogniverse.ingest";
/// Span: one video of a run.
const VIDEO: &str = "cogniverse.ingest.video";
/// Span: the transcription of a video.
const TRANSCRIBE: &str = "cogniverse.ingest.transcribe";
/// Span: the description of a video's pictures.
const DESCRIBE: &str = "cogniverse.ingest.describe";
/// Span: the reading of text on a video's screen.
const READ_SCREENS: &str = "cogniverse.ingest.read_screens";
/// Span: the encoding of segments.
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
        throttled_ms = Empty,
    )
}

pub(super) fn ingested(span: &Span, report: &IngestReport) {
    span.record("ingest.videos", report.videos.len());
    span.record("ingest.stored", report.stored());
    span.record("ingest.unchanged", report.unchanged());
    span.record("ingest.refused", report.refused());
}

/// Returns the last component of a path: the folder is the operator's concern.
fn name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

pub(super) fn video(tenant: &TenantId, path: &str) -> Span {
    let name = name(path);
    tracing::info_span!(
        VIDEO,
        tenant.id = %tenant,
        openinference.span.kind = "CHAIN",
        ingest.file = name,
        ingest.planned = Empty,
        ingest.stored = Empty,
        throttled_ms = Empty,
    )
}

/// Records a video that failed before its span was opened.
pub(super) fn video_failed(tenant: &TenantId, report: &VideoReport) {
    video(tenant, &report.name).in_scope(|| video_done(report));
}

pub(super) fn video_done(report: &VideoReport) {
    let span = Span::current();
    span.record("ingest.planned", report.planned);
    span.record("ingest.stored", report.stored);
    if report.status == VideoStatus::Failed {
        let refused = report.refused.first().map(|(what, why)| format!("{what}: {why}"));
        let cause = report.reason.clone().or(refused).unwrap_or_else(|| "it has no segments".to_owned());
        let name = name(&report.name);
        let cause = cause.replace(&report.name, name);
        tracing::error!(exception.r#type = "VideoFailed", "the video {name} was not ingested: {cause}");
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

/// Opens the span of a transcription. The text is not recorded.
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

/// Opens the span of the description or reading of a video's pictures. The texts are not recorded.
pub(super) fn see(tenant: &TenantId, model: &str, describes: bool) -> Span {
    match describes {
        true => tracing::info_span!(
            DESCRIBE,
            tenant.id = %tenant,
            openinference.span.kind = "CHAIN",
            sight.model_name = model,
            sight.segments = Empty,
        ),
        false => tracing::info_span!(
            READ_SCREENS,
            tenant.id = %tenant,
            openinference.span.kind = "CHAIN",
            sight.model_name = model,
            sight.segments = Empty,
        ),
    }
}

/// Records the number of segments that a model was asked about.
pub(super) fn seen(asked: usize) {
    Span::current().record("sight.segments", asked);
}

/// Records the amount of audio sent to the model.
pub(super) fn pieces(count: usize, seconds: f64) {
    let span = Span::current();
    span.record("speech.pieces", count);
    span.record("speech.seconds", seconds);
}
