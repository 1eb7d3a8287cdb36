//! Memories that have one of some texts.

use super::document::{HASH, field};
use cogniverse_sdk::{Filter, Memory, Result, Timestamp};
use std::collections::BTreeMap;

/// The memories of a scope by text hash.
#[derive(Debug, Default)]
pub(super) struct KnownTexts {
    pub(super) alive: BTreeMap<String, Memory>,
    pub(super) expired: BTreeMap<String, Memory>,
    /// The ids of all memories found. A memory keeps its id when its text changes, so a text's first id may be taken
    /// by another.
    pub(super) taken: Vec<cogniverse_sdk::MemoryId>,
}

impl KnownTexts {
    pub(super) fn of(memories: Vec<(String, Memory)>, hashes: &[&str], now: Timestamp) -> Self {
        let mut known = Self::default();
        for (hash, memory) in memories {
            known.taken.push(memory.id.clone());
            if !hashes.contains(&hash.as_str()) {
                continue;
            }
            if memory.is_expired(now) {
                known.expired.insert(hash, memory);
            } else {
                known.alive.insert(hash, memory);
            }
        }
        known
    }
}

/// Returns the filter for documents with one of the hashes.
pub(super) fn with_hash(hashes: &[&str]) -> Result<Filter> {
    Ok(Filter::In(field(HASH)?, hashes.iter().map(|hash| (*hash).into()).collect()))
}
