//! What is said in a video, and when: `.srt`, `.vtt` and JSON files beside it.

mod json;
mod subtitles;

pub use cogniverse_sdk::Cue;
use cogniverse_sdk::{Error, ErrorKind, Result, TimeRange, Transcription};
use std::path::{Path, PathBuf};

/// Seconds by which two cues may overlap: what rounding to milliseconds, or a player's fade, leaves.
const SLACK: f64 = 0.05;
/// The largest transcript file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// What is said, in order of time; cues do not overlap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    cues: Vec<Cue>,
}

/// A cue as read, with the line it stands on.
struct RawCue {
    line: usize,
    start: f64,
    end: f64,
    text: String,
}

impl Transcript {
    /// Reads a `.srt`, `.vtt` or `.json` file.
    ///
    /// # Errors
    /// `InvalidInput` that names the file, the line and the remedy; `Unavailable` where it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let (text, kind) = read_text(path)?;
        Self::parse(&text, &kind).map_err(|e| e.with_context("file", path.display()))
    }

    /// Reads a file of a model, whose cues may overlap: (start, end, text), as they stand.
    pub(crate) fn read_parts(path: &Path) -> Result<Vec<(f64, f64, String)>> {
        let (text, kind) = read_text(path)?;
        let raw = raw_cues(&text, &kind).map_err(|e| e.with_context("file", path.display()))?;
        Ok(raw.into_iter().map(|cue| (cue.start, cue.end, cue.text)).collect())
    }

    /// What a model heard.
    pub(crate) fn from_transcription(transcription: Transcription) -> Result<Self> {
        let parts = transcription.cues.into_iter().map(|cue| (cue.range.start(), cue.range.end(), cue.text));
        Ok(Self { cues: Transcription::from_parts(parts)?.cues })
    }
    /// Reads the text of a file of a kind: `srt`, `vtt` or `json`.
    ///
    /// # Errors
    /// `InvalidInput` that names the line and the remedy.
    pub fn parse(text: &str, kind: &str) -> Result<Self> {
        Self::from_cues(raw_cues(text, kind)?)
    }

    fn from_cues(raw: Vec<RawCue>) -> Result<Self> {
        let mut cues: Vec<Cue> = Vec::with_capacity(raw.len());
        let mut before: Option<(usize, f64)> = None;
        for mut cue in raw {
            let line = cue.line;
            if let Some((earlier, end)) = before {
                if cue.start < end - SLACK {
                    return Err(Error::invalid(format!(
                        "the cue at line {line} begins at {:.3} s, before the one at line {earlier} ends at {end:.3} s; \
                         correct the times so that cues do not overlap",
                        cue.start
                    )));
                }
                cue.start = cue.start.max(end);
                cue.end = cue.end.max(cue.start);
            }
            let range = TimeRange::new(cue.start, cue.end).map_err(|e| {
                Error::invalid(format!("the cue at line {line} ends before it begins, or has no times; correct it"))
                    .with_source(e)
            })?;
            before = Some((line, cue.end));
            let text = cue.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() {
                cues.push(Cue { range, text });
            }
        }
        Ok(Self { cues })
    }

    /// The cues, in order of time.
    #[must_use]
    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// The transcript beside a video: the same name with `.srt`, else `.vtt`, else `.json`.
    ///
    /// # Errors
    /// As [`Transcript::read`]. No file beside it is no error.
    pub fn find_beside(video: &Path) -> Result<Option<(PathBuf, Self)>> {
        for kind in ["srt", "vtt", "json"] {
            let path = video.with_extension(kind);
            if path.try_exists().unwrap_or(true) {
                return Self::read(&path).map(|transcript| Some((path, transcript)));
            }
        }
        Ok(None)
    }

    /// What is said within a stretch. The words of a cue share its time evenly, and each word belongs to the stretch in
    /// which it begins: over stretches that follow each other, no word is lost or said twice.
    #[must_use]
    pub fn text_within(&self, range: &TimeRange) -> String {
        let first = self.cues.partition_point(|cue| cue.range.end() < range.start());
        let mut said = Vec::new();
        for cue in self.cues.iter().skip(first).take_while(|cue| cue.range.start() < range.end()) {
            let words: Vec<&str> = cue.text.split(' ').collect();
            #[expect(clippy::cast_precision_loss, reason = "words of one cue")]
            let begins = |index: usize| cue.range.start() + cue.range.duration() * index as f64 / words.len() as f64;
            said.extend(
                words
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| (range.start()..range.end()).contains(&begins(*index)))
                    .map(|(_, word)| *word),
            );
        }
        said.join(" ")
    }
}

/// The text of a transcript file, and its kind.
fn read_text(path: &Path) -> Result<(String, String)> {
    let unreadable = |e: std::io::Error| {
        Error::new(ErrorKind::Unavailable, format!("the transcript {} cannot be read; check the file", path.display()))
            .with_source(e)
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(Error::invalid(format!(
            "the transcript {} has {size} bytes; at most {MAX_FILE} are read",
            path.display()
        )));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        Error::invalid(format!("the transcript {} is not UTF-8; save it as UTF-8", path.display())).with_source(e)
    })?;
    let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    Ok((text, kind))
}

/// The cues of a text as they stand.
fn raw_cues(text: &str, kind: &str) -> Result<Vec<RawCue>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match kind {
        "srt" => subtitles::parse(text, subtitles::Form::Srt),
        "vtt" => subtitles::parse(text, subtitles::Form::Vtt),
        "json" => json::parse(text),
        other => Err(Error::invalid(Error::unknown("transcript format", other, ["json", "srt", "vtt"]).message())),
    }
}

#[cfg(test)]
mod tests;
