//! Resumable ingestion of videos and segments files, with a report per video.

mod document;
mod encoding;
mod ffmpeg;
mod fingerprint;
mod flights;
mod frames;
mod minutes;
mod pipeline;
mod precomputed;
mod progress;
mod report;
mod request;
mod segmenting;
mod segments_file;
mod source;
mod speech;
mod telemetry;
mod video;

pub(crate) use document::check_fit;
pub use document::{Segment, segment_document_id};
pub use ffmpeg::{Ffmpeg, Probe};
pub use pipeline::Ingestor;
pub use precomputed::PrecomputedEncoder;
pub use progress::{ProgressEvent, ProgressSink};
pub use report::{IngestReport, TranscriptSource, VideoReport, VideoStatus};
pub use request::IngestRequest;
pub use segmenting::plan_segments;
pub use source::IngestSource;
pub use speech::{CommandTranscriber, KeptTranscripts, Speech, SpeechFailure};
