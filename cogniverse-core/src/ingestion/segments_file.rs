//! Segments files: one JSON object per line.

use super::document::{Keeps, Segment};
use crate::{files, text::Language};
use cogniverse_sdk::{
    Error, ErrorCode, Matrix, Metadata, Result, TimeRange, VideoId, json_problem, tensor::check_finite,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// The longest line in bytes: more than 4,000 vectors of 1,024 floats as text.
const MAX_LINE: u64 = 64 << 20;

/// The byte order mark that some programs write.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// A reader of segments files of any length, line by line.
pub(super) struct SegmentsFile {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
    /// The number of bytes read.
    pub(super) read: u64,
    /// The size of the file in bytes.
    pub(super) size: u64,
}

#[derive(Deserialize)]
struct Line {
    video_id: String,
    segment_id: i64,
    start_time: f64,
    end_time: f64,
    #[serde(default)]
    segment_description: String,
    #[serde(default)]
    audio_transcript: String,
    #[serde(default)]
    screen_text: String,
    #[serde(default)]
    video_title: Option<String>,
    #[serde(default)]
    source_url: String,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    embedding: Option<Vec<Vec<f32>>>,
}

/// A segment of a line, with the metadata as it was written.
pub(super) struct LineSegment {
    pub(super) segment: Segment,
    pub(super) metadata: BTreeMap<String, serde_json::Value>,
}

/// A line that is not a segment.
pub(super) struct BadLine {
    pub(super) name: String,
    pub(super) error: Error,
}

impl SegmentsFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, size) = files::open_regular("the segment file", path)?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), line: 0, read: 0, size })
    }

    /// Returns the next segment, or the error of the next line; `None` at the end. Blocking.
    pub(super) fn next(&mut self) -> Result<Option<Result<LineSegment, BadLine>>> {
        loop {
            let mut bytes = Vec::new();
            let mut limited = Read::by_ref(&mut self.reader).take(MAX_LINE);
            let read = limited.read_until(b'\n', &mut bytes).map_err(|e| {
                Error::of(
                    ErrorCode::FileUnreadable,
                    format!("the segment file {} cannot be read on", self.path.display()),
                )
                .with_source(e)
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.read += read as u64;
            if self.line == 1 && bytes.starts_with(MARK) {
                bytes.drain(..MARK.len());
            }
            let name = format!("{}:{}", self.path.display(), self.line);
            if read as u64 == MAX_LINE {
                return Err(Error::invalid(format!(
                    "{name} is longer than {MAX_LINE} bytes; write one segment a line"
                )));
            }
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Ok(Some(segment(&bytes).map_err(|error| BadLine { name, error })));
        }
    }
}

fn segment(bytes: &[u8]) -> Result<LineSegment> {
    let line: Line = serde_json::from_slice(bytes).map_err(|e| {
        let why = json_problem(&e);
        Error::invalid(format!("no segment: {why}; write an object with video_id, segment_id, start_time and end_time"))
    })?;
    let video_id = VideoId::parse(&line.video_id)?;
    let vectors = line.embedding.map(|rows| Matrix::from_rows(&rows)).transpose()?;
    if let Some(vectors) = &vectors {
        check_finite(vectors.cells())?;
    }
    let segment = Segment {
        title: line.video_title.unwrap_or(line.video_id),
        video_id,
        segment_id: line.segment_id,
        range: TimeRange::new(line.start_time, line.end_time)?,
        source_url: line.source_url,
        description: line.segment_description,
        transcript: line.audio_transcript,
        language: line.language.map(|language| Language::parse(&language)).transpose()?.map(|own| own.to_string()),
        screen_text: line.screen_text,
        recorded_at: None,
        metadata: Metadata::new(),
        vectors,
        keeps: Keeps::default(),
    };
    Ok(LineSegment { segment, metadata: line.metadata })
}
