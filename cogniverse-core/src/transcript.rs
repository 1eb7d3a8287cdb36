//! Transcripts of videos: `.srt`, `.vtt` and JSON files beside them.

mod beside;
mod cue_form;
mod encoding;
mod json;
mod markup;
mod reading;
mod rolling;
mod subtitles;

use crate::files;
pub use beside::{Beside, FoundTranscript};
pub use cogniverse_sdk::Cue;
use cogniverse_sdk::{Error, Result, TimeRange, Transcription};
pub(crate) use json::is_transcript as is_transcript_json;
use reading::{RawCue, Reading};
use std::path::{Path, PathBuf};

/// The largest transcript file in bytes.
const MAX_FILE: u64 = 64 << 20;
/// A transcript: cues in time order, which may overlap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    cues: Vec<Cue>,
    /// The byte offset of each word of each cue's text.
    words: Vec<Vec<usize>>,
    /// A tree over the cues: the latest end below each node.
    latest: Vec<f64>,
    problems: Vec<String>,
    problem_count: usize,
    /// The language that the file or the model names.
    language: Option<String>,
}

impl Transcript {
    /// Reads a `.srt`, `.vtt` or `.json` file of at most 64 MiB.
    ///
    /// # Errors
    /// `InvalidInput`, with the file, the line and the remedy, where nothing of it can be used: it is not a regular
    /// file, is too large, has another encoding, or has no valid cue; `Unavailable` where it cannot be read. An
    /// invalid cue among valid ones is one of [`Transcript::problems`].
    pub fn read(path: &Path) -> Result<Self> {
        let (text, kind) = read_text(path)?;
        Self::parse(&text, &kind).map_err(|e| e.with_context("file", path.display()))
    }

    /// Reads a model's output file as (start, end, text), whose cues may overlap.
    pub(crate) fn read_parts(path: &Path) -> Result<Vec<(f64, f64, String)>> {
        let (text, kind) = read_text(path)?;
        let read = reading(&text, &kind).map_err(|e| e.with_context("file", path.display()))?;
        match read.problems.first() {
            None => Ok(read.cues.into_iter().map(|cue| (cue.start, cue.end, cue.lines.join(" "))).collect()),
            // A model's answer is whole or none.
            Some(problem) => Err(Error::invalid(problem.clone()).with_context("file", path.display())),
        }
    }

    /// Converts a transcription of a model.
    pub(crate) fn from_transcription(transcription: Transcription) -> Result<Self> {
        let parts = transcription.cues.into_iter().map(|cue| (cue.range.start(), cue.range.end(), cue.text));
        let language = transcription.language;
        Ok(Self { language, ..Self::of(Transcription::from_parts(parts)?.cues) })
    }

    /// Parses the text of a file of a kind: `srt`, `vtt` or `json`.
    ///
    /// # Errors
    /// `InvalidInput`, with the line and the remedy, where no cue is valid.
    pub fn parse(text: &str, kind: &str) -> Result<Self> {
        Self::from_reading(reading(text, kind)?)
    }

    fn from_reading(read: Reading) -> Result<Self> {
        let Reading { cues: raw, problems, count, language, .. } = read;
        let mut cues = Vec::with_capacity(raw.len());
        for RawCue { line, start, end, lines } in raw {
            let range = TimeRange::new(start, end).map_err(|e| {
                Error::invalid(format!("the times of the cue at line {line} cannot be used")).with_source(e)
            })?;
            let text = lines.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ");
            if !text.is_empty() {
                cues.push(Cue { range, text });
            }
        }
        match problems.first() {
            Some(problem) if cues.is_empty() => Err(Error::invalid(format!("no cue can be read; {problem}"))),
            _ => Ok(Self { problems, problem_count: count, language, ..Self::of(cues) }),
        }
    }

