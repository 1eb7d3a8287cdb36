//! A memory store on a search backend.
//!
//! A memory and its history entry are put in one feed, which is one transaction where the backend supports it. Where
//! a change needs two calls, the history entry comes first: a crash in between leaves an entry without its change,
//! never a change without its entry, and the change can be repeated.

use super::{
    bounds, condition,
    cursor::Place,
    document::{self, EVENT, ID, MEMORY, field},
    identity,
    lookup::Lookup,
    rules::{age, best, check_change, check_limit, check_top_k, event, over, taken, unknown},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    Clock, Document, Error, Filter, Memory, MemoryEvent, MemoryEventKind, MemoryHit, MemoryHits, MemoryPage,
    MemoryReach, MemoryStats, MemoryStore, PageCursor, Result, SearchBackend, TenantSchema,
    document_store::{DeleteRequest, FeedReport, PutRequest, UpdateRequest, VisitRequest},
    memory_store::{
        AddMemories, Added, ClearMemories, DeleteMemory, GetMemory, ListMemories, MemoryHistory, SearchMemories,
        UpdateMemory,
    },
};
use std::sync::Arc;

/// The number of memories put together.
const BATCH: usize = 256;
/// The page size of scans.
const VISIT_PAGE: usize = 500;
/// The largest number of history entries per request.
const MAX_HISTORY: usize = 10_000;

/// A store of one tenant's memories in its memory schema. It holds no state of its own.
#[derive(Debug, Clone)]
pub struct BackendMemoryStore {
    pub(super) lookup: Lookup,
    dims: usize,
    generation: u64,
    clock: Arc<dyn Clock>,
}

impl BackendMemoryStore {
    /// Creates a store over a tenant's deployed memory schema, whose vectors have `dims` cells.
    #[must_use]
    pub fn new(backend: Arc<dyn SearchBackend>, schema: TenantSchema, dims: usize, clock: Arc<dyn Clock>) -> Self {
        Self { lookup: Lookup::new(backend, schema), dims, generation: 1, clock }
    }

    /// Sets the generation of the tenant, which page cursors are bound to (default 1).
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    fn owner(&self) -> (&cogniverse_sdk::TenantId, u64) {
        (self.lookup.schema.tenant(), self.generation)
    }

    fn backend(&self) -> &Arc<dyn SearchBackend> {
        &self.lookup.backend
    }

    fn schema(&self) -> TenantSchema {
        self.lookup.schema.clone()
    }

    async fn put(&self, documents: Vec<Document>) -> Result<()> {
        for batch in documents.chunks(BATCH * 2) {
            stored(self.backend().put(PutRequest::new(self.schema(), batch.to_vec())).await?)?;
        }
        Ok(())
    }

    /// Writes the history entry of a change in advance. The result can undo it if the change fails.
    async fn announce(&self, event: Option<MemoryEvent>) -> Result<Option<cogniverse_sdk::DocumentId>> {
        let Some(event) = event else { return Ok(None) };
        let document = document::of_event(&event)?;
        let id = document.id.clone();
        self.put(vec![document]).await?;
        Ok(Some(id))
    }

    async fn take_back(&self, entry: Option<cogniverse_sdk::DocumentId>) {
        let ids = entry.into_iter().collect();
        if let Err(error) = self.backend().delete(DeleteRequest::ids(self.schema(), ids)).await {
            tracing::warn!(schema = %self.lookup.schema, "an entry of a history stays without its change: {}", error.chain());
        }
    }

    /// Creates a visit of every memory that matches a filter.
    fn visit(&self, filter: Filter) -> Option<VisitRequest> {
        Some(VisitRequest::new(self.schema()).with_page_size(VISIT_PAGE).with_filter(filter).without_vectors())
    }

    /// Returns the next page of a visit; `None` at the end.
    async fn next_page(&self, visit: &mut Option<VisitRequest>) -> Result<Option<Vec<Memory>>> {
        let Some(request) = visit.take() else { return Ok(None) };
        let found = self.backend().visit(request.clone()).await?;
        *visit = found.continuation.map(|next| request.with_continuation(Some(next)));
        found.documents.iter().map(|found| document::to_memory(found)).collect::<Result<_>>().map(Some)
    }
}

