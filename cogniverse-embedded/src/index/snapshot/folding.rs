//! Blocks that lie in files: which to write out and to merge, and how they take the place of others.

use super::{Block, BlockView, Places, Snapshot};
use std::{ops::Range, sync::Arc};

/// The largest number of documents in a block file.
const MAX_STORED: usize = 65_536;
/// The number of bytes from which a block file is not merged with others.
const MAX_STORED_BYTES: usize = 256 << 20;

/// The block file in which documents lie, and the range of rows that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredAs {
    pub(crate) number: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// A change of a block file by a write.
#[derive(Debug)]
pub(crate) enum StoredChange<'s> {
    /// Other documents of it are alive now.
    Live(StoredAs, &'s Places),
    /// None of its documents is alive any more.
    Gone(StoredAs),
}

impl Snapshot {
    /// Adds a block file, whose rows are larger than all existing ones.
    pub(crate) fn with_stored(mut self, stored: StoredAs, block: Block, live: Places) -> Self {
        let view = BlockView { stored: Some(stored), live_count: live.count(), block: Arc::new(block), live };
        self.live += view.live_count;
        for (text, words) in self.words.iter_mut().enumerate() {
            *words += view.words(text);
        }
        self.blocks.push(view);
        self
    }

    /// Returns the number of documents that lie in no block file.
    pub(crate) fn unstored(&self) -> usize {
        self.blocks.iter().filter(|view| view.stored.is_none()).map(|view| view.live_count).sum()
    }

    /// Returns the block files that are not as they were in an earlier snapshot.
    pub(crate) fn changes_of_stored<'s>(&'s self, before: &'s Self) -> Vec<StoredChange<'s>> {
        let mut changes = Vec::new();
        for (stored, then) in before.blocks.iter().filter_map(|view| view.stored.map(|stored| (stored, view))) {
            match self.blocks.iter().find(|view| view.stored == Some(stored)) {
                Some(now) if now.live_count != then.live_count => changes.push(StoredChange::Live(stored, &now.live)),
                Some(_) => {}
                None => changes.push(StoredChange::Gone(stored)),
            }
        }
        changes
    }

    /// Returns the views of which a block file should be made: neighbours of at least `least` documents that lie in none,
    /// files of about one size, or one of which most is deleted.
    pub(crate) fn to_fold(&self, least: usize) -> Option<Range<usize>> {
        self.unstored_run(least).or_else(|| self.stored_pair())
    }

    fn unstored_run(&self, least: usize) -> Option<Range<usize>> {
        let mut start = 0;
        while start < self.blocks.len() {
            let (mut end, mut documents, mut bytes) = (start, 0, 0);
            while let Some(view) = self.blocks.get(end).filter(|view| view.stored.is_none()) {
                let more = (documents + view.live_count, view.bytes().saturating_add(bytes));
                if end > start && (more.0 > MAX_STORED || more.1 > MAX_STORED_BYTES) {
                    break;
                }
                (documents, bytes) = more;
                end += 1;
            }
            if documents >= least.max(1) {
                return Some(start..end);
            }
            start = end.max(start + 1);
        }
        None
    }

    fn stored_pair(&self) -> Option<Range<usize>> {
        let wasted = |view: &BlockView| view.stored.is_some() && view.live_count * 2 < view.block.len();
        if let Some(index) = self.blocks.iter().position(wasted) {
            return Some(index..index + 1);
        }
        let alike = |pair: &[BlockView]| match pair {
            [older, newer] => {
                older.stored.is_some()
                    && newer.stored.is_some()
                    && older.live_count <= newer.live_count * 2
                    && older.live_count + newer.live_count <= MAX_STORED
                    && older.bytes().saturating_add(newer.bytes()) <= MAX_STORED_BYTES
            }
            _ => false,
        };
        let index = self.blocks.windows(2).rposition(alike)?;
        Some(index..index + 2)
    }

    /// Returns the views of [`Snapshot::to_fold`], and a snapshot that keeps them as they are but for deletions, until they
    /// are folded or released.
    pub(crate) fn hold_to_fold(&self, least: usize) -> Option<(Self, Range<usize>)> {
        let views = self.to_fold(least)?;
        let last = self.blocks.get(views.end.checked_sub(1)?)?.last_row()?;
        Some((Self { held: last, ..self.clone() }, views))
    }

    /// Lets blocks be merged and left out again.
    pub(crate) fn released(self) -> Self {
        let mut released = Self { held: 0, ..self };
        released.settle();
        released
    }

    /// Merges the living documents of some views.
    pub(crate) fn merged(&self, views: Range<usize>) -> Block {
        let views = self.blocks.get(views).unwrap_or_default();
        let parts: Vec<(&Block, &Places)> = views.iter().map(|view| (&*view.block, &view.live)).collect();
        Block::merge(&self.layout, &parts)
    }

    /// Puts a block that was merged from views of `held`, an earlier snapshot, in their place. Returns the next snapshot, and
    /// which documents of the block are alive; `None` where those views are not here any more.
    pub(crate) fn folded(
        &self,
        held: &Self,
        views: Range<usize>,
        number: i64,
        block: Block,
    ) -> Option<(Self, StoredAs, Places)> {
        let (then, now) = (held.blocks.get(views.clone())?, self.blocks.get(views.clone())?);
        let mut live = Places::all(block.len());
        let mut place = 0;
        for (then, now) in then.iter().zip(now) {
            if !Arc::ptr_eq(&then.block, &now.block) {
                return None;
            }
            for old in then.live.iter() {
                if !now.live.contains(old as usize) {
                    live.unset(place);
                }
                place += 1;
            }
        }
        let covered = |view: &BlockView| match view.stored {
            Some(stored) => Some((stored.first, stored.last)),
            None => Some((view.first_row()?, view.last_row()?)),
        };
        let (first, last) = (covered(then.first()?)?.0, covered(then.last()?)?.1);
        let stored = StoredAs { number, first, last };
        let view =
            BlockView { stored: Some(stored), live_count: live.count(), block: Arc::new(block), live: live.clone() };
        let mut next = self.clone();
        next.blocks.splice(views, [view]);
        Some((next.released(), stored, live))
    }
}

impl BlockView {
    fn bytes(&self) -> usize {
        self.block.bytes().get().len()
    }

    fn first_row(&self) -> Option<i64> {
        self.block.rows().first()
    }

    pub(super) fn last_row(&self) -> Option<i64> {
        self.block.rows().last()
    }

    /// Returns the number of words of a text field over the living documents.
    fn words(&self, text: usize) -> u64 {
        let lengths = self.block.text(text).map(|index| index.lengths());
        let length = |place: u32| lengths.and_then(|lengths| lengths.get(place as usize)).map_or(0, u64::from);
        self.live.iter().map(length).sum()
    }
}
