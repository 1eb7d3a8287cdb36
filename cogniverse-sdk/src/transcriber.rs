//! The role that transcribes speech.

use crate::{Error, Result, TimeRange};
use async_trait::async_trait;
use std::{fmt, path::PathBuf};

/// A timed piece of a transcript.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cue {
    /// The time range, in seconds.
    pub range: TimeRange,
    /// The spoken text.
    pub text: String,
}

/// A description of a transcriber.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TranscriberInfo {
    /// The model, with its revision where known; part of the key under which transcripts are cached.
    pub model: String,
}

/// A request to transcribe an audio file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TranscribeRequest {
    /// The path of a WAV file: 16-bit PCM, mono, 16,000 samples a second.
    pub audio: PathBuf,
    /// The spoken language as an ISO 639-1 code; `None` (the default) lets the model detect it.
    pub language: Option<String>,
}

impl TranscribeRequest {
    /// Creates a request with language detection.
    #[must_use]
    pub fn new(audio: impl Into<PathBuf>) -> Self {
        Self { audio: audio.into(), language: None }
    }

    /// Sets the spoken language.
    #[must_use]
    pub fn with_language(mut self, language: Option<String>) -> Self {
        self.language = language;
        self
    }
}

/// The transcript of an audio file.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Transcription {
    /// The cues, in time order and without overlap.
    pub cues: Vec<Cue>,
    /// The language, where the model reports one.
    pub language: Option<String>,
}

impl Transcription {
    /// Creates a transcript from a model's (start, end, text) parts. Overlapping cues are shortened to start no
    /// earlier than the previous one ends, and cues without text are dropped.
    ///
    /// # Errors
    /// `Unexpected` for times that are not finite, are negative, or end before they start.
    pub fn from_parts(parts: impl IntoIterator<Item = (f64, f64, String)>) -> Result<Self> {
        let mut cues = Vec::new();
        for (start, end, text) in parts {
            let range = TimeRange::new(start, end).map_err(|e| {
                Error::unexpected(format!("the transcriber gave a cue from {start} to {end} s; use another model"))
                    .with_source(e)
            })?;
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() {
                cues.push(Cue { range, text });
            }
        }
        cues.sort_by(|a, b| a.range.start().total_cmp(&b.range.start()));
        let mut before = 0.0f64;
        for cue in &mut cues {
            let start = cue.range.start().max(before);
            let end = cue.range.end().max(start);
            cue.range = TimeRange::new(start, end)?;
            before = end;
        }
        Ok(Self { cues, language: None })
    }

    /// Sets the language.
    #[must_use]
    pub fn with_language(mut self, language: Option<String>) -> Self {
        self.language = language;
        self
    }
}

/// A speech-to-text model.
///
/// # Contract
/// Returns non-empty cues in time order without overlap; times are seconds from the start of the file. A file without
/// speech gives no cues and no error. Audio is never truncated silently: a file that is too long is refused.
///
/// # Errors
/// `NotFound` or `Unavailable` where the file cannot be read; `InvalidInput` for a file that is not audio or is too
/// long; `Unavailable`, `Timeout` or `RateLimited`, with a retry hint, where the model cannot be reached or is busy;
/// `FailedPrecondition` where a program is not installed; `Unexpected` for a response without times.
///
/// # Cancellation
/// Dropping the future may waste work, stops any process that it started, and leaves no state behind.
#[async_trait]
pub trait Transcriber: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the transcriber.
    fn info(&self) -> &TranscriberInfo;

    /// Transcribes an audio file.
    async fn transcribe(&self, request: &TranscribeRequest) -> Result<Transcription>;
}

const _: fn(&dyn Transcriber) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_put_in_order_and_do_not_overlap() {
        let part = |start, end, text: &str| (start, end, text.to_owned());
        let parts =
            [part(4.0, 6.0, " two\n words"), part(0.0, 5.0, "one"), part(5.0, 5.5, "inside"), part(7.0, 8.0, " ")];
        let made = Transcription::from_parts(parts).unwrap();
        let cues: Vec<_> = made.cues.iter().map(|c| (c.range.start(), c.range.end(), c.text.as_str())).collect();
        assert_eq!(cues, [(0.0, 5.0, "one"), (5.0, 6.0, "two words"), (6.0, 6.0, "inside")]);
        for (start, end) in [(f64::NAN, 1.0), (-1.0, 1.0), (2.0, 1.0)] {
            assert!(Transcription::from_parts([(start, end, "x".to_owned())]).is_err());
        }
    }
}
