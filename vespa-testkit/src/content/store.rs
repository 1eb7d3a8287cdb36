//! The documents in memory, in the order in which Vespa visits them.

use super::{document_id::DocumentId, value::Fields};
use std::collections::{BTreeMap, BTreeSet};

/// The place of a document: its bucket, then its global id.
pub(crate) type Key = (usize, [u8; 12]);

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) id: DocumentId,
    pub(crate) fields: Fields,
}

/// The documents of one type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    stored: BTreeMap<Key, Stored>,
    /// Those that the engine has not heard of.
    changed: BTreeSet<Key>,
}

impl Documents {
    pub(crate) fn key(id: &DocumentId) -> Key {
        (id.bucket(), id.gid())
    }

    pub(crate) fn get(&self, id: &DocumentId) -> Option<&Stored> {
        self.stored.get(&Self::key(id))
    }

    pub(crate) fn at(&self, key: &Key) -> Option<&Stored> {
        self.stored.get(key)
    }

    pub(crate) fn put(&mut self, id: DocumentId, fields: Fields) {
        let key = Self::key(&id);
        self.changed.insert(key);
        self.stored.insert(key, Stored { id, fields });
    }

    pub(crate) fn remove(&mut self, id: &DocumentId) {
        let key = Self::key(id);
        if self.stored.remove(&key).is_some() {
            self.changed.insert(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.stored.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Stored)> {
        self.stored.iter()
    }

    /// The documents of one bucket.
    pub(crate) fn bucket(&self, bucket: usize) -> impl Iterator<Item = &Stored> {
        self.stored.range((bucket, [0; 12])..=(bucket, [255; 12])).map(|(_, stored)| stored)
    }

    /// What changed since this was asked last.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.changed)
    }

    /// Everything counts as changed: the engine begins anew.
    pub(crate) fn all_changed(&mut self) {
        self.changed = self.stored.keys().copied().collect();
    }

    /// Drops values that no field of the schema takes any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str, &super::value::Value) -> bool) {
        for stored in self.stored.values_mut() {
            stored.fields.retain(|name, value| keep(name, value));
        }
    }
}
