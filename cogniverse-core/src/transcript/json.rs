//! Parsing of JSON transcripts: Whisper and its derivatives (`segments`, or a bare or nested list), whisper.cpp
//! (`transcription`), transformers pipelines (`chunks`), YouTube (`events`), youtube-transcript-api (`duration`) and podcasts
//! (`startTime`, `body`).

use super::{
    cue_form,
    reading::{RawCue, Reading},
};
use cogniverse_sdk::{Error, Result, json_problem};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use std::fmt;

/// The keys that hold segments.
const LISTS: [&str; 4] = ["segments", "transcription", "chunks", "events"];

pub(super) fn parse(text: &str) -> Result<Reading> {
    let file: File = serde_json::from_str(&without_nan(text)).map_err(|e| {
        Error::invalid(format!(
            "the JSON is not a transcript ({}); write {{\"segments\": [{{\"start\": 0.0, \"end\": 1.5, \"text\": \"…\"}}]}}",
            json_problem(&e)
        ))
    })?;
    Ok(file.0)
}

/// Returns whether JSON is to be read as a transcript: all but an object that has none of the keys that hold segments.
pub(crate) fn is_transcript(bytes: &[u8]) -> bool {
    struct Keys(bool);
    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            struct Object;
            impl<'de> Visitor<'de> for Object {
                type Value = Keys;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Keys, A::Error> {
                    let mut found = false;
                    while let Some(key) = map.next_key::<String>()? {
                        found |= LISTS.contains(&key.as_str());
                        map.next_value::<IgnoredAny>()?;
                    }
                    Ok(Keys(found))
                }
            }
            deserializer.deserialize_map(Object)
        }
    }
    let text = String::from_utf8_lossy(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes));
    serde_json::from_str::<Keys>(&without_nan(&text)).map_or(true, |keys| keys.0)
}

/// Replaces `NaN` and infinities, which Python writes, by null.
fn without_nan(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    // Outside of strings there are no other words with these letters.
    while let Some(at) = rest.find(['"', 'N', 'I']) {
        let (before, found) = rest.split_at(at);
        made.push_str(before);
        let taken = match ["NaN", "Infinity"].iter().find(|word| found.starts_with(**word)) {
            Some(word) => {
                if made.ends_with('-') {
                    made.pop();
                }
                made.push_str("null");
                word.len()
            }
            None => {
                let length = if found.starts_with('"') { string_length(found) } else { 1 };
                made.push_str(found.get(..length).unwrap_or(found));
                length
            }
        };
        rest = found.get(taken..).unwrap_or_default();
    }
    made.push_str(rest);
    made
}

/// Returns the length in bytes of the string literal at the start of a text.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The cues of a file, parsed incrementally, as the file may be large.
struct File(Reading);

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = File;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transcript")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> std::result::Result<File, A::Error> {
                segments(list).map(File)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<File, A::Error> {
                let (mut found, mut language) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    if LISTS.contains(&key.as_str()) && found.is_none() {
                        found = Some(map.next_value::<List>()?.0);
                    } else if key == "language" || key == "result" {
                        // Whisper names it at the top, whisper.cpp in its result.
                        let value = map.next_value::<Value>()?;
                        language = language.or(value.get("language").unwrap_or(&value).as_str().map(str::to_owned));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                found
                    .map(|mut read: Reading| {
                        read.language = language;
                        File(read)
                    })
                    .ok_or_else(|| A::Error::custom("none of segments, transcription, chunks and events is there"))
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

struct List(Reading);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Segments;
        impl<'de> Visitor<'de> for Segments {
            type Value = List;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of segments")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> std::result::Result<List, A::Error> {
                segments(list).map(List)
            }
        }
        deserializer.deserialize_seq(Segments)
    }
}

/// Parses a list of segments, numbering cues from 1, as JSON has no meaningful lines.
fn segments<'de, A: SeqAccess<'de>>(mut list: A) -> std::result::Result<Reading, A::Error> {
    let mut reading = Reading::of_numbers();
    let mut number = 0;
    while let Some(Segment { start, end, text }) = list.next_element()? {
        number += 1;
        match (start, end, text) {
            (_, _, Some(text)) if text.trim().is_empty() => {}
            (Some(start), Some(end), Some(text)) if start <= end && start >= 0.0 => {
                reading.cues.push(RawCue {
                    line: number,
                    start,
                    end,
                    lines: text.lines().map(str::to_owned).collect(),
                });
            }
            (Some(start), Some(end), Some(_)) => {
                reading.problem(number, &format!("it begins at {start} s and ends at {end} s"));
            }
            // A caption's window, and what else has no words, says nothing.
            (Some(_), _, None) => {}
            (_, _, Some(_)) => reading.problem(number, "it has no times"),
            (None, _, None) => reading.problem(number, "it is not a segment"),
        }
    }
    Ok(reading)
}