    fn of(mut cues: Vec<Cue>) -> Self {
        cues.sort_by(|a, b| a.range.start().total_cmp(&b.range.start()));
        let starts = |cue: &Cue| std::iter::once(0).chain(cue.text.match_indices(' ').map(|(at, _)| at + 1)).collect();
        let words = cues.iter().map(starts).collect();
        let leaves = cues.len().next_power_of_two();
        let mut latest = vec![f64::NEG_INFINITY; leaves * 2];
        for (slot, cue) in latest.iter_mut().skip(leaves).zip(&cues) {
            *slot = cue.range.end();
        }
        for node in (1..leaves).rev() {
            let below = |node: usize| latest.get(node).copied().unwrap_or(f64::NEG_INFINITY);
            let end = below(node * 2).max(below(node * 2 + 1));
            if let Some(slot) = latest.get_mut(node) {
                *slot = end;
            }
        }
        Self { cues, words, latest, problems: Vec::new(), problem_count: 0, language: None }
    }

    /// Returns the cues in time order.
    #[must_use]
    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// Returns the language, where the name of the file, its content or the model that made it names one.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// Returns the first hundred invalid cues with the reasons, by their line and times in the file.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns the number of invalid cues.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problem_count
    }

    /// Finds the transcript beside a video, as [`Beside::find`] does for any language.
    ///
    /// # Errors
    /// Those of [`Beside::find`]. A missing file is not an error.
    pub fn find_beside(video: &Path) -> Result<Option<(PathBuf, Self)>> {
        Ok(Beside::default().find(video, None)?.transcript)
    }

    /// Returns the words spoken within a time range. The words of a cue share its time evenly, and each belongs to
    /// the range in which it starts: over consecutive ranges, no word is lost or repeated.
    #[must_use]
    pub fn text_within(&self, range: &TimeRange) -> String {
        let mut said = Vec::new();
        let until = self.cues.partition_point(|cue| cue.range.start() < range.end());
        self.each_ending_after(range.start(), until, &mut |place| {
            let (Some(cue), Some(starts)) = (self.cues.get(place), self.words.get(place)) else { return };
            #[expect(clippy::cast_precision_loss, reason = "words of one cue")]
            let begins =
                |word: usize| cue.range.start() + cue.range.duration() * word as f64 / starts.len().max(1) as f64;
            // Looked up, not gone through: a cue of a million words may last over a thousand stretches.
            let from = first_of(starts.len(), |word| begins(word) >= range.start());
            let to = first_of(starts.len(), |word| begins(word) >= range.end());
            let byte = |word: usize| starts.get(word).copied().unwrap_or(cue.text.len());
            let words = cue.text.get(byte(from)..byte(to)).unwrap_or_default().trim_end();
            if !words.is_empty() {
                said.push(words);
            }
        });
        said.join(" ")
    }

    /// Calls `tell` for each cue before an index that ends at or after a time, in order, skipping the others.
    fn each_ending_after(&self, time: f64, until: usize, tell: &mut impl FnMut(usize)) {
        let leaves = self.latest.len() / 2;
        let mut below = vec![1];
        while let Some(node) = below.pop() {
            if self.latest.get(node).is_none_or(|end| *end < time) {
                continue;
            }
            if node >= leaves {
                let place = node - leaves;
                if place >= until {
                    return;
                }
                tell(place);
            } else {
                below.extend([node * 2 + 1, node * 2]);
            }
        }
    }
}

/// Returns the first number below `count` for which a monotone predicate holds; else `count`.
fn first_of(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Reads the text and the kind of a transcript file.
fn read_text(path: &Path) -> Result<(String, String)> {
    let bytes = files::read_bounded("the transcript", path, MAX_FILE)?;
    let text = encoding::decode(bytes).map_err(|e| e.with_context("file", path.display()))?;
    let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    Ok((text, kind))
}

/// Parses the cues of a text.
fn reading(text: &str, kind: &str) -> Result<Reading> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let form = match kind {
        // Not a few files of WebVTT are called SubRip.
        "srt" if text.starts_with("WEBVTT") => cue_form::Form::Vtt,
        "srt" => cue_form::Form::Srt,
        "vtt" => cue_form::Form::Vtt,
        "json" => return json::parse(text),
        other => {
            return Err(Error::invalid(Error::unknown("transcript format", other, ["json", "srt", "vtt"]).message()));
        }
    };
    let mut read = subtitles::parse(text, form)?;
    read.cues.sort_by(|a, b| a.start.total_cmp(&b.start));
    rolling::say_once(&mut read.cues);
    Ok(read)
}

#[cfg(test)]
mod tests;
