//! The memory for the codes of float vectors, shared by all tenants and divided fairly among those that search.
//!
//! A tenant keeps what it has as long as there is room. Where there is none, a tenant that holds less than another takes from
//! it, until both hold as much; and what nobody asked for in a minute is free to be taken. A tenant never takes from itself: a
//! scan of more than its share would drop each block just before it comes round again.

use super::CodeArena;
use cogniverse_sdk::{Result, TenantId};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The time without a search after which vectors may be dropped for another tenant's, whoever holds more.
const IDLE: Duration = Duration::from_secs(60);

/// The number of places of a block whose codes are kept together.
pub(crate) const CODE_RUN: usize = 1024;

/// The codes of some documents, and the room that they take.
#[derive(Debug)]
pub(crate) struct Codes {
    pub(crate) arena: CodeArena,
    /// The product of each vector with itself, of a single-vector field alone.
    pub(crate) products: Vec<f32>,
    room: Reservation,
}

impl Codes {
    pub(crate) fn new(arena: CodeArena, products: Vec<f32>, room: Reservation) -> Self {
        Self { arena, products, room }
    }
}

/// The milliseconds for which a tenant that found no room looks for none.
const REFUSED: u64 = 1_000;

/// The place of a run of a block's documents for the codes of one field, if they are kept.
#[derive(Debug, Default)]
pub(crate) struct CodeSlot {
    codes: RwLock<Option<Arc<Codes>>>,
    /// Whether a search makes them now.
    is_made: AtomicBool,
    /// The milliseconds since the cache was made at which it was last asked for.
    used_at: AtomicU64,
}

impl CodeSlot {
    /// Returns the codes that are kept.
    pub(crate) fn get(&self, cache: &CodeCache) -> Option<Arc<Codes>> {
        let found = self.codes.read().clone();
        if found.is_some() {
            self.used_at.store(cache.now(), Ordering::Relaxed);
        }
        found
    }

    /// Returns the codes that are kept or that `make` makes; `None` where it makes none, and where another search makes them.
    pub(crate) fn get_or_make(
        self: &Arc<Self>,
        cache: &CodeCache,
        tenant: &TenantId,
        make: impl FnOnce() -> Result<Option<Codes>>,
    ) -> Result<Option<Arc<Codes>>> {
        if let Some(known) = self.get(cache) {
            return Ok(Some(known));
        }
        if self.is_made.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        let made = make();
        if let Ok(Some(codes)) = made {
            self.used_at.store(cache.now(), Ordering::Relaxed);
            let codes = Arc::new(codes);
            *self.codes.write() = Some(Arc::clone(&codes));
            self.is_made.store(false, Ordering::Release);
            let mut holders = cache.inner.holders.lock();
            let holder = holders.entry(tenant.clone()).or_default();
            holder.slots.retain(|slot| slot.strong_count() > 0);
            holder.slots.push(Arc::downgrade(self));
            return Ok(Some(codes));
        }
        self.is_made.store(false, Ordering::Release);
        made.map(|_| None)
    }
}

/// The budget, and who holds how much of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct CodeCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
    holders: Mutex<HashMap<TenantId, Holder>>,
    began: Instant,
}

#[derive(Debug, Default)]
struct Holder {
    bytes: usize,
    /// The milliseconds since the cache was made until which no room is looked for, as there was none a moment ago.
    refused_until: u64,
    slots: Vec<Weak<CodeSlot>>,
}

