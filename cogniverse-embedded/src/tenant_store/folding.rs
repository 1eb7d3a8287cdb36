//! Work on blocks: writing documents to block files, and merging those.

use super::{Published, TenantStore};
use crate::index::{Block, Snapshot, StoredChange};
use cogniverse_core::failpoint;
use cogniverse_sdk::{Error, ErrorKind, Result};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// The time after a failure until work on blocks is tried again.
const AGAIN: Duration = Duration::from_secs(30);

impl TenantStore {
    /// Returns whether there are documents to write to a block file, or blocks to merge.
    pub(crate) fn wants_folding(&self) -> bool {
        self.may_fold() && self.snapshot().to_fold(self.shared.block_documents).is_some()
    }

    /// Returns whether work on blocks has not failed a moment ago: a full disk is not asked again with every call.
    pub(super) fn may_fold(&self) -> bool {
        self.refused.lock().is_none_or(|refused| refused.elapsed() >= AGAIN)
    }

    /// Writes documents to block files and merges those, until nothing is left to do or `goes_on` says no. Blocking.
    pub(crate) fn fold(&self, goes_on: &dyn Fn() -> bool) -> Result<()> {
        let _folding = self.folding.lock();
        loop {
            match goes_on().then(|| self.fold_once()) {
                None | Some(Ok(false)) => return Ok(()),
                Some(Ok(true)) => *self.refused.lock() = None,
                Some(Err(error)) => {
                    *self.refused.lock() = Some(Instant::now());
                    return Err(error);
                }
            }
        }
    }

    /// Returns whether anything was done.
    fn fold_once(&self) -> Result<bool> {
        let begun = self.in_turn(|connection| {
            let Some((held, views)) = self.snapshot().hold_to_fold(self.shared.block_documents) else {
                return Ok(None);
            };
            let number = self.record.next_block(connection)?;
            let held = Arc::new(held);
            self.published.write().snapshot = Arc::clone(&held);
            Ok(Some((held, views, number)))
        });
        let Some((held, views, number)) = begun? else { return Ok(false) };
        failpoint::reach("block.begun");
        let written = self.record.write_block(number, &held.merged(views.clone()));
        let folded = written.and_then(|block| {
            failpoint::reach("block.written");
            self.name_folded(&held, views, (number, block))
        });
        if folded.is_err() {
            self.record.discard_block(number);
            let _writing = self.writing.lock();
            let mut published = self.published.write();
            published.snapshot = Arc::new(published.snapshot.as_ref().clone().released());
        }
        folded.map(|()| true)
    }

    /// Puts a block in place of those of which it was made.
    fn name_folded(&self, held: &Snapshot, views: Range<usize>, (number, block): (i64, Block)) -> Result<()> {
        self.in_turn(|connection| {
            let before = self.published();
            let transaction = self.record.begin(connection)?;
            let moment = self.record.moment(&transaction)?;
            let is_same = moment == before.snapshot.moment();
            let folded = before.snapshot.folded(held, views, number, block).filter(|_| is_same);
            let Some((next, stored, live)) = folded else {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "the documents were loaded anew while they were written out",
                ));
            };
            self.record.name_block(&transaction, stored, &live)?;
            // No document changes, but who looks at the record sees that the index is of another state of it.
            let moment = self.record.set_moment(&transaction, moment + 1)?;
            failpoint::reach("block.named");
            let next = Published { snapshot: Arc::new(next.at(moment)), files: before.files };
            for change in next.snapshot.changes_of_stored(&before.snapshot) {
                if let StoredChange::Gone(stored) = change {
                    self.record.unname_block(&transaction, stored.number)?;
                }
            }
            self.publish(transaction, next)?;
            failpoint::reach("block.published");
            // The block is in use from here on, whatever becomes of those before it.
            if let Err(error) = self.record.remove_blocks(connection) {
                tracing::warn!(schema = %self.name, "a merged block cannot be removed: {}", error.chain());
            }
            Ok(())
        })
    }
}
