//! A memory store in main memory, for tests and for services that need no persistence.

use super::{
    bounds,
    cursor::Place,
    identity,
    rules::{age, best, check_change, check_limit, check_top_k, event, over, taken, unknown},
};
use crate::text::{Analyzer, query_terms};
use async_trait::async_trait;
use cogniverse_sdk::{
    Clock, Memory, MemoryEvent, MemoryEventKind, MemoryHit, MemoryHits, MemoryId, MemoryPage, MemoryReach, MemoryScope,
    MemoryStats, MemoryStore, Result, TenantId,
    memory_store::{
        AddMemories, Added, ClearMemories, DeleteMemory, GetMemory, ListMemories, MemoryHistory, SearchMemories,
        UpdateMemory,
    },
};
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// A store of one tenant's memories in main memory.
#[derive(Debug)]
pub struct InMemoryMemoryStore {
    tenant: TenantId,
    dims: usize,
    clock: Arc<dyn Clock>,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    memories: BTreeMap<(MemoryScope, MemoryId), (Memory, Vec<f32>)>,
    events: Vec<MemoryEvent>,
}

impl InMemoryMemoryStore {
    /// Creates an empty store of a tenant, for vectors of `dims` cells.
    #[must_use]
    pub fn new(tenant: TenantId, dims: usize, clock: Arc<dyn Clock>) -> Self {
        Self { tenant, dims, clock, kept: RwLock::default() }
    }
}

#[async_trait]
impl MemoryStore for InMemoryMemoryStore {
    async fn add(&self, request: AddMemories) -> Result<Vec<Added>> {
        let AddMemories { scope, memories, .. } = request;
        let now = self.clock.now();
        let mut checked = Vec::with_capacity(memories.len());
        for mut new in memories {
            new.text = bounds::check_text(&new.text)?.to_owned();
            bounds::check_metadata(&new.metadata)?;
            let vector = bounds::unit(&new.vector, self.dims)?;
            checked.push((identity::content_hash(&new.text), new, vector));
        }
        let digest = identity::scope_digest(&scope);
        let mut kept = self.kept.write();
        let mut outcomes = Vec::with_capacity(checked.len());
        for (hash, new, vector) in checked {
            let of_scope = |memory: &&Memory| memory.scope == scope && identity::content_hash(&memory.text) == hash;
            let known = kept.memories.values().map(|(memory, _)| memory).find(of_scope).cloned();
            let id = match known {
                Some(known) if !known.is_expired(now) => {
                    outcomes.push(Added::Known(known));
                    continue;
                }
                Some(known) => known.id,
                None => {
                    let mut attempt = 0;
                    loop {
                        let id = identity::memory_id(&digest, &hash, attempt)?;
                        if !kept.memories.contains_key(&(scope.clone(), id.clone())) {
                            break id;
                        }
                        attempt += 1;
                    }
                }
            };
            let reason = new.reason.clone();
            let memory = Memory::first(id.clone(), scope.clone(), new, now);
            kept.events.extend(event(MemoryEventKind::Added, None, Some(&memory), &reason, now));
            kept.memories.insert((scope.clone(), id), (memory.clone(), vector));
            outcomes.push(Added::Stored(memory));
        }
        Ok(outcomes)
    }

    async fn get(&self, request: GetMemory) -> Result<Option<Memory>> {
        let now = self.clock.now();
        let kept = self.kept.read();
        let found = kept.memories.get(&(request.scope, request.id)).map(|(memory, _)| memory.clone());
        Ok(found.filter(|memory| request.expired || !memory.is_expired(now)))
    }

    async fn search(&self, request: SearchMemories) -> Result<MemoryHits> {
        check_top_k(request.top_k)?;
        bounds::check_filter(&request.filter)?;
        let vector = bounds::unit(&request.vector, self.dims)?;
        let (now, analyzer) = (self.clock.now(), Analyzer::new());
        let words: HashSet<String> = query_terms(&request.text, None).into_iter().map(|(term, _)| term).collect();
        let kept = self.kept.read();
        let meant = kept.memories.values().filter(|(memory, _)| {
            request.reach.contains(&memory.scope)
                && request.filter.accepts(memory)
                && (request.expired || !memory.is_expired(now))
        });
        let meant: Vec<(&Memory, &Vec<f32>, Vec<String>)> =
            meant.map(|(memory, vector)| (memory, vector, analyzer.terms(&memory.text))).collect();
        #[expect(clippy::cast_precision_loss, reason = "numbers of memories and words")]
        let rarity = |word: &String| {
            let having = meant.iter().filter(|(.., terms)| terms.contains(word)).count() as f64;
            (1.0 + (meant.len() as f64 - having + 0.5) / (having + 0.5)).ln()
        };
        let rarities: Vec<(&String, f64)> = words.iter().map(|word| (word, rarity(word))).collect();
        let hits = meant.iter().filter_map(|(memory, known, terms)| {
            let cosine = vector.iter().zip(*known).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let bm25 = rarities.iter().filter(|(word, _)| terms.contains(word)).map(|(_, rarity)| rarity).sum();
            let signals = request.weights.signals(cosine, bm25, age(memory, now));
            let hit = MemoryHit::new((*memory).clone(), request.weights.score(&signals), signals);
            (signals.semantic >= request.threshold).then_some(hit)
        });
        Ok(MemoryHits::new(best(hits.collect(), request.top_k), None))
    }

