//! The opened tenant schemas: at most so many, the least recently used closed first.

use crate::tenant_store::TenantStore;
use cogniverse_sdk::{Result, TenantId, TenantSchema};
use lru::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;

/// A place for one schema's store. Whoever holds its lock opens the store; others wait for the result.
type Slot = Arc<Mutex<Option<Arc<TenantStore>>>>;

/// The opened tenant schemas, by the pair and never by the physical name.
#[derive(Debug)]
pub(crate) struct OpenStores {
    limit: usize,
    slots: Mutex<LruCache<TenantSchema, Slot>>,
}

impl OpenStores {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, slots: Mutex::new(LruCache::unbounded()) }
    }

    /// The store of a schema, opened once however many ask. Blocking.
    pub(crate) fn get(
        &self,
        schema: &TenantSchema,
        open: impl FnOnce() -> Result<TenantStore>,
    ) -> Result<Arc<TenantStore>> {
        let slot = {
            let mut slots = self.slots.lock();
            let slot = Arc::clone(slots.get_or_insert(schema.clone(), Slot::default));
            self.evict(&mut slots);
            slot
        };
        let mut place = slot.lock();
        if let Some(store) = &*place {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(open()?);
        *place = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Closes what is beyond the limit and not in use. A store in use is never closed: a second one of the same file
    /// would not see its writes.
    fn evict(&self, slots: &mut LruCache<TenantSchema, Slot>) {
        let mut busy = 0;
        while slots.len() > self.limit + busy {
            let Some((schema, slot)) = slots.pop_lru() else { return };
            if !is_idle(&slot) {
                slots.put(schema, slot);
                busy += 1;
            }
        }
    }

    /// Takes a schema out; the store that was open, if one was, waits for its writer and refuses later ones.
    pub(crate) fn remove(&self, schema: &TenantSchema) -> Option<Arc<TenantStore>> {
        let slot = self.slots.lock().pop(schema)?;
        slot.lock().take()
    }

    /// Closes every store of a tenant that is not in use; returns how many stay open.
    pub(crate) fn close_tenant(&self, tenant: &TenantId) -> usize {
        let mut slots = self.slots.lock();
        let own: Vec<TenantSchema> =
            slots.iter().map(|(schema, _)| schema).filter(|schema| schema.tenant() == tenant).cloned().collect();
        let mut open = 0;
        for schema in own {
            let Some(slot) = slots.pop(&schema) else { continue };
            if !is_idle(&slot) {
                slots.put(schema, slot);
                open += 1;
            }
        }
        open
    }

    /// How many are open or being opened.
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().len()
    }
}

/// Nobody waits for the slot and nobody uses the store. Asked under the lock of all slots, where uses begin.
fn is_idle(slot: &Slot) -> bool {
    Arc::strong_count(slot) == 1
        && slot.try_lock().is_some_and(|place| place.as_ref().is_none_or(|store| Arc::strong_count(store) == 1))
}