/// A segment in any of the forms.
#[derive(Default)]
struct Segment {
    start: Option<f64>,
    end: Option<f64>,
    text: Option<String>,
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Piece)
    }
}

struct Piece;

impl<'de> Visitor<'de> for Piece {
    type Value = Segment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a segment")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Segment, A::Error> {
        let mut segment = Segment::default();
        let (mut begins, mut lasts, mut length) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                // The second names are those of podcasts' transcripts.
                "start" | "startTime" => segment.start = map.next_value::<Loose>()?.seconds(),
                "end" | "endTime" => segment.end = map.next_value::<Loose>()?.seconds(),
                "text" | "body" => segment.text = map.next_value::<Loose>()?.text(),
                // youtube-transcript-api, in seconds.
                "duration" => length = map.next_value::<Loose>()?.seconds(),
                // whisper.cpp, in milliseconds.
                "offsets" => {
                    let Span { from, to } = map.next_value()?;
                    (segment.start, segment.end) = (from.map(|ms| ms / 1000.0), to.map(|ms| ms / 1000.0));
                }
                // transformers: the last may have no end.
                "timestamp" => {
                    let times = map.next_value::<Option<Vec<Option<f64>>>>()?.unwrap_or_default();
                    segment.start = times.first().copied().flatten();
                    segment.end = times.get(1).copied().flatten().or(segment.start);
                }
                // YouTube, in milliseconds.
                "tStartMs" => begins = map.next_value::<Loose>()?.number(),
                "dDurationMs" => lasts = map.next_value::<Loose>()?.number(),
                "segs" => {
                    let parts = map.next_value::<Vec<Part>>()?;
                    segment.text = Some(parts.into_iter().filter_map(|part| part.utf8).collect());
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if let Some(begins) = begins {
            segment.start = Some(begins / 1000.0);
            segment.end = Some((begins + lasts.unwrap_or(0.0)) / 1000.0);
        }
        segment.end = segment.end.or(segment.start.zip(length).map(|(start, length)| start + length));
        Ok(segment)
    }

    /// Parses a tuple of faster-whisper: id, seek, start, end, text, and more.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Segment, A::Error> {
        let mut segment = Segment::default();
        while let Some(value) = list.next_element::<Loose>()? {
            match value {
                Loose::Number(number) if segment.text.is_none() => {
                    (segment.start, segment.end) = (segment.end, Some(number));
                }
                Loose::Text(text) if segment.text.is_none() => segment.text = Some(text),
                _ => {}
            }
        }
        Ok(segment)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Segment, E> {
        Ok(Segment::default())
    }
    fn visit_u64<E>(self, _: u64) -> std::result::Result<Segment, E> {
        Ok(Segment::default())
    }
    fn visit_f64<E>(self, _: f64) -> std::result::Result<Segment, E> {
        Ok(Segment::default())
    }
    fn visit_bool<E>(self, _: bool) -> std::result::Result<Segment, E> {
        Ok(Segment::default())
    }
    fn visit_str<E>(self, _: &str) -> std::result::Result<Segment, E> {
        Ok(Segment::default())
    }
    fn visit_unit<E>(self) -> std::result::Result<Segment, E> {
        Ok(Segment::default())
    }
}

#[derive(Deserialize, Default)]
struct Span {
    #[serde(default)]
    from: Option<f64>,
    #[serde(default)]
    to: Option<f64>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    utf8: Option<String>,
}

/// A number, a string, or another value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(f64),
    Text(String),
    Other(IgnoredAny),
}

impl Loose {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Self::Other(_) => None,
        }
    }

    /// Returns seconds, also from `00:01:02,500`.
    fn seconds(&self) -> Option<f64> {
        match self {
            Self::Text(text) if text.contains(':') => cue_form::seconds(text.trim()),
            other => other.number(),
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
