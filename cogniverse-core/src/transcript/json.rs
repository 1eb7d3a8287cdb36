//! JSON transcripts: Whisper's `{"segments": [{"start", "end", "text"}]}`, or the bare list.

use super::RawCue;
use cogniverse_sdk::{Error, Result};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Whole { segments: Vec<Segment> },
    List(Vec<Segment>),
}

#[derive(Deserialize)]
struct Segment {
    start: f64,
    end: f64,
    text: String,
}

pub(super) fn parse(text: &str) -> Result<Vec<RawCue>> {
    let file: File = serde_json::from_str(text).map_err(|e| {
        Error::invalid(
            "the JSON is no transcript; write {\"segments\": [{\"start\": 0.0, \"end\": 1.5, \"text\": \"…\"}]}",
        )
        .with_source(e)
    })?;
    let (File::Whole { segments } | File::List(segments)) = file;
    // JSON has no lines of its own: the number is that of the segment.
    Ok(segments
        .into_iter()
        .zip(1..)
        .map(|(s, line)| RawCue { line, start: s.start, end: s.end, text: s.text })
        .collect())
}
