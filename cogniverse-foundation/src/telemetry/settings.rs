//! Limits and timing of the pipeline.

use cogniverse_sdk::{Error, Result};
use std::time::Duration;

/// The limits and timing of the pipeline.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TelemetrySettings {
    /// The largest number of finished spans waiting for export, over all tenants (default 65,536). Beyond it, the
    /// tenants with the most waiting spans lose some.
    pub max_queued_spans: usize,
    /// The largest number of spans in one export (default 2,048).
    pub max_batch_spans: usize,
    /// The longest a finished span waits for its batch to fill (default 1 s).
    pub export_interval: Duration,
    /// The longest backoff between retries of an export (default 30 s).
    pub max_backoff: Duration,
    /// The longest the last dropped manager waits for the final export (default 5 s).
    pub shutdown_timeout: Duration,
    /// The largest number of tenants with settings other than the default, and of those whose dropped spans are
    /// counted by name (default 100,000).
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
    /// Creates the default settings.
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
