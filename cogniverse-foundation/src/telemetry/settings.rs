//! Bounds and times of the pipeline.

use cogniverse_sdk::{Error, Result};
use std::time::Duration;

/// Bounds and times of the pipeline. Each has a default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TelemetrySettings {
    /// Finished spans kept until they are exported, over all tenants (default 65,536). Beyond it a tenant loses spans in favour
    /// of those who have fewer waiting.
    pub max_queued_spans: usize,
    /// Spans exported together (default 2,048).
    pub max_batch_spans: usize,
    /// The longest a finished span waits for others to be exported with (default 1 s).
    pub export_interval: Duration,
    /// The longest pause between two tries of an export that failed (default 30 s).
    pub max_backoff: Duration,
    /// How long a dropped manager waits for the last export (default 5 s).
    pub shutdown_timeout: Duration,
    /// Tenants whose spans are counted by name when they are dropped, and whose settings differ from the default (default
    /// 100,000).
    pub max_tenants: usize,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            max_queued_spans: 65_536,
            max_batch_spans: 2_048,
            export_interval: Duration::from_secs(1),
            max_backoff: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(5),
            max_tenants: 100_000,
        }
    }
}

impl TelemetrySettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Self::max_queued_spans`] and [`Self::max_batch_spans`].
    #[must_use]
    pub fn with_bounds(mut self, queued: usize, batch: usize) -> Self {
        self.max_queued_spans = queued;
        self.max_batch_spans = batch;
        self
    }

    /// Sets [`Self::export_interval`].
    #[must_use]
    pub fn with_export_interval(mut self, interval: Duration) -> Self {
        self.export_interval = interval;
        self
    }

    /// Sets [`Self::max_backoff`].
    #[must_use]
    pub fn with_max_backoff(mut self, pause: Duration) -> Self {
        self.max_backoff = pause;
        self
    }

    /// Sets [`Self::shutdown_timeout`].
    #[must_use]
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.max_queued_spans == 0 || self.max_batch_spans == 0 {
            return Err(Error::invalid("max_queued_spans and max_batch_spans must be at least 1"));
        }
        Ok(())
    }
}
