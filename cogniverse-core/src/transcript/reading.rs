//! The parsed cues of a file, before their times are checked.

/// The number of problems of one file that are listed; others are only counted ([invariant 23](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#23)).
const KEPT: usize = 100;

/// A parsed cue with its line number.
pub(super) struct RawCue {
    pub(super) line: usize,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) lines: Vec<String>,
}

/// The parsed cues of a file, and its problems.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) cues: Vec<RawCue>,
    pub(super) problems: Vec<String>,
    pub(super) count: usize,
    /// The language that the file names.
    pub(super) language: Option<String>,
    /// Whether problems are reported by cue number instead of line.
    numbers: bool,
}

impl Reading {
    pub(super) fn of_numbers() -> Self {
        Self { numbers: true, ..Self::default() }
    }

    pub(super) fn problem(&mut self, place: usize, why: &str) {
        self.count += 1;
        if self.problems.len() < KEPT {
            self.problems.push(format!("{} {place}: {why}", if self.numbers { "segment" } else { "line" }));
        }
    }
}