/// Fails where a document of a feed was not stored.
pub(super) fn stored(report: FeedReport) -> Result<()> {
    match report.outcomes.into_iter().find_map(|outcome| outcome.error) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[async_trait]
impl MemoryStore for BackendMemoryStore {
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
        let hashes: Vec<&str> = checked.iter().map(|(hash, ..)| hash.as_str()).collect();
        let mut known = self.lookup.by_hash(&scope, &hashes, now).await?;
        let (mut outcomes, mut documents) = (Vec::with_capacity(checked.len()), Vec::new());
        for (hash, new, vector) in checked {
            if let Some(memory) = known.alive.get(&hash) {
                outcomes.push(Added::Known(memory.clone()));
                continue;
            }
            let id = self.lookup.free_id(&scope, &hash, &known).await?;
            known.taken.push(id.clone());
            let reason = new.reason.clone();
            let memory = Memory::first(id, scope.clone(), new, now);
            documents.push(document::of_memory(&memory, Some(vector))?);
            if let Some(event) = event(MemoryEventKind::Added, None, Some(&memory), &reason, now) {
                documents.push(document::of_event(&event)?);
            }
            known.alive.insert(hash, memory.clone());
            outcomes.push(Added::Stored(memory));
        }
        self.put(documents).await?;
        Ok(outcomes)
    }

    async fn get(&self, request: GetMemory) -> Result<Option<Memory>> {
        let found = self.lookup.by_id(&request.scope, &request.id).await?;
        let now = self.clock.now();
        Ok(found.filter(|memory| request.expired || !memory.is_expired(now)))
    }

    async fn search(&self, request: SearchMemories) -> Result<MemoryHits> {
        check_top_k(request.top_k)?;
        let now = self.clock.now();
        let mut parts = vec![condition::within(MEMORY, &request.reach)?];
        parts.extend(condition::asked(&request.filter)?);
        if !request.expired {
            parts.push(condition::alive(now)?);
        }
        let vector = bounds::unit(&request.vector, self.dims)?;
        let (found, partial) = self.lookup.candidates(&request.text, vector, Filter::All(parts)).await?;
        let mut hits = Vec::new();
        for candidate in found {
            let memory = document::to_memory(&candidate.document)?;
            check_reach(&request.reach, &memory)?;
            let signals = request.weights.signals(candidate.cosine, candidate.bm25, age(&memory, now));
            if signals.semantic >= request.threshold {
                hits.push(MemoryHit::new(memory, request.weights.score(&signals), signals));
            }
        }
        Ok(MemoryHits::new(best(hits, request.top_k), partial))
    }

    async fn list(&self, request: ListMemories) -> Result<MemoryPage> {
        check_limit(request.limit)?;
        let place = Place::of(self.owner(), &request, self.clock.now())?;
        let mut parts = vec![condition::within(MEMORY, &request.reach)?];
        parts.extend(condition::asked(&request.filter)?);
        if !request.expired {
            parts.push(condition::alive(place.as_of)?);
        }
        let mut visit = VisitRequest::new(self.schema())
            .with_page_size(request.limit)
            .with_filter(Filter::All(parts))
            .without_vectors();
        if !place.at.is_empty() {
            visit = visit.with_continuation(Some(PageCursor::from_text(place.at.as_str())));
        }
        loop {
            let page = self.backend().visit(visit.clone()).await?;
            let memories: Vec<Memory> =
                page.documents.iter().map(|found| document::to_memory(found)).collect::<Result<_>>()?;
            memories.iter().try_for_each(|memory| check_reach(&request.reach, memory))?;
            match page.continuation {
                None => return Ok(MemoryPage::new(memories, None)),
                Some(next) if !memories.is_empty() => {
                    let next = place.next(self.owner(), &request, next.as_str().to_owned())?;
                    return Ok(MemoryPage::new(memories, Some(next)));
                }
                next => visit = visit.with_continuation(next),
            }
        }
    }

    async fn update(&self, request: UpdateMemory) -> Result<Memory> {
        let UpdateMemory { scope, id, mut change, reason, .. } = request;
        check_change(&mut change)?;
        let vector = change.text.as_ref().map(|(_, vector, _)| bounds::unit(vector, self.dims)).transpose()?;
        let now = self.clock.now();
        let before = self.lookup.by_id(&scope, &id).await?.ok_or_else(|| unknown(&scope, &id))?;
        let after = change.apply(&before, now);
        bounds::check_metadata(&after.metadata)?;
        if after.is_expired(now) && change.expires_at.is_none() {
            return Err(over(&before));
        }
        if change.text.is_some() {
            let hash = identity::content_hash(&after.text);
            let known = self.lookup.by_hash(&scope, &[&hash], now).await?;
            if let Some(other) = known.alive.values().chain(known.expired.values()).find(|memory| memory.id != id) {
                return Err(taken(&id, &other.id));
            }
        }
        let entry = self.announce(event(MemoryEventKind::Updated, Some(&before), Some(&after), &reason, now)).await?;
        let update = UpdateRequest::new(self.schema(), vec![document::of_change(&before, &after, vector)?]);
        match self.backend().update(update).await {
            Ok(report) if report.outcomes.iter().all(|outcome| outcome.error.is_none()) => Ok(after),
            Ok(report) => {
                // Refused, as for a memory that was deleted meanwhile: nothing changed.
                self.take_back(entry).await;
                stored(report)?;
                Err(Error::unexpected("an update was neither stored nor refused"))
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, request: DeleteMemory) -> Result<Memory> {
        let DeleteMemory { scope, id, reason, .. } = request;
        let memory = self.lookup.by_id(&scope, &id).await?.ok_or_else(|| unknown(&scope, &id))?;
        let gone = event(MemoryEventKind::Deleted, Some(&memory), None, &reason, self.clock.now());
        let entry = self.announce(gone).await?;
        let address = identity::memory_document(&identity::scope_digest(&scope), &id)?;
        if self.backend().delete(DeleteRequest::ids(self.schema(), vec![address])).await? == 0 {
            self.take_back(entry).await;
            return Err(unknown(&scope, &id));
        }
        Ok(memory)
    }

    async fn clear(&self, request: ClearMemories) -> Result<u64> {
        let ClearMemories { reach, only_expired, history, reason, .. } = request;
        let now = self.clock.now();
        let mut parts = vec![condition::within(MEMORY, &reach)?, condition::changed_until(now)?];
        if only_expired {
            parts.push(condition::expired(now)?);
        }
        if history && !only_expired {
            let gone = self.backend().delete(DeleteRequest::matching(self.schema(), Filter::All(parts))).await?;
            let entries = condition::within(EVENT, &reach)?;
            self.backend().delete(DeleteRequest::matching(self.schema(), entries)).await?;
            return Ok(gone);
        }
        let kind = if only_expired { MemoryEventKind::Expired } else { MemoryEventKind::Deleted };
        let mut visit = self.visit(Filter::All(parts.clone()));
        while let Some(memories) = self.next_page(&mut visit).await? {
            let entries = memories.iter().filter_map(|memory| event(kind, Some(memory), None, &reason, now));
            self.put(entries.map(|event| document::of_event(&event)).collect::<Result<_>>()?).await?;
        }
        // By the condition and not by the ids that were seen: what was renewed or changed meanwhile stays.
        let gone = self.backend().delete(DeleteRequest::matching(self.schema(), Filter::All(parts))).await?;
        if history {
            let entries = condition::within(EVENT, &reach)?;
            self.backend().delete(DeleteRequest::matching(self.schema(), entries)).await?;
        }
        Ok(gone)
    }

    async fn history(&self, request: MemoryHistory) -> Result<Vec<MemoryEvent>> {
        if !(1..=MAX_HISTORY).contains(&request.limit) {
            return Err(Error::invalid(format!(
                "a history of {} entries; give a limit from 1 to {MAX_HISTORY}",
                request.limit
            )));
        }
        let own = condition::within(EVENT, &MemoryReach::of(&request.scope))?
            .and(Filter::equals(field(ID)?, request.id.as_str()));
        let mut events = Vec::new();
        for document in self.lookup.unranked(own, MAX_HISTORY).await? {
            events.push(document::to_event(&document)?);
        }
        events.sort_by_key(|event| (event.at, event.revision));
        let skipped = events.len().saturating_sub(request.limit);
        Ok(events.into_iter().skip(skipped).collect())
    }

    async fn stats(&self, reach: &MemoryReach) -> Result<MemoryStats> {
        let now = self.clock.now();
        let mut stats = MemoryStats::none(self.lookup.schema.tenant().clone(), true);
        let mut visit = self.visit(condition::within(MEMORY, reach)?);
        while let Some(memories) = self.next_page(&mut visit).await? {
            memories.iter().for_each(|memory| stats.count(memory, now));
        }
        Ok(stats)
    }
}

/// Fails, without revealing it, on a memory outside the requested reach ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
fn check_reach(reach: &MemoryReach, memory: &Memory) -> Result<()> {
    if reach.contains(&memory.scope) {
        return Ok(());
    }
    Err(Error::unexpected("the backend answered a memory of another scope; it was not shown"))
}
