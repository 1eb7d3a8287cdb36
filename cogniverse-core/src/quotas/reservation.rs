//! The counters of one tenant, and the parts of its quotas that work under way holds.

use super::counter::Counter;
use cogniverse_foundation::QuotaConfig;
use cogniverse_sdk::{Error, Quota, Result, TenantId};
use parking_lot::{Mutex, RwLock};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The time for which a count of all documents is good enough to refuse by.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// The time between two counts, as a multiple of what the last took, so that counting is a small share of all work.
const COUNT_SHARE: u32 = 20;

/// The quotas of one tenant in this process.
#[derive(Debug)]
pub(super) struct TenantQuotas {
    pub(super) tenant: TenantId,
    pub(super) config: RwLock<Arc<QuotaConfig>>,
    /// The time at which the configuration was seen to be in force, in milliseconds.
    pub(super) seen: AtomicU64,
    pub(super) counters: [QuotaCounter; Quota::ALL.len()],
    /// Held by writers whose documents are counted, so that each sees what the one before it stored.
    pub(super) writing: tokio::sync::Mutex<()>,
    /// The time and the length of the last count of all its documents by this process.
    pub(super) last_count: Mutex<Option<(Instant, Duration)>>,
    /// Whether its documents were ever counted.
    pub(super) measured: AtomicBool,
    /// Whether the tenant was erased, so that nothing of it is stored any more.
    pub(super) closed: AtomicBool,
}

#[derive(Debug)]
pub(super) struct QuotaCounter {
    pub(super) quota: Quota,
    pub(super) local: Mutex<Counter>,
    /// Held during an exchange with the store.
    pub(super) exchanging: tokio::sync::Mutex<()>,
    /// Whether the store had a state of it. Where it has none any more, the tenant was erased.
    pub(super) stored: AtomicBool,
}

impl TenantQuotas {
    pub(super) fn new(config: Arc<QuotaConfig>) -> Self {
        let counter = |quota| QuotaCounter {
            quota,
            local: Mutex::default(),
            exchanging: tokio::sync::Mutex::default(),
            stored: AtomicBool::default(),
        };
        Self {
            tenant: config.tenant_id.clone(),
            config: RwLock::new(config),
            seen: AtomicU64::new(0),
            counters: Quota::ALL.map(counter),
            writing: tokio::sync::Mutex::default(),
            last_count: Mutex::new(None),
            measured: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn counter(&self, quota: Quota) -> Result<&QuotaCounter> {
        let found = self.counters.iter().find(|counter| counter.quota == quota);
        found.ok_or_else(|| Error::unexpected(format!("quota {quota} is not counted")))
    }

    pub(super) fn config(&self) -> Arc<QuotaConfig> {
        Arc::clone(&self.config.read())
    }

    /// Whether a count of all documents is worth its price before something is refused: none was made for a time that is
    /// long against what it takes.
    pub(super) fn is_count_old(&self) -> bool {
        self.last_count.lock().is_none_or(|(at, took)| at.elapsed() > COUNTED_FOR.max(took * COUNT_SHARE))
    }

    pub(super) fn is_clean(&self) -> bool {
        self.counters.iter().all(|counter| counter.local.lock().is_clean())
    }
}

/// A part of a quota that a piece of work holds. It is given back when this is dropped, unless it was used.
#[derive(Debug)]
pub struct QuotaReservation {
    pub(super) tenant: Arc<TenantQuotas>,
    pub(super) quota: Quota,
    pub(super) window: i64,
    pub(super) amount: u64,
}

impl QuotaReservation {
    /// Ends the reservation: `used` counted units were used, more or fewer than reserved.
    pub fn settle(mut self, used: i64) {
        self.end(used);
    }

    fn end(&mut self, used: i64) {
        if let Ok(counter) = self.tenant.counter(self.quota) {
            let mut local = counter.local.lock();
            // What was used in a window that is over does not matter any more.
            if local.window == self.window {
                local.settle(self.amount, used);
            }
        }
        self.amount = 0;
    }
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.end(0);
        }
    }
}

/// A call that counts against the quotas of calls and of calls at one moment, until it is dropped.
#[derive(Debug)]
pub struct CallReservation {
    pub(super) call: Option<QuotaReservation>,
    pub(super) _place: QuotaReservation,
    pub(super) is_free: AtomicBool,
}

impl CallReservation {
    /// Makes the call cost nothing, as it failed.
    pub fn forgive(&self) {
        self.is_free.store(true, Ordering::Relaxed);
    }
}

impl Drop for CallReservation {
    fn drop(&mut self) {
        if let Some(call) = self.call.take().filter(|_| !self.is_free.load(Ordering::Relaxed)) {
            call.settle(1);
        }
    }
}
