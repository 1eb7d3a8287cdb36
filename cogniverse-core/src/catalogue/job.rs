//! Records of ingest jobs.

use cogniverse_foundation::telemetry::TraceId;
use cogniverse_sdk::{Error, ErrorCode, PageCursor, ProfileName, PublicError, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// The time without a sign of life after which a job is taken for interrupted.
pub(crate) const LOST: Duration = Duration::from_secs(60);
/// The number of jobs of a tenant that are kept.
pub(crate) const KEPT: usize = 500;

/// The id of an ingest job: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    pub(crate) fn random() -> Self {
        Self(TraceId::random().to_string())
    }

    /// Parses an id.
    ///
    /// # Errors
    /// `InvalidInput` for anything but 32 hexadecimal digits in lower case.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        match text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            true => Ok(Self(text)),
            false => Err(Error::of(ErrorCode::NameInvalid, "a job's id has 32 hexadecimal digits")),
        }
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for JobId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

/// The state of an ingest job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// It is at work.
    Running,
    /// Everything is stored.
    Done,
    /// It ended, and not everything is stored.
    Incomplete,
    /// It could not go on; the error says why.
    Failed,
    /// It was cancelled. What was stored stays.
    Cancelled,
    /// Its process ended, or has given no sign of life for a minute. What was stored stays; ingesting again goes on from there.
    Interrupted,
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        })
    }
}

/// An ingest job, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// The id.
    pub id: JobId,
    /// The profile that is ingested into.
    pub profile: ProfileName,
    /// The source, for people.
    pub source: String,
    /// The state.
    pub state: JobState,
    /// The time of its start.
    pub started_at: Timestamp,
    /// The time of the last change or sign of life.
    pub changed_at: Timestamp,
    /// The number of videos that were found; 0 while that is not known.
    pub videos: usize,
    /// The number of videos that are finished, whatever became of them.
    pub finished: usize,
    /// The number of these that failed, in whole or in part.
    pub failed: usize,
    /// The number of segments that were stored or found.
    pub segments: usize,
    /// The error that ended a failed job, as a customer may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<PublicError>,
}

impl JobRecord {
    pub(crate) fn new(profile: ProfileName, source: String, now: Timestamp) -> Self {
        Self {
            id: JobId::random(),
            profile,
            source,
            state: JobState::Running,
            started_at: now,
            changed_at: now,
            videos: 0,
            finished: 0,
            failed: 0,
            segments: 0,
            error: None,
        }
    }

    /// Returns the record with the state of a job whose process is gone.
    pub(super) fn seen_at(mut self, now: Timestamp) -> Self {
        let silent = now.as_millisecond().saturating_sub(self.changed_at.as_millisecond());
        if self.state == JobState::Running && u128::from(silent.max(0).unsigned_abs()) > LOST.as_millis() {
            self.state = JobState::Interrupted;
        }
        self
    }
}

/// A page of a tenant's jobs, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobRecord>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<PageCursor>,
}

impl JobPage {
    pub(super) fn new(jobs: Vec<JobRecord>, next: Option<PageCursor>) -> Self {
        Self { jobs, next }
    }
}
