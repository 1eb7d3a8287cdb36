//! The work of a search, counted so that its clock is looked at often enough.

use cogniverse_sdk::{Error, ErrorCode, Result, StrategyName, TenantSchema};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// The number of multiply-adds between checks of the clock: about a millisecond of one core.
const STRIDE: usize = 4 << 20;
/// The cost of looking up a word in a block, in multiply-adds.
pub(super) const LOOKUP: usize = 256;
/// The cost of one posting, in multiply-adds.
pub(super) const POSTING: usize = 16;

/// The end of a search's time.
#[derive(Debug)]
pub(super) struct Clock {
    /// The deadline; `None` for no limit.
    pub(super) deadline: Option<Instant>,
    pub(super) cancelled: Arc<AtomicBool>,
    /// The schema and the strategy, for the error.
    pub(super) of: (TenantSchema, StrategyName),
}

impl Clock {
    /// Fails where the deadline has passed or the caller has gone.
    fn check(&self) -> Result<()> {
        let gave_up = self.cancelled.load(Ordering::Relaxed);
        if gave_up || self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Error::of(
                ErrorCode::SearchTimeout,
                "the search took longer than its timeout; narrow it by a filter, or give it more time",
            )
            .with_context("schema", &self.of.0)
            .with_context("strategy", &self.of.1));
        }
        Ok(())
    }
}

/// The work that one core does for a search.
#[derive(Debug)]
pub(crate) struct Meter<'p> {
    clock: &'p Clock,
    /// The number of multiply-adds until the next check of the clock.
    left: Cell<usize>,
}

impl<'p> Meter<'p> {
    pub(super) fn new(clock: &'p Clock) -> Self {
        Self { clock, left: Cell::new(STRIDE) }
    }

    /// Charges work, in multiply-adds, and checks the clock often enough to stop soon after the deadline.
    #[inline]
    pub(crate) fn spend(&self, work: usize) -> Result<()> {
        match self.left.get().checked_sub(work) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(STRIDE);
                self.check_time()?;
            }
        }
        Ok(())
    }

    /// Fails where the deadline has passed or the caller has gone.
    pub(crate) fn check_time(&self) -> Result<()> {
        self.clock.check()
    }
}
