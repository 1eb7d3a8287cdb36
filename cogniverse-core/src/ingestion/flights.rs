//! Exclusion of concurrent runs over one video.

use super::document::Cut;
use cogniverse_sdk::TenantSchema;
use dashmap::{DashMap, Entry};
use std::sync::{Arc, Weak};

/// A schema, a profile, and a video id or the path of a segments file.
type Key = (TenantSchema, String, String);

/// The work in progress in this process. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights {
    running: Arc<DashMap<Key, Weak<tokio::sync::Mutex<()>>>>,
}

impl Flights {
    /// Locks one piece of work; the lock is held until the guard is dropped.
    pub(super) fn of(&self, target: &TenantSchema, cut: &Cut, what: &str) -> Arc<tokio::sync::Mutex<()>> {
        let key = (target.clone(), cut.profile().as_str().to_owned(), what.to_owned());
        // As many as there are at work stay, whatever became of them.
        self.running.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        match self.running.entry(key) {
            Entry::Occupied(mut running) => running.get().upgrade().unwrap_or_else(|| {
                running.insert(Arc::downgrade(&turn));
                turn
            }),
            Entry::Vacant(free) => {
                free.insert(Arc::downgrade(&turn));
                turn
            }
        }
    }
}
