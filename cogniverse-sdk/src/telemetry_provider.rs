//! Reading, annotating and erasing what was traced.
//!
//! A store of traces holds the spans of many tenants under project names. Every request here names one project, and an
//! id of a span or a trace is looked up in that project before anything is read or written by it: ids alone say nothing
//! about whose they are.

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

/// How many ids, or annotations, one request may hold.
pub const MAX_IDS: usize = 1000;

string_id! {
    /// Where one tenant's traces lie: 1 to 256 characters without `/ ? # %` and control characters, and not `.` or `..`.
    ///
    /// Those characters cannot be part of a path segment that every server and proxy reads in the same way.
    ProjectName, project
}
string_id! {
    /// A trace: 1 to 64 hexadecimal digits.
    TraceId, hexadecimal
}
string_id! {
    /// A span: 1 to 64 hexadecimal digits.
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

/// A half-open stretch of time: `from <= t < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct TimeWindow {
    from: Timestamp,
    to: Timestamp,
}

impl TimeWindow {
    /// From a time up to, and without, another.
    ///
    /// # Errors
    /// `InvalidInput` where `to` is not after `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self> {
        if to <= from {
            return Err(Error::invalid(format!("the time window {from}..{to} is empty; give an end after its start")));
        }
        Ok(Self { from, to })
    }

    /// The hours before a time.
    ///
    /// # Errors
    /// `InvalidInput` for zero hours, or for more than there were.
    pub fn last_hours(now: Timestamp, hours: u32) -> Result<Self> {
        let reach = jiff::SignedDuration::from_secs(i64::from(hours) * 3600);
        let from = now
            .checked_sub(reach)
            .map_err(|e| Error::invalid(format!("there are no {hours} hours before {now}")).with_source(e))?;
        Self::new(from, now)
    }

    /// The first instant.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// The instant after the last.
    #[must_use]
    pub fn to(&self) -> Timestamp {
        self.to
    }

    /// Whether a time lies in it.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// What is known of a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ProjectInfo {
    /// Its name.
    pub name: ProjectName,
    /// Words about it.
    pub description: Option<String>,
}

impl ProjectInfo {
    /// From a store.
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

/// A store of traces, read and judged project by project.
///
/// # Contract
/// - A request reads, writes or erases in the one project that it names. A span or trace of another project is as
///   unknown as one that never was: an id alone opens nothing (invariant 1).
/// - A project that is not there is `NotFound`, never an empty answer; [`TelemetryProvider::find_project`] alone says none.
/// - Pages of one query over a closed window hold each span once, oldest first, to the end.
/// - Writing a judgement of an unknown span is `NotFound` that names it, and then none of the request is written.
/// - An erased project is asked for again until it has been gone for as long as [`Settle`] says, since stores take in
///   spans late; one that will not stay away is `Timeout`.
///
/// # Errors
/// `InvalidInput` as the requests' `check` says; `Unavailable`, `Timeout`, `Unauthenticated`, `PermissionDenied`.
///
/// # Cancellation
/// A dropped read leaves nothing behind. A dropped write or erasure may have happened; both can be asked for again.
#[async_trait]
pub trait TelemetryProvider: fmt::Debug + Send + Sync + 'static {
    /// The project, if it is there.
    async fn find_project(&self, project: &ProjectName) -> Result<Option<ProjectInfo>>;

    /// One page of spans.
    async fn read_spans(&self, query: SpanQuery) -> Result<SpanPage>;

    /// Writes judgements; the same span, name and identifier again replaces.
    async fn annotate_spans(&self, request: AnnotateSpans) -> Result<AnnotateReceipt>;

    /// One page of judgements; each span must be in the project.
    async fn read_annotations(&self, query: AnnotationQuery) -> Result<AnnotationPage>;

    /// Erases a project with all that it holds, and proves it by asking again. One that is not there is proven alike.
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
