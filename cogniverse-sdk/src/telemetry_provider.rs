//! The role that reads, annotates and erases traces.
//!
//! A trace store holds the spans of many tenants, separated by project name. Every request names one project, and the
//! id of a span or a trace is looked up in that project before anything is read or written by it: an id alone does
//! not say who owns it.

mod annotation;
mod erasure;
mod span;
mod words;

use crate::{Error, Result, Timestamp, id::string_id};
use async_trait::async_trait;
use std::fmt;

pub use annotation::{
    AnnotateReceipt, AnnotateSpans, AnnotationPage, AnnotationQuery, SpanAnnotation, StoredAnnotation,
};
pub use erasure::{ErasureReceipt, Settle};
pub use span::{Continuation, Span, SpanEvent, SpanPage, SpanQuery};
pub use words::{AnnotatorKind, SpanKind, SpanStatus};

/// The largest number of ids or annotations in one request.
pub const MAX_IDS: usize = 1000;

string_id! {
    /// The name of a project, which holds one tenant's traces: 1 to 256 characters without `/ ? # %` and control
    /// characters, and not `.` or `..`.
    ///
    /// The excluded characters are not read alike by every server and proxy in a path segment.
    ProjectName, project
}
string_id! {
    /// The id of a trace: 1 to 64 hexadecimal digits.
    TraceId, hexadecimal
}
string_id! {
    /// The id of a span: 1 to 64 hexadecimal digits.
    SpanId, hexadecimal
}

fn project(text: &str) -> Result<(), &'static str> {
    match text.chars().count() {
        0 => return Err("it is empty"),
        1..=256 => {}
        _ => return Err("it is longer than 256 characters"),
    }
    if text.contains(['/', '?', '#', '%']) {
        return Err("it has one of / ? # %");
    }
    if text.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    if matches!(text, "." | "..") { Err("it is a step in a path") } else { Ok(()) }
}

fn hexadecimal(text: &str) -> Result<(), &'static str> {
    if !(1..=64).contains(&text.len()) {
        return Err("it is not 1 to 64 characters long");
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) { Ok(()) } else { Err("it has a character outside [0-9a-fA-F]") }
}

/// A half-open time window: `from <= t < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Bounds")]
pub struct TimeWindow {
    from: Timestamp,
    to: Timestamp,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    from: Timestamp,
    to: Timestamp,
}

impl TryFrom<Bounds> for TimeWindow {
    type Error = Error;
    fn try_from(bounds: Bounds) -> Result<Self> {
        Self::new(bounds.from, bounds.to)
    }
}

impl TimeWindow {
    /// Creates a window from `from`, inclusive, to `to`, exclusive.
    ///
    /// # Errors
    /// `InvalidInput` where `to` is not after `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self> {
        if to <= from {
            return Err(Error::invalid(format!("the time window {from}..{to} is empty; give an end after its start")));
        }
        Ok(Self { from, to })
    }

    /// Returns the window of the given number of hours before `now`.
    ///
    /// # Errors
    /// `InvalidInput` for zero hours, and where the window would start before the earliest timestamp.
    pub fn last_hours(now: Timestamp, hours: u32) -> Result<Self> {
        let reach = jiff::SignedDuration::from_secs(i64::from(hours) * 3600);
        let from = now
            .checked_sub(reach)
            .map_err(|e| Error::invalid(format!("there are no {hours} hours before {now}")).with_source(e))?;
        Self::new(from, now)
    }

    /// Returns the inclusive start.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// Returns the exclusive end.
    #[must_use]
    pub fn to(&self) -> Timestamp {
        self.to
    }

    /// Returns whether a time lies within the window.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// A description of a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ProjectInfo {
    /// The name.
    pub name: ProjectName,
    /// The description.
    pub description: Option<String>,
}

impl ProjectInfo {
    /// Creates a description; for implementations.
    #[must_use]
    pub fn new(name: ProjectName, description: Option<String>) -> Self {
        Self { name, description }
    }
}

fn check_page_size(page_size: usize) -> Result<()> {
    if (1..=1000).contains(&page_size) {
        return Ok(());
    }
    Err(Error::invalid(format!("page size {page_size} is out of bounds; give 1 to 1000")))
}

fn check_count(what: &str, count: usize) -> Result<()> {
    if count <= MAX_IDS {
        return Ok(());
    }
    Err(Error::invalid(format!("{count} {what} in one request; give at most {MAX_IDS}")))
}

/// A trace store, accessed project by project.
///
/// # Contract
/// - A request reads, writes or erases only in the project that it names. A span or trace of another project is
///   reported like one that never existed: an id alone selects nothing ([invariant 6](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#6)).
/// - A project that does not exist is `NotFound`, never an empty answer; only [`TelemetryProvider::find_project`]
///   returns `None`.
/// - The pages of one query over a closed window return each span once, oldest first.
/// - An annotation of an unknown span is `NotFound` that names the span, and then nothing of the request is written.
/// - An erasure checks until the project has been absent for as long as [`Settle`] requires, since stores ingest
///   spans late; a project that keeps coming back is `Timeout`.
///
/// # Errors
/// `InvalidInput` for what the requests' `check` refuses; `Unavailable`, `Timeout`, `Unauthenticated`,
/// `PermissionDenied`.
///
/// # Cancellation
/// A read whose future is dropped leaves no state behind. A dropped write or erasure may have been applied; both can
/// be repeated.
#[async_trait]
pub trait TelemetryProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the project, or `None` where it does not exist.
    async fn find_project(&self, project: &ProjectName) -> Result<Option<ProjectInfo>>;

    /// Returns one page of spans.
    async fn read_spans(&self, query: SpanQuery) -> Result<SpanPage>;

    /// Writes annotations; each replaces an earlier one of the same span, name and identifier.
    async fn annotate_spans(&self, request: AnnotateSpans) -> Result<AnnotateReceipt>;

    /// Returns one page of annotations; every span of the query must be in the project.
    async fn read_annotations(&self, query: AnnotationQuery) -> Result<AnnotationPage>;

    /// Erases a project with all its spans and verifies that it stays absent. A project that does not exist is
    /// verified alike.
    async fn erase_project(&self, project: &ProjectName, settle: Settle) -> Result<ErasureReceipt>;
}

const _: fn(&dyn TelemetryProvider) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_fit_a_path_segment() {
        for good in ["a", "acme:prod", "prod ~ acme", "é東", &"x".repeat(256)] {
            assert!(ProjectName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a?b", "a#b", "a%2Fb", "a\nb", "a\0", ".", "..", &"x".repeat(257)] {
            let error = Error::from(ProjectName::parse(bad).unwrap_err());
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{bad}");
        }
        assert!(serde_json::from_str::<ProjectName>("\"a/b\"").is_err());
    }

    #[test]
    fn ids_are_hexadecimal() {
        assert!(TraceId::parse("0123456789abcdefABCDEF").is_ok());
        for bad in ["", "VHJhY2U6MTIz", "12 34", &"a".repeat(65)] {
            assert!(SpanId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_are_not_empty() {
        let t = Timestamp::from_second(1000).unwrap();
        assert!(TimeWindow::new(t, t).is_err());
        assert!(TimeWindow::last_hours(t, 0).is_err());
        let window = TimeWindow::last_hours(t, 2).unwrap();
        assert!(window.contains(window.from()) && !window.contains(t));
    }
}