impl CodeCache {
    pub(crate) fn new(limit: usize) -> Self {
        let (used, holders) = (AtomicUsize::new(0), Mutex::default());
        Self { inner: Arc::new(Inner { limit, used, holders, began: Instant::now() }) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.inner.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reserves bytes for a tenant until the reservation is dropped; `None` where there is no room for it. Room that a running
    /// search still uses is there for the next call.
    pub(crate) fn reserve(&self, tenant: &TenantId, bytes: usize) -> Option<Reservation> {
        if bytes > self.inner.limit {
            return None;
        }
        if let Some(reservation) = self.take(tenant, bytes) {
            return Some(reservation);
        }
        self.make_room(tenant, bytes, u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX));
        self.take(tenant, bytes)
    }

    fn take(&self, tenant: &TenantId, bytes: usize) -> Option<Reservation> {
        let taken = self.inner.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.inner.limit)
        });
        taken.ok()?;
        self.inner.holders.lock().entry(tenant.clone()).or_default().bytes += bytes;
        Some(Reservation { cache: self.clone(), tenant: tenant.clone(), bytes })
    }

    /// Drops vectors of tenants that hold more than this one would, and those that are idle, the longest unused first.
    fn make_room(&self, tenant: &TenantId, bytes: usize, idle: u64) {
        let now = self.now();
        // Dropped after the lock: a reservation that ends takes it.
        let mut dropped = Vec::new();
        {
            let mut holders = self.inner.holders.lock();
            // A scan of more than fits asks for every block: it looks through all tenants once a second and not each time.
            if holders.get(tenant).is_some_and(|holder| now < holder.refused_until) {
                return;
            }
            holders.retain(|_, holder| holder.bytes > 0 || now < holder.refused_until);
            let own = holders.get(tenant).map_or(0, |holder| holder.bytes).saturating_add(bytes);
            let mut missing =
                self.inner.used.load(Ordering::Acquire).saturating_add(bytes).saturating_sub(self.inner.limit);
            let mut others: Vec<Victim> =
                holders.iter().filter(|(other, _)| *other != tenant).map(|(_, holder)| Victim::of(holder)).collect();
            while missing > 0 {
                // The idle first, wherever they are; then those of the tenant that holds the most.
                let mut oldest: Vec<&mut Victim> = others.iter_mut().filter(|other| !other.slots.is_empty()).collect();
                oldest.sort_by_key(|other| other.oldest());
                let is_idle = oldest.first().is_some_and(|other| now.saturating_sub(other.oldest()) >= idle);
                let victim = match is_idle {
                    true => oldest.into_iter().next(),
                    false => oldest.into_iter().filter(|other| other.bytes > own).max_by_key(|other| other.bytes),
                };
                let Some(victim) = victim else { break };
                let Some((_, slot)) = victim.slots.pop() else { break };
                if let Some(codes) = slot.codes.write().take() {
                    victim.bytes = victim.bytes.saturating_sub(codes.room.bytes);
                    missing = missing.saturating_sub(codes.room.bytes);
                    dropped.push(codes);
                }
            }
            if missing > 0 {
                holders.entry(tenant.clone()).or_default().refused_until = now.saturating_add(REFUSED);
            }
        }
        drop(dropped);
    }

    /// Returns the number of bytes that are reserved.
    pub(crate) fn used(&self) -> usize {
        self.inner.used.load(Ordering::Acquire)
    }
}

/// A tenant whose vectors may be dropped.
struct Victim {
    bytes: usize,
    /// The slots with the time of their last use, the longest unused last.
    slots: Vec<(u64, Arc<CodeSlot>)>,
}

impl Victim {
    fn of(holder: &Holder) -> Self {
        let slots = holder.slots.iter().filter_map(Weak::upgrade);
        let mut slots: Vec<_> = slots.map(|slot| (slot.used_at.load(Ordering::Relaxed), slot)).collect();
        slots.sort_by_key(|(used_at, _)| std::cmp::Reverse(*used_at));
        Self { bytes: holder.bytes, slots }
    }

    fn oldest(&self) -> u64 {
        self.slots.last().map_or(u64::MAX, |(used_at, _)| *used_at)
    }
}

