//! The source of the current time.

use jiff::Timestamp;
use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

/// A source of the current time that tests can control, so that they need no sleeping.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

const _: fn(&dyn Clock) = |_| {};

/// Longer than any process runs, and short enough to be added to any instant.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Returns the instant at which a call started now times out. Durations above thirty years, such as
/// [`Duration::MAX`], count as thirty years, because `Instant + Duration` panics on overflow.
#[must_use]
pub fn deadline_in(time: Duration) -> Instant {
    deadline_after(Instant::now(), time)
}

/// Returns the deadline of a call that started at `since`, with the same bound as [`deadline_in`].
#[must_use]
pub fn deadline_after(since: Instant, time: Duration) -> Instant {
    since + time.min(FOREVER)
}

/// A clock that reads the system time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that moves only when [`ManualClock::advance`] is called, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millisecond()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
