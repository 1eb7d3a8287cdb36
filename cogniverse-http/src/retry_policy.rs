//! Retry policies.

use backon::ExponentialBuilder;
use std::time::Duration;

/// A policy of retries with exponential backoff. The pauses double from the first to the longest, with up to as much
/// again of random jitter, so that clients refused together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The number of attempts, at least 1 (default 4).
    pub attempts: u32,
    /// The first pause (default 100 ms).
    pub first_pause: Duration,
    /// The longest pause (default 5 s). A server that asks for a longer one is not asked again: its refusal is the answer.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(5) }
    }
}

impl RetryPolicy {
    /// Sets [`Self::attempts`].
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets [`Self::first_pause`] and [`Self::longest_pause`].
    #[must_use]
    pub fn with_pauses(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_pause, self.longest_pause) = (first, longest.max(first));
        self
    }

    pub(crate) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.first_pause)
            .with_max_delay(self.longest_pause)
            .with_max_times(self.attempts.saturating_sub(1) as usize)
    }
}
