//! The background work on block files: writing new documents out, and merging.

use crate::tenant_store::TenantStore;
use cogniverse_core::worker;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::task::spawn_blocking;

/// The queue of stores with work to do, which one thread does for all tenants.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    state: Mutex<State>,
    ended: Condvar,
    closing: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Weak<TenantStore>>,
    /// The addresses of the stores in the queue, which holds each in place as long as it is there.
    waiting: HashSet<usize>,
    running: bool,
}

impl Upkeep {
    /// Has a store's work done in the background. Stores take turns.
    pub(crate) fn request(self: &Arc<Self>, store: &Arc<TenantStore>) {
        let mut state = self.state.lock();
        if self.closing.load(Ordering::Acquire) || !state.waiting.insert(Arc::as_ptr(store).addr()) {
            return;
        }
        state.queue.push_back(Arc::downgrade(store));
        if state.running {
            return;
        }
        // Where no thread can be made, writers do the work themselves once there is much of it.
        let Ok(runtime) = worker::runtime() else { return };
        state.running = true;
        let upkeep = Arc::clone(self);
        runtime.spawn(async move { spawn_blocking(move || upkeep.run()).await });
    }

    fn run(&self) {
        // However the thread ends, who waits for it is told.
        let _running = Running(self);
        loop {
            let store = {
                let mut state = self.state.lock();
                let first = state.queue.pop_front();
                if let Some(store) = &first {
                    state.waiting.remove(&store.as_ptr().addr());
                }
                match first {
                    Some(store) if !self.closing.load(Ordering::Acquire) => store,
                    _ => {
                        state.running = false;
                        return;
                    }
                }
            };
            let Some(store) = store.upgrade() else { continue };
            if let Err(error) = store.fold(&|| !self.closing.load(Ordering::Acquire)) {
                // The documents are stored, and indexed in memory: the next write tries again.
                tracing::warn!(schema = %store.name(), "blocks cannot be written: {}", error.chain());
            }
        }
    }

    /// Waits until the work on a block that has begun is done, and begins no other. Blocking.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let mut state = self.state.lock();
        while state.running {
            self.ended.wait(&mut state);
        }
    }
}

struct Running<'u>(&'u Upkeep);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.ended.notify_all();
    }
}
