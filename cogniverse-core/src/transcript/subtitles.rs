//! Parsing of SubRip (`.srt`) and WebVTT (`.vtt`).
//!
//! WebVTT is parsed as specified, SubRip as players do. The existing crates either reject a whole file or do not
//! report the line of an invalid cue; here an invalid cue costs only itself.

use super::{
    cue_form::{Form, seconds},
    markup::plain,
    reading::{RawCue, Reading},
};
use cogniverse_sdk::{Error, Result};

/// The separator of the two times.
const ARROW: &str = "-->";

/// Parses the cues of a file in file order, and reports those that are invalid.
///
/// # Errors
/// `InvalidInput` for WebVTT without its header.
pub(super) fn parse(text: &str, form: Form) -> Result<Reading> {
    let mut lines = lines_of(text).zip(1..);
    if form == Form::Vtt {
        let head = lines.next().and_then(|(line, _)| line.strip_prefix("WEBVTT"));
        if !head.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            return Err(Error::invalid("line 1 is not \"WEBVTT\"; a .vtt file begins with it"));
        }
    }
    let mut reader = Reader {
        form,
        reading: Reading::default(),
        open: None,
        block: Block::Head,
        numbered: None,
        number_before: false,
    };
    for (line, number) in lines {
        reader.line(line, number);
    }
    Ok(reader.end())
}

/// Splits lines at CR LF, LF or CR.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The position between cues in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Before the first empty line of WebVTT.
    Head,
    /// After an empty line.
    Start,
    /// After the first line of a block without times so far, with that line's number.
    Named(usize),
    /// In a comment, style or region, or after invalid times.
    Passed,
}

/// A cue whose lines are being read.
struct Open {
    line: usize,
    times: (f64, f64),
    lines: Vec<String>,
    /// Whether an empty line followed it.
    closed: bool,
}

struct Reader {
    form: Form,
    reading: Reading,
    open: Option<Open>,
    block: Block,
    /// Whether the file's cues are numbered, as its first one is.
    numbered: Option<bool>,
    /// Whether the previous line is only a number.
    number_before: bool,
}

impl Reader {
    fn line(&mut self, line: &str, number: usize) {
        let empty = match self.form {
            Form::Vtt => line.is_empty(),
            Form::Srt => line.trim().is_empty(),
        };
        if line.contains(ARROW) || self.is_broken_arrow(line) {
            return self.timing(line, number);
        }
        match (&mut self.open, empty) {
            (Some(open), true) => {
                open.closed = true;
                if self.form == Form::Vtt
                    && let Some(open) = self.open.take()
                {
                    self.take(open, false);
                }
            }
            // SubRip's text goes on behind an empty line until the next times: players show it, and nothing is lost.
            (Some(open), false) => open.lines.push(line.to_owned()),
            (None, true) => {
                self.end_block();
                self.block = Block::Start;
            }
            (None, false) => self.outside(line, number),
        }
    }

    /// Processes a line outside cues.
    fn outside(&mut self, line: &str, number: usize) {
        self.number_before = is_number(line);
        self.block = match self.block {
            Block::Start if self.form == Form::Vtt && is_comment(line) => Block::Passed,
            Block::Start => Block::Named(number),
            Block::Head if self.form == Form::Srt => Block::Named(number),
            other => other,
        };
    }

    /// Ends a block without times: WebVTT allows it, and in both formats it is reported rather than silently skipped.
    fn end_block(&mut self) {
        if let Block::Named(line) = self.block {
            self.reading.problem(line, "no times follow; a cue is written 00:00:01,000 --> 00:00:02,000");
        }
    }

    fn timing(&mut self, line: &str, number: usize) {
        let number_before = self.number_before;
        self.numbered.get_or_insert(number_before);
        if let Some(open) = self.open.take() {
            // In SubRip the number of the next cue stands before its times, with or without an empty line between.
            self.take(open, self.form == Form::Srt);
        }
        let shown = || line.trim().chars().take(60).collect::<String>();
        match times(line) {
            Some((start, end)) if end < start => {
                self.reading.problem(number, &format!("the cue ends before it begins: {}", shown()));
                self.block = Block::Passed;
            }
            Some(times) => {
                self.open = Some(Open { line: number, times, lines: Vec::new(), closed: false });
                self.block = Block::Start;
            }
            // An arrow in a comment.
            None if self.block == Block::Passed || (self.form == Form::Vtt && is_comment(line)) => {
                self.block = Block::Passed;
            }
            None => {
                let why = format!("the times cannot be read: \"{}\"; write 00:00:01,000 --> 00:00:02,000", shown());
                self.reading.problem(number, &why);
                self.block = Block::Passed;
            }
        }
    }

    /// Returns whether a line in place of times is a mistyped one, such as `00:01 -> 00:02`.
    fn is_broken_arrow(&self, line: &str) -> bool {
        let place = match &self.open {
            Some(open) => open.closed,
            None => matches!(self.block, Block::Start | Block::Named(_)),
        };
        place && line.split_once("->").is_some_and(|(start, _)| seconds(start.trim()).is_some())
    }

    fn take(&mut self, open: Open, before_times: bool) {
        let Open { line, times: (start, end), mut lines, .. } = open;
        if before_times && self.numbered == Some(true) && lines.last().is_some_and(|last| is_number(last)) {
            lines.pop();
        }
        let lines = lines.iter().map(|line| plain(line, self.form)).collect();
        self.reading.cues.push(RawCue { line, start, end, lines });
    }

    fn end(mut self) -> Reading {
        match self.open.take() {
            // A number behind an empty line was to begin another cue.
            Some(open) => {
                let cut = self.form == Form::Srt && open.closed;
                self.take(open, cut);
            }
            None => self.end_block(),
        }
        self.reading
    }
}

/// Returns whether a block is a comment, a style or a region of WebVTT.
fn is_comment(line: &str) -> bool {
    ["NOTE", "STYLE", "REGION"]
        .iter()
        .any(|word| line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':'])))
}

fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
}

/// Parses two times; settings after them are ignored.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once(ARROW)?;
    let end = rest.split_whitespace().next()?;
    Some((seconds(start.trim())?, seconds(end)?))
}
