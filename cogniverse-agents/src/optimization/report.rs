//! Options, reports and the status of an optimization.

use super::state::OptimizationCounts;
use cogniverse_foundation::Evidence;
use cogniverse_sdk::{Error, Result, TenantId, Timestamp};
use serde::Serialize;
use std::{fmt, time::Duration};

/// Options of an optimization.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct OptimizationOptions {
    /// The interval at which spans are looked at (default 15 minutes).
    pub span_evaluation: Duration,
    /// The interval at which a judge is asked (default 30 minutes).
    pub annotation: Duration,
    /// The interval at which annotations are read back and something is learned (default 15 minutes).
    pub feedback: Duration,
    /// The interval at which a report is logged (default 5 minutes).
    pub report: Duration,
    /// The confidence below which a route needs a judgement (default 0.6).
    pub confidence_threshold: f64,
    /// The number of judgements, of people, judges or by what users did, from which anything is learned (default 50).
    pub min_annotations: u64,
    /// The expected gain of reward from which a change is made, and the loss at which it is taken back (default 0.05).
    pub improvement_threshold: f64,
    /// The time between two changes (default a day).
    pub between_changes: Duration,
    /// The largest number of judgements that a judge is asked for at a time (default 50; 0 asks none).
    pub max_judgements: usize,
}

impl Default for OptimizationOptions {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            span_evaluation: minutes(15),
            annotation: minutes(30),
            feedback: minutes(15),
            report: minutes(5),
            confidence_threshold: 0.6,
            min_annotations: 50,
            improvement_threshold: 0.05,
            between_changes: minutes(24 * 60),
            max_judgements: 50,
        }
    }
}

impl OptimizationOptions {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Validates the options.
    ///
    /// # Errors
    /// `InvalidInput` for an interval below a second or above a year, and for a threshold outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        let intervals = [self.span_evaluation, self.annotation, self.feedback, self.report];
        let bounds = Duration::from_secs(1)..=Duration::from_secs(366 * 86_400);
        if let Some(wrong) = intervals.iter().find(|interval| !bounds.contains(interval)) {
            return Err(Error::invalid(format!("an interval of {wrong:?} is out of bounds; give 1 s to a year")));
        }
        if self.between_changes > *bounds.end() {
            return Err(Error::invalid("the time between changes is above a year; disable the optimization instead"));
        }
        let thresholds = [self.confidence_threshold, self.improvement_threshold];
        if let Some(wrong) = thresholds.iter().find(|threshold| !(0.0..=1.0).contains(*threshold)) {
            return Err(Error::invalid(format!("a threshold of {wrong} is out of bounds; give 0 to 1")));
        }
        Ok(())
    }

    /// Sets the intervals at which spans are looked at, a judge is asked, and annotations are read back.
    #[must_use]
    pub fn with_intervals(mut self, span_evaluation: Duration, annotation: Duration, feedback: Duration) -> Self {
        (self.span_evaluation, self.annotation, self.feedback) = (span_evaluation, annotation, feedback);
        self
    }

    /// Sets the number of judgements from which anything is learned.
    #[must_use]
    pub fn with_min_annotations(mut self, count: u64) -> Self {
        self.min_annotations = count;
        self
    }

    /// Sets the expected gain of reward from which a change is made.
    #[must_use]
    pub fn with_improvement_threshold(mut self, gain: f64) -> Self {
        self.improvement_threshold = gain;
        self
    }

    /// Sets the time between two changes.
    #[must_use]
    pub fn with_time_between_changes(mut self, time: Duration) -> Self {
        self.between_changes = time;
        self
    }

    /// Sets the largest number of judgements that a judge is asked for at a time; 0 asks none.
    #[must_use]
    pub fn with_max_judgements(mut self, count: usize) -> Self {
        self.max_judgements = count;
        self
    }
}

/// The outcome of a look at a tenant's experiences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OptimizationOutcome {
    /// The tenant's configuration has no automatic optimization.
    Disabled,
    /// There are too few judgements.
    TooFew {
        /// The number of judgements.
        have: u64,
        /// The number that is needed.
        need: u64,
    },
    /// A change was made, or something was learned, not long ago.
    TooSoon {
        /// The moment from which the next one may be.
        until: Timestamp,
    },
    /// The best change is not good enough.
    NoGain {
        /// The reward that is expected now.
        before: f64,
        /// The reward that is expected with it.
        after: f64,
    },
    /// The configuration was changed.
    Changed {
        /// Its new version.
        version: u64,
        /// The reward that was expected before.
        before: f64,
        /// The reward that is expected now.
        after: f64,
    },
    /// A change was taken back.
    RolledBack {
        /// The version of the configuration that is in force now.
        version: u64,
        /// The reward by what users did, before the change.
        expected: f64,
        /// The same since it.
        found: f64,
    },
}

/// The report of one run of an optimization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OptimizationReport {
    /// The number of spans of searches that were seen for the first time.
    pub spans_evaluated: u64,
    /// The number of judgements that a judge was asked for.
    pub annotations_requested: u64,
    /// The number of judgements that it gave.
    pub annotations_completed: u64,
    /// The number of annotations that were read back and were new.
    pub annotations_read: u64,
    /// The outcome of learning.
    pub outcome: OptimizationOutcome,
}

/// The state of a tenant's optimization.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OptimizationStatus {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether this orchestrator runs.
    pub running: bool,
    /// Whether another one runs, in this process or another.
    pub running_elsewhere: bool,
    /// The number of experiences.
    pub experiences: u64,
    /// The number of them whose route somebody judged, by words or by what users did.
    pub judged: u64,
    /// The number of routes that need a judgement.
    pub queued: u64,
    /// The counts over the tenant's life.
    pub counts: OptimizationCounts,
    /// The mean reward of the last experiences, from 0 to 1; `None` without any.
    pub recent_reward: Option<f64>,
    /// The evidence of the change that is in force.
    pub in_force: Option<Evidence>,
    /// The moment of the last change, or of its being taken back.
    pub last_optimization: Option<Timestamp>,
    /// The failure of a step, as its code, which its next turn has not mended; `None` where the last turn of each succeeded.
    pub last_error: Option<String>,
}

impl fmt::Display for OptimizationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = match (self.running, self.running_elsewhere) {
            (true, _) => "runs here",
            (false, true) => "runs elsewhere",
            (false, false) => "does not run",
        };
        writeln!(f, "optimization of {}: {runs}", self.tenant)?;
        let OptimizationCounts {
            optimizations,
            rollbacks,
            annotations_completed,
            annotations_read,
            spans_evaluated,
            ..
        } = self.counts;
        writeln!(
            f,
            "  {} experiences, {} judged, {} wait for a judgement; {spans_evaluated} spans seen",
            self.experiences, self.judged, self.queued
        )?;
        writeln!(f, "  {annotations_completed} judgements by a model, {annotations_read} annotations read back")?;
        write!(f, "  {optimizations} changes, {rollbacks} taken back")?;
        if let Some(reward) = self.recent_reward {
            write!(f, "; recent reward {reward:.3}")?;
        }
        if let Some(error) = &self.last_error {
            write!(f, "; the last step failed: {error}")?;
        }
        Ok(())
    }
}
