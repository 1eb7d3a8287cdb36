//! Models that write down what is said.

use crate::{Error, Result, TimeRange};
use async_trait::async_trait;
use std::{fmt, path::PathBuf};

/// Something said in one stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// When, in seconds.
    pub range: TimeRange,
    /// What.
    pub text: String,
}

/// Who transcribes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TranscriberInfo {
    /// The model, with its revision where one is known: part of the key under which transcripts are kept.
    pub model: String,
}

/// What to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TranscribeRequest {
    /// A WAV file: 16-bit PCM, one channel, 16,000 samples a second.
    pub audio: PathBuf,
    /// The language that is spoken, as in ISO 639-1 (default none: the model finds out).
    pub language: Option<String>,
}

impl TranscribeRequest {
    /// A file in any language.
    #[must_use]
    pub fn new(audio: impl Into<PathBuf>) -> Self {
        Self { audio: audio.into(), language: None }
    }

    /// Says which language is spoken.
    #[must_use]
    pub fn with_language(mut self, language: Option<String>) -> Self {
        self.language = language;
        self
    }
}

/// What is said in a file: cues in order of time that do not overlap.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Transcription {
    /// What is said, and when.
    pub cues: Vec<Cue>,
    /// The language, where the model says one.
    pub language: Option<String>,
}

impl Transcription {
    /// Puts what a model said, as (start, end, text), in order. Models let stretches meet, and give some no words: a cue
    /// begins where the one before ends at the earliest, and those without words are left out.
    ///
    /// # Errors
    /// `Unexpected` for times that are no numbers, negative, or end before they begin.
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

    /// Adds the language.
    #[must_use]
    pub fn with_language(mut self, language: Option<String>) -> Self {
        self.language = language;
        self
    }
}

/// Writes down what is said in an audio file.
///
/// # Contract
/// Cues in order of time that do not overlap, each with words; times are seconds from the start of the file. A file in which
/// nothing is said gives no cue and is no error. Audio is never cut in silence: what is too long is refused.
///
/// # Errors
/// `NotFound` or `Unavailable` where the file cannot be read; `InvalidInput` for a file that is no audio, or too long;
/// `Unavailable`, `Timeout` or `RateLimited`, with a retry hint, where the model cannot be reached or is busy;
/// `FailedPrecondition` where a program is not installed; `Unexpected` for an answer without times.
///
/// # Cancellation
/// Dropping the future may waste work, ends what it started, and leaves no state behind.
#[async_trait]
pub trait Transcriber: fmt::Debug + Send + Sync + 'static {
    /// Who transcribes.
    fn info(&self) -> &TranscriberInfo;

    /// What is said in a file.
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
