//! The work of a search, counted so that its clock is looked at often enough.

use super::prepare::Prepared;
use cogniverse_sdk::Result;
use std::cell::Cell;

/// The number of multiply-adds between checks of the clock: about a millisecond of one core.
const STRIDE: usize = 4 << 20;
/// The cost of looking up a word in a block, in multiply-adds.
pub(super) const LOOKUP: usize = 256;
/// The cost of one posting, in multiply-adds.
pub(super) const POSTING: usize = 16;

/// The work that one core does for a search.
#[derive(Debug)]
pub(crate) struct Meter<'p> {
    prepared: &'p Prepared,
    /// The number of multiply-adds until the next check of the clock.
    left: Cell<usize>,
}

impl<'p> Meter<'p> {
    pub(crate) fn new(prepared: &'p Prepared) -> Self {
        Self { prepared, left: Cell::new(STRIDE) }
    }

    /// Charges work, in multiply-adds, and checks the clock often enough to stop soon after the deadline.
    #[inline]
    pub(crate) fn spend(&self, work: usize) -> Result<()> {
        match self.left.get().checked_sub(work) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(STRIDE);
                self.prepared.check_time()?;
            }
        }
        Ok(())
    }
}
