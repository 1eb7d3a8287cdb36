//! Progress events of ingestion.

use super::report::VideoStatus;
use std::fmt;

/// A progress event.
///
/// Its JSON is an object whose `event` names the kind, such as `{"event": "started", "videos": 3}`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgressEvent {
    /// The run starts.
    Started {
        /// The number of videos found.
        videos: usize,
    },
    /// Part of a segments file was read.
    Read {
        /// The number of bytes read.
        bytes: u64,
        /// The size of the file in bytes.
        of: u64,
    },
    /// Work on a video starts.
    VideoStarted {
        /// The name of the video's file.
        name: String,
        /// The number of its segments.
        segments: usize,
    },
    /// A piece of a video's audio is being transcribed.
    Transcribing {
        /// The name of the video's file.
        name: String,
        /// The number of the piece, from 1.
        piece: usize,
        /// The number of pieces.
        of: usize,
    },
    /// The pictures of a segment are being described.
    Describing {
        /// The name of the video's file.
        name: String,
        /// The number of the segment, from 1.
        segment: usize,
        /// The number of segments.
        of: usize,
    },
    /// The text on screen of a segment is being read.
    ReadingScreens {
        /// The name of the video's file.
        name: String,
        /// The number of the segment, from 1.
        segment: usize,
        /// The number of segments.
        of: usize,
    },
    /// Segments were stored, or found to be stored already.
    SegmentsDone {
        /// The number of segments.
        count: usize,
    },
    /// Work on a video ended.
    VideoFinished {
        /// The name of the video's file.
        name: String,
        /// The outcome.
        status: VideoStatus,
    },
}

/// A receiver of progress events. It is called on the working thread and must return quickly.
pub trait ProgressSink: fmt::Debug + Send + Sync + 'static {
    /// Called for each event.
    fn event(&self, event: &ProgressEvent);
}
