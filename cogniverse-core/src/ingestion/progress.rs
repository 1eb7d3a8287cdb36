//! What is going on, for whoever watches.

use super::report::VideoStatus;
use std::fmt;

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent {
    /// Work begins on so many videos.
    Started {
        /// Videos found.
        videos: usize,
    },
    /// So much of a segment file is read.
    Read {
        /// Bytes read.
        bytes: u64,
        /// Bytes of the file.
        of: u64,
    },
    /// Work begins on a video.
    VideoStarted {
        /// The video's file.
        name: String,
        /// Its segments.
        segments: usize,
    },
    /// What is said in a video is being written down.
    Transcribing {
        /// The video's file.
        name: String,
        /// Which piece of it, from 1.
        piece: usize,
        /// Of how many.
        of: usize,
    },
    /// Segments were encoded and stored, or found stored already.
    SegmentsDone {
        /// How many.
        count: usize,
    },
    /// A video is finished.
    VideoFinished {
        /// The video's file.
        name: String,
        /// What became of it.
        status: VideoStatus,
    },
}

/// Whoever watches. Called from the thread that works: answer fast.
pub trait ProgressSink: fmt::Debug + Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: &ProgressEvent);
}
