//! A cache that all tenants share and that none can fill alone.

use cogniverse_core::tenants::TenantCache;
use cogniverse_sdk::TenantId;
use lru::LruCache;
use parking_lot::Mutex;
use std::{collections::HashMap, fmt, hash::Hash, num::NonZeroUsize};

/// A bounded cache whose keys always carry the tenant ([invariant 4](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#4)), so that no tenant can see, or
/// measure by timing, what another asked.
///
/// Where it is full, the longest unused entry of the tenant that has the most makes room: one that asks for ever new
/// things has but its share.
pub(crate) struct TenantLru<K: Hash + Eq, V> {
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K: Hash + Eq, V> {
    entries: LruCache<(TenantId, K), V>,
    counts: HashMap<TenantId, usize>,
}

impl<K: Hash + Eq, V> fmt::Debug for TenantLru<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantLru").field("entries", &self.inner.lock().entries.len()).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, V> Inner<K, V> {
    fn remove(&mut self, key: &(TenantId, K)) {
        if self.entries.pop(key).is_some()
            && let Some(count) = self.counts.get_mut(&key.0)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key.0);
            }
        }
    }

    fn make_room(&mut self) {
        let largest = self.counts.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > 1);
        let of = largest.map(|(tenant, _)| tenant);
        let oldest = self.entries.iter().rev().map(|(key, _)| key).find(|(tenant, _)| of.is_none_or(|of| of == tenant));
        if let Some(oldest) = oldest.cloned() {
            self.remove(&oldest);
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> TenantLru<K, V> {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self { inner: Mutex::new(Inner { entries: LruCache::new(capacity), counts: HashMap::new() }) }
    }

    pub(crate) fn get(&self, tenant: &TenantId, key: &K) -> Option<V> {
        self.inner.lock().entries.get(&(tenant.clone(), key.clone())).cloned()
    }

    pub(crate) fn put(&self, tenant: &TenantId, key: K, value: V) {
        let key = (tenant.clone(), key);
        let mut inner = self.inner.lock();
        if !inner.entries.contains(&key) {
            if inner.entries.len() == inner.entries.cap().get() {
                inner.make_room();
            }
            *inner.counts.entry(tenant.clone()).or_default() += 1;
        }
        inner.entries.put(key, value);
    }

    pub(crate) fn remove(&self, tenant: &TenantId, key: &K) {
        self.inner.lock().remove(&(tenant.clone(), key.clone()));
    }
}

impl<K, V> TenantCache for TenantLru<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn forget_tenant(&self, tenant: &TenantId) {
        let mut inner = self.inner.lock();
        let own: Vec<(TenantId, K)> =
            inner.entries.iter().map(|(key, _)| key).filter(|(owner, _)| owner == tenant).cloned().collect();
        own.iter().for_each(|key| inner.remove(key));
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.inner.lock().counts.get(tenant).map_or(0, |count| *count as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn invariant_24_a_tenant_that_asks_for_ever_new_things_leaves_others_what_they_have() {
        let cache = TenantLru::new(NonZeroUsize::MIN.saturating_add(99));
        let (quiet, loud) = (tenant("quiet"), tenant("loud"));
        (0..10).for_each(|number| cache.put(&quiet, number, number));
        (0..300).for_each(|number| cache.put(&loud, number, number));
        assert_eq!((cache.holds(&quiet), cache.holds(&loud)), (10, 90));
        assert_eq!((cache.get(&quiet, &3), cache.get(&loud, &3), cache.get(&loud, &299)), (Some(3), None, Some(299)));
        cache.put(&loud, 299, 7);
        assert_eq!((cache.holds(&loud), cache.get(&loud, &299)), (90, Some(7)));
        cache.forget_tenant(&loud);
        assert_eq!((cache.holds(&quiet), cache.holds(&loud)), (10, 0));
        cache.remove(&quiet, &3);
        cache.remove(&quiet, &3);
        assert_eq!((cache.get(&quiet, &3), cache.holds(&quiet)), (None, 9));
    }

    #[test]
    fn of_tenants_with_one_entry_each_the_longest_unused_goes() {
        let cache = TenantLru::new(NonZeroUsize::MIN.saturating_add(2));
        for name in ["a", "b", "c"] {
            cache.put(&tenant(name), (), name);
        }
        cache.get(&tenant("a"), &());
        cache.put(&tenant("d"), (), "d");
        let held: Vec<u64> = ["a", "b", "c", "d"].map(|name| cache.holds(&tenant(name))).to_vec();
        assert_eq!(held, [1, 0, 1, 1]);
    }
}
