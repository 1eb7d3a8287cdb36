//! One quota of one tenant in this process: what it leased, what is in flight, and what is not stored yet.

use cogniverse_sdk::{Quota, QuotaLease, QuotaState, Timestamp};
use std::time::Duration;

/// The time after which a process that was not heard of counts as gone.
const LEASE: Duration = Duration::from_secs(30);
/// The most that is leased in advance.
const LARGEST_SPARE: u64 = 4096;

/// The numbers of one quota in this process, in its counted units.
///
/// `settled + reserved <= leased` holds wherever there is a limit, and `leased` is what the store knows of.
#[derive(Debug, Default, Clone)]
pub(super) struct Counter {
    /// The start of the window that the numbers are of; 0 for quotas without one.
    pub(super) window: i64,
    /// The amount that this process may hand out.
    pub(super) leased: u64,
    /// The amount that calls in flight hold.
    pub(super) reserved: u64,
    /// The amount that ended calls used and that is not stored yet; below 0 where more was given back.
    pub(super) settled: i64,
    /// The stored amount, with the leases of others, when the store was read last.
    pub(super) elsewhere: u64,
    /// Whether the stored amount was counted, when the store was read last.
    pub(super) counted: bool,
    /// The amount leased in advance, which grows with use.
    spare: u64,
    /// Whether anything happened since the last exchange with the store.
    pub(super) touched: bool,
    /// Whether the store holds a lease of this process.
    pub(super) is_listed: bool,
}

/// The answer to a request for more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The state to store, which gives this process enough.
    Enough,
    /// The quota does not have the amount: the amount that is used or promised, by all processes.
    Full { used: u64 },
}

impl Counter {
    fn taken(&self) -> i64 {
        self.settled.saturating_add(signed(self.reserved))
    }

    /// The amount that can be handed out without asking the store.
    pub(super) fn slack(&self) -> u64 {
        unsigned(signed(self.leased).saturating_sub(self.taken()))
    }

    /// The amount that all processes used or hold, as far as this one knows.
    pub(super) fn used(&self) -> u64 {
        unsigned(signed(self.elsewhere).saturating_add(self.taken()))
    }

    /// Begins a window, where another one has begun.
    pub(super) fn enter(&mut self, window: i64) {
        if self.window != window {
            *self = Self { window, counted: true, ..Self::default() };
        }
    }

    /// Takes an amount that is leased already.
    pub(super) fn take(&mut self, amount: u64) -> bool {
        if self.slack() < amount {
            return false;
        }
        self.reserved += amount;
        self.touched = true;
        true
    }

    /// Takes an amount whatever was leased: there is no limit, or it is not enforced.
    pub(super) fn take_unlimited(&mut self, amount: u64) {
        self.reserved += amount;
        self.leased = self.leased.max(unsigned(self.taken()));
        self.touched = true;
    }

    /// Ends a reservation, of which `used` was used.
    pub(super) fn settle(&mut self, reserved: u64, used: i64) {
        self.reserved = self.reserved.saturating_sub(reserved);
        self.settled = self.settled.saturating_add(used);
        self.touched = true;
    }

    /// Works a stored state over so that this process gets `more` beyond its slack, within `limit`, and what was settled
    /// is part of it. Returns the settled amount that the state now holds. What is known of the store changes once the state
    /// is stored, and not before: what could not be stored would else be counted twice.
    pub(super) fn exchange(&mut self, quota: Quota, state: &mut QuotaState, exchange: &Exchange<'_>) -> (Room, i64) {
        let Exchange { holder, now, limit, more } = *exchange;
        clean(quota, state, self.window, holder, now);
        let settled = self.settled;
        state.used = unsigned(signed(state.used).saturating_add(settled));
        let others: u64 = state.leases.iter().filter(|lease| lease.holder != holder).map(|lease| lease.amount).sum();
        let floor = unsigned(signed(self.leased).saturating_sub(settled));
        let elsewhere = state.used.saturating_add(others);
        let (mut lease, mut room) = (floor, Room::Enough);
        if more > 0 {
            let missing = more.saturating_sub(self.slack());
            let free = limit.map_or(u64::MAX, |limit| limit.saturating_sub(elsewhere.saturating_add(floor)));
            if missing > free {
                room = Room::Full { used: elsewhere.saturating_add(self.reserved) };
            } else {
                self.spare = (self.spare * 2).clamp(u64::from(self.touched), LARGEST_SPARE);
                lease = floor.saturating_add(missing).saturating_add(self.spare.min((free - missing) / 4));
            }
        }
        set_lease(state, holder, lease, now);
        (room, settled)
    }

    /// Takes over what an exchange stored.
    pub(super) fn stored(&mut self, state: &QuotaState, holder: &str, settled: i64) {
        let others = state.leases.iter().filter(|lease| lease.holder != holder).map(|lease| lease.amount);
        self.elsewhere = state.used.saturating_add(others.sum());
        self.counted = state.counted;
        self.settled = self.settled.saturating_sub(settled);
        self.leased = state.leases.iter().find(|lease| lease.holder == holder).map_or(0, |lease| lease.amount);
        self.is_listed = self.leased > 0;
    }

    /// Gives up what is leased in advance, before it is returned to the store.
    pub(super) fn give_up_spare(&mut self) {
        self.leased = unsigned(self.taken());
        if !self.touched {
            self.spare = 0;
        }
        self.touched = false;
    }

    /// Takes over a count of what is stored, with what is reserved beside it.
    pub(super) fn recounted(&mut self, elsewhere: u64) {
        let reserved = self.reserved;
        *self =
            Self { reserved, leased: reserved, elsewhere, counted: true, is_listed: reserved > 0, ..Self::default() };
        self.touched = true;
    }

    /// Whether the store knows everything of this counter.
    pub(super) fn is_clean(&self) -> bool {
        self.settled == 0 && self.reserved == 0 && !self.is_listed
    }
}

/// What an exchange is about.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'e> {
    /// The id of this process.
    pub(super) holder: &'e str,
    pub(super) now: Timestamp,
    /// The limit in counted units.
    pub(super) limit: Option<u64>,
    /// The amount that is needed.
    pub(super) more: u64,
}

/// Brings a stored state to the present: a new window, and leases of processes that are gone.
fn clean(quota: Quota, state: &mut QuotaState, window: i64, holder: &str, now: Timestamp) {
    if state.window != window {
        *state = QuotaState::default();
        (state.window, state.counted) = (window, true);
    }
    let is_gone = |lease: &QuotaLease| lease.holder != holder && lease.expires_at <= now;
    let lost: u64 = state.leases.iter().filter(|lease| is_gone(lease)).map(|lease| lease.amount).sum();
    if lost > 0 {
        state.leases.retain(|lease| !is_gone(lease));
        if quota != Quota::ConcurrentRequests {
            state.used = state.used.saturating_add(lost);
        }
        if matches!(quota, Quota::StorageMb | Quota::Documents) {
            state.counted = false;
        }
    }
}

/// Sets what a process leases of a state.
pub(super) fn set_lease(state: &mut QuotaState, holder: &str, amount: u64, now: Timestamp) {
    state.leases.retain(|lease| lease.holder != holder);
    if amount > 0 {
        let expires_at = now.checked_add(LEASE).unwrap_or(now);
        state.leases.push(QuotaLease { holder: holder.to_owned(), amount, expires_at });
    }
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
