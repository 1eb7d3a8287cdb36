//! Where times come from.

use jiff::Timestamp;
use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

/// Where times come from, so that tests need no sleeping.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

const _: fn(&dyn Clock) = |_| {};

/// Longer than any process runs, and short enough to be added to any instant.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The instant after which a call gives up. Times beyond thirty years, such as [`Duration::MAX`], are thirty years: an
/// instant cannot hold more, and `Instant + Duration` panics.
#[must_use]
pub fn deadline_in(time: Duration) -> Instant {
    deadline_after(Instant::now(), time)
}

/// As [`deadline_in`], counted from another instant.
#[must_use]
pub fn deadline_after(since: Instant, time: Duration) -> Instant {
    since + time.min(FOREVER)
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at a time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millisecond()))
    }

    /// Moves on.
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