    async fn list(&self, request: ListMemories) -> Result<MemoryPage> {
        check_limit(request.limit)?;
        bounds::check_filter(&request.filter)?;
        let place = Place::of((&self.tenant, 1), &request, self.clock.now())?;
        let kept = self.kept.read();
        let key = |memory: &Memory| format!("{}/{}", identity::scope_digest(&memory.scope), memory.id);
        let mut meant: Vec<(String, &Memory)> = kept
            .memories
            .values()
            .map(|(memory, _)| (key(memory), memory))
            .filter(|(key, memory)| {
                *key > place.at
                    && request.reach.contains(&memory.scope)
                    && request.filter.accepts(memory)
                    && (request.expired || !memory.is_expired(place.as_of))
            })
            .collect();
        meant.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = meant.len() > request.limit;
        meant.truncate(request.limit);
        let last = meant.last().map(|(key, _)| key.clone()).filter(|_| more);
        let memories = meant.into_iter().map(|(_, memory)| memory.clone()).collect();
        Ok(MemoryPage::new(memories, last.map(|last| place.next((&self.tenant, 1), &request, last)).transpose()?))
    }

    async fn update(&self, request: UpdateMemory) -> Result<Memory> {
        let UpdateMemory { scope, id, mut change, reason, .. } = request;
        check_change(&mut change)?;
        let vector = change.text.as_ref().map(|(_, vector, _)| bounds::unit(vector, self.dims)).transpose()?;
        let now = self.clock.now();
        let mut kept = self.kept.write();
        let key = (scope.clone(), id.clone());
        let before = kept.memories.get(&key).map(|(memory, _)| memory.clone()).ok_or_else(|| unknown(&scope, &id))?;
        let after = change.apply(&before, now);
        bounds::check_metadata(&after.metadata)?;
        if after.is_expired(now) && change.expires_at.is_none() {
            return Err(over(&before));
        }
        let hash = identity::content_hash(&after.text);
        let same =
            |memory: &&Memory| memory.scope == scope && memory.id != id && identity::content_hash(&memory.text) == hash;
        if let Some(other) = kept.memories.values().map(|(memory, _)| memory).find(same) {
            return Err(taken(&id, &other.id));
        }
        kept.events.extend(event(MemoryEventKind::Updated, Some(&before), Some(&after), &reason, now));
        if let Some(slot) = kept.memories.get_mut(&key) {
            slot.0 = after.clone();
            slot.1 = vector.unwrap_or_else(|| std::mem::take(&mut slot.1));
        }
        Ok(after)
    }

    async fn delete(&self, request: DeleteMemory) -> Result<Memory> {
        let DeleteMemory { scope, id, reason, .. } = request;
        let mut kept = self.kept.write();
        let removed = kept.memories.remove(&(scope.clone(), id.clone()));
        let (memory, _) = removed.ok_or_else(|| unknown(&scope, &id))?;
        kept.events.extend(event(MemoryEventKind::Deleted, Some(&memory), None, &reason, self.clock.now()));
        Ok(memory)
    }

    async fn clear(&self, request: ClearMemories) -> Result<u64> {
        let now = self.clock.now();
        let mut kept = self.kept.write();
        let kind = if request.only_expired { MemoryEventKind::Expired } else { MemoryEventKind::Deleted };
        let mut gone = Vec::new();
        kept.memories.retain(|_, (memory, _)| {
            let goes = request.reach.contains(&memory.scope) && (!request.only_expired || memory.is_expired(now));
            if goes {
                gone.push(memory.clone());
            }
            !goes
        });
        if request.history {
            kept.events.retain(|event| !request.reach.contains(&event.scope));
        } else {
            kept.events.extend(gone.iter().filter_map(|memory| event(kind, Some(memory), None, &request.reason, now)));
        }
        Ok(gone.len() as u64)
    }

    async fn history(&self, request: MemoryHistory) -> Result<Vec<MemoryEvent>> {
        let kept = self.kept.read();
        let own = kept.events.iter().filter(|event| event.memory == request.id && event.scope == request.scope);
        let own: Vec<MemoryEvent> = own.cloned().collect();
        let skipped = own.len().saturating_sub(request.limit);
        Ok(own.into_iter().skip(skipped).collect())
    }

    async fn stats(&self, reach: &MemoryReach) -> Result<MemoryStats> {
        let now = self.clock.now();
        let mut stats = MemoryStats::none(self.tenant.clone(), true);
        let kept = self.kept.read();
        kept.memories
            .values()
            .map(|(memory, _)| memory)
            .filter(|memory| reach.contains(&memory.scope))
            .for_each(|memory| stats.count(memory, now));
        Ok(stats)
    }
}