/// Reserved bytes of the budget.
#[derive(Debug)]
pub(crate) struct Reservation {
    cache: CodeCache,
    tenant: TenantId,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.cache.inner.used.fetch_sub(self.bytes, Ordering::AcqRel);
        let mut holders = self.cache.inner.holders.lock();
        if let Some(holder) = holders.get_mut(&self.tenant) {
            holder.bytes = holder.bytes.saturating_sub(self.bytes);
            if holder.bytes == 0 {
                holders.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    /// A slot whose codes take a number of bytes; kept where there is room.
    fn keep(cache: &CodeCache, of: &str, bytes: usize) -> Option<Arc<CodeSlot>> {
        let slot = Arc::new(CodeSlot::default());
        let make = || {
            let room = cache.reserve(&tenant(of), bytes);
            Ok(room.map(|room| Codes::new(CodeArena::new(1, false), Vec::new(), room)))
        };
        slot.get_or_make(cache, &tenant(of), make).unwrap().is_some().then_some(slot)
    }

    fn held(cache: &CodeCache, slots: &[Option<Arc<CodeSlot>>]) -> usize {
        slots.iter().flatten().filter(|slot| slot.get(cache).is_some()).count()
    }

    #[test]
    fn whoever_came_first_gives_up_to_the_half() {
        let cache = CodeCache::new(1_000);
        let first: Vec<_> = (0..20).map(|_| keep(&cache, "first", 100)).collect();
        assert_eq!((held(&cache, &first), cache.used()), (10, 1_000));
        let second: Vec<_> = (0..20).map(|_| keep(&cache, "second", 100)).collect();
        assert_eq!((held(&cache, &first), held(&cache, &second)), (5, 5));
        // Neither takes from an equal, nor from itself.
        let again: Vec<_> = (0..20).map(|_| keep(&cache, "first", 100)).collect();
        assert_eq!((held(&cache, &first), held(&cache, &second), held(&cache, &again)), (5, 5, 0));
        let third: Vec<_> = (0..20).map(|_| keep(&cache, "third", 100)).collect();
        let shares = [held(&cache, &first), held(&cache, &second), held(&cache, &third)];
        assert!(shares.iter().all(|share| (3..=4).contains(share)), "{shares:?}");
        assert!(cache.used() <= 1_000);
        drop((first, second, third, again));
        assert_eq!(cache.used(), 0);
        assert!(cache.inner.holders.lock().is_empty());
    }

    #[test]
    fn the_idle_give_everything_and_the_longest_unused_first() {
        let cache = CodeCache::new(300);
        let first: Vec<_> = (0..3).map(|_| keep(&cache, "first", 100)).collect();
        let place = |number: usize| first[number].as_ref().unwrap();
        for (number, used_at) in [(0, 30), (1, 10), (2, 20)] {
            place(number).used_at.store(used_at, Ordering::Relaxed);
        }
        let mine: Vec<_> = (0..2)
            .map(|_| {
                cache.make_room(&tenant("second"), 100, 0);
                keep(&cache, "second", 100)
            })
            .collect();
        assert_eq!(held(&cache, &mine), 2);
        let left: Vec<bool> = (0..3).map(|number| place(number).get(&cache).is_some()).collect();
        assert_eq!(left, [true, false, false]);
    }

    #[test]
    fn what_a_search_still_reads_is_room_for_the_next() {
        let cache = CodeCache::new(100);
        let first = keep(&cache, "first", 100).unwrap();
        let reading = first.get(&cache).unwrap();
        assert!(keep(&cache, "second", 40).is_none());
        assert_eq!(cache.used(), 100, "the budget is not exceeded");
        drop(reading);
        assert!(keep(&cache, "second", 40).is_some());
        assert!(keep(&cache, "huge", 101).is_none());
    }

    #[test]
    fn codes_are_made_by_one_search_and_by_the_next_where_it_failed() {
        let (cache, slot) = (CodeCache::new(1_000), Arc::new(CodeSlot::default()));
        let of = tenant("acme");
        let make = || Ok(cache.reserve(&of, 10).map(|room| Codes::new(CodeArena::new(1, false), Vec::new(), room)));
        let failed = slot.get_or_make(&cache, &of, || Err(cogniverse_sdk::Error::invalid("damaged")));
        assert!(failed.unwrap_err().to_string().contains("damaged"));
        let made = slot.get_or_make(&cache, &of, || {
            let meanwhile = slot.get_or_make(&cache, &of, || unreachable!("another makes them"));
            assert!(meanwhile.unwrap().is_none());
            make()
        });
        let made = made.unwrap().unwrap();
        let known = slot.get_or_make(&cache, &of, || unreachable!("they are kept"));
        assert!(Arc::ptr_eq(&made, &known.unwrap().unwrap()));
    }
}
