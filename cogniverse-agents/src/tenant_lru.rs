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
    entries: Mutex<LruCache<(TenantId, K), V>>,
}

impl<K: Hash + Eq, V> fmt::Debug for TenantLru<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantLru").field("entries", &self.entries.lock().len()).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> TenantLru<K, V> {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self { entries: Mutex::new(LruCache::new(capacity)) }
    }

    pub(crate) fn get(&self, tenant: &TenantId, key: &K) -> Option<V> {
        self.entries.lock().get(&(tenant.clone(), key.clone())).cloned()
    }

    pub(crate) fn put(&self, tenant: &TenantId, key: K, value: V) {
        let key = (tenant.clone(), key);
        let mut entries = self.entries.lock();
        if entries.len() == entries.cap().get() && !entries.contains(&key) {
            make_room(&mut entries);
        }
        entries.put(key, value);
    }

    pub(crate) fn remove(&self, tenant: &TenantId, key: &K) {
        self.entries.lock().pop(&(tenant.clone(), key.clone()));
    }
}

fn make_room<K: Hash + Eq + Clone, V>(entries: &mut LruCache<(TenantId, K), V>) {
    let mut counts: HashMap<&TenantId, usize> = HashMap::new();
    for ((tenant, _), _) in &*entries {
        *counts.entry(tenant).or_default() += 1;
    }
    let largest = counts.into_iter().max_by_key(|(_, count)| *count).map(|(tenant, _)| tenant.clone());
    let oldest = entries.iter().rev().map(|(key, _)| key).find(|(tenant, _)| Some(tenant) == largest.as_ref()).cloned();
    if let Some(oldest) = oldest {
        entries.pop(&oldest);
    }
}

impl<K, V> TenantCache for TenantLru<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn forget_tenant(&self, tenant: &TenantId) {
        let mut entries = self.entries.lock();
        let own: Vec<(TenantId, K)> =
            entries.iter().map(|(key, _)| key).filter(|(owner, _)| owner == tenant).cloned().collect();
        for key in own {
            entries.pop(&key);
        }
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.entries.lock().iter().filter(|((owner, _), _)| owner == tenant).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_24_a_tenant_that_asks_for_ever_new_things_leaves_others_what_they_have() {
        let cache = TenantLru::new(NonZeroUsize::MIN.saturating_add(99));
        let (quiet, loud) = (TenantId::parse("quiet").unwrap(), TenantId::parse("loud").unwrap());
        (0..10).for_each(|number| cache.put(&quiet, number, number));
        (0..300).for_each(|number| cache.put(&loud, number, number));
        assert_eq!((cache.holds(&quiet), cache.holds(&loud)), (10, 90));
        assert_eq!((cache.get(&quiet, &3), cache.get(&loud, &3), cache.get(&loud, &299)), (Some(3), None, Some(299)));
        cache.forget_tenant(&loud);
        assert_eq!((cache.holds(&quiet), cache.holds(&loud)), (10, 0));
        cache.remove(&quiet, &3);
        assert_eq!(cache.get(&quiet, &3), None);
    }
}
