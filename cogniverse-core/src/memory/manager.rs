//! The memories of one tenant.

use super::{
    bounds,
    embedding::Embedding,
    inference::Models,
    report::MemoryReport,
    request::{MemoryQuery, Remember, Revise},
    telemetry,
};
use crate::tenants::{Gate, TenantGrant};
use crate::text::check_words;
use cogniverse_foundation::telemetry::TelemetryManager;
use cogniverse_sdk::{
    AgentId, ChatRole, Clock, Error, Memory, MemoryEvent, MemoryHits, MemoryId, MemoryOrigin, MemoryPage, MemoryReach,
    MemoryScope, MemoryStats, MemoryStore, Operation, Result, TenantId, TextKind,
    memory::NewMemory,
    memory_store::{
        ClearMemories, DeleteMemory, GetMemory, ListMemories, MemoryChange, MemoryHistory, SearchMemories, UpdateMemory,
    },
};
use std::{fmt, sync::Arc, time::Duration};
use tracing::{Instrument, Span};

/// The largest number of messages in one turn.
const MAX_MESSAGES: usize = 256;

/// The memories of one tenant, for all its agents, users and sessions. The tenant is fixed at creation; no call takes
/// one. Cheap to clone, and without cached data that a suspension would have to evict.
#[derive(Debug, Clone)]
pub struct MemoryManager {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) tenant: TenantId,
    pub(super) store: Arc<dyn MemoryStore>,
    pub(super) generation: u64,
    pub(super) gate: Gate,
    pub(super) embedding: Embedding,
    pub(super) models: Option<Models>,
    pub(super) model_timeout: Duration,
    pub(super) telemetry: Option<TelemetryManager>,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("tenant", &self.tenant)
            .field("model", &self.embedding.model())
            .field("infers", &self.models.is_some())
            .finish_non_exhaustive()
    }
}

impl MemoryManager {
    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.inner.tenant
    }

    /// Stores each message as a memory, or the facts that the language model extracts from the messages.
    ///
    /// # Errors
    /// `InvalidInput` for a text that is empty or longer than [`bounds::MAX_TEXT`], control characters, or too much
    /// metadata; `FailedPrecondition` for a suspended tenant, or where facts are requested and no language model is
    /// configured. A failing model is not an error: the report says so, and the messages are stored verbatim.
    ///
    /// # Cancellation
    /// Decisions made before may have been applied; adding the same messages again creates no duplicates.
    pub async fn add(&self, request: Remember) -> Result<MemoryReport> {
        let (grant, span) = self.begin("add", Operation::Remember).await?;
        let added = async {
            let request = checked(request)?;
            if request.infer { self.infer(request).await } else { self.keep(&request, MemoryOrigin::Verbatim).await }
        };
        let report = self.end(&span, grant.run(added).instrument(span.clone()).await)?;
        span.record("memory.count", report.decisions.len());
        span.record("memory.inferred", report.inferred);
        Ok(report)
    }

    /// Returns one memory of a scope; `None` where the scope does not have it or it has expired.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn get(&self, scope: &MemoryScope, id: &MemoryId) -> Result<Option<Memory>> {
        let (grant, span) = self.begin("get", Operation::Recall).await?;
        self.end(
            &span,
            grant.run(self.store().get(GetMemory::new(scope.clone(), id.clone()))).instrument(span.clone()).await,
        )
    }

    /// Searches memories by similarity, words and recency (see [`cogniverse_sdk::MemoryWeights`] for the formula).
    ///
    /// # Errors
    /// `InvalidInput` for a query without a word, a `top_k` outside 1 to 100, or a filter that no memory can match;
    /// any error of the embedding model, which is never reported as an empty result.
    pub async fn search(&self, query: MemoryQuery) -> Result<MemoryHits> {
        let grant = self.admit(Operation::Recall).await?;
        let content = self.says_content();
        let span = telemetry::search(self.tenant(), &query.text, query.top_k, content);
        let found = self.end(&span, grant.run(self.ranked(query)).instrument(span.clone()).await)?;
        telemetry::found(&span, &found.hits, content);
        Ok(found)
    }

    async fn ranked(&self, query: MemoryQuery) -> Result<MemoryHits> {
        let MemoryQuery { reach, text, filter, top_k, threshold, weights, expired } = query;
        check_words(&text)?;
        let text = bounds::check_text(&text)?;
        let vector = self.inner.embedding.one(self.tenant(), text, TextKind::Query).await?;
        let mut search = SearchMemories::new(reach, text, vector)
            .with_top_k(top_k)
            .with_threshold(threshold)
            .with_weights(weights)
            .with_filter(filter);
        search.expired = expired;
        let found = self.store().search(search).await?;
        match found.hits.iter().find(|hit| hit.memory.model != self.inner.embedding.model()) {
            Some(hit) => Err(self.inner.embedding.refused(self.tenant(), &hit.memory.model)),
            None => Ok(found),
        }
    }

    /// Lists one page of the memories that a request selects; follow [`MemoryPage::next`] for the others.
    ///
    /// # Errors
    /// `InvalidInput` for a limit outside 1 to 1,000 and for a cursor of another tenant or list.
    pub async fn get_all(&self, request: ListMemories) -> Result<MemoryPage> {
        let (grant, span) = self.begin("get_all", Operation::Recall).await?;
        let page = self.end(&span, grant.run(self.store().list(request)).instrument(span.clone()).await)?;
        span.record("memory.count", page.memories.len());
        Ok(page)
    }

    /// Changes one memory of a scope. A new text is embedded again; the time of creation stays.
    ///
    /// # Errors
    /// `NotFound` for an id that the scope does not have; `Conflict` where another memory of the scope has the text;
    /// `FailedPrecondition` for an expired memory that the change does not renew.
    pub async fn update(&self, scope: &MemoryScope, id: &MemoryId, revise: Revise) -> Result<Memory> {
        let (grant, span) = self.begin("update", Operation::Remember).await?;
        self.end(&span, grant.run(self.revise(scope, id, revise)).instrument(span.clone()).await)
    }

    async fn revise(&self, scope: &MemoryScope, id: &MemoryId, revise: Revise) -> Result<Memory> {
        let text = revise.checked_text()?;
        let mut change = MemoryChange::new();
        if let Some(text) = text {
            let vector = self.inner.embedding.one(self.tenant(), &text, TextKind::Document).await?;
            change = change.with_text(text, vector, self.inner.embedding.model());
        }
        change.metadata = revise.metadata;
        change.expires_at = revise.expires_at;
        change.pinned = revise.pinned;
        self.store().update(UpdateMemory::new(scope.clone(), id.clone(), change, revise.reason)).await
    }

    /// Deletes one memory of a scope and returns its last state.
    ///
    /// # Errors
    /// `NotFound` for an id that the scope does not have.
    pub async fn delete(&self, scope: &MemoryScope, id: &MemoryId, reason: &str) -> Result<Memory> {
        let (grant, span) = self.begin("delete", Operation::Remember).await?;
        let delete = DeleteMemory::new(scope.clone(), id.clone(), reason);
        self.end(&span, grant.run(self.store().delete(delete)).instrument(span.clone()).await)
    }

    /// Deletes all memories of an agent, for every user and session and including pinned ones, and returns how many.
    /// The history stays.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn clear_agent(&self, agent: &AgentId) -> Result<u64> {
        self.clear(ClearMemories::new(MemoryReach::agent(agent.clone()), "the agent's memory was cleared")).await
    }

    /// Deletes all memories of the tenant and returns how many. The history stays.
    ///
    /// # Errors
    /// Those of [`MemoryManager::clear_agent`].
    pub async fn clear_tenant(&self) -> Result<u64> {
        self.clear(ClearMemories::new(MemoryReach::everything(), "the tenant's memory was cleared")).await
    }

    /// Deletes expired memories that are not pinned and returns how many.
    ///
    /// # Errors
    /// Those of [`MemoryManager::clear_agent`].
    pub async fn purge_expired(&self) -> Result<u64> {
        self.clear(ClearMemories::new(MemoryReach::everything(), "its time was over").only_expired()).await
    }

    /// Deletes what a request selects and returns the number of memories.
    ///
    /// # Errors
    /// Those of [`MemoryManager::clear_agent`].
    pub async fn clear(&self, request: ClearMemories) -> Result<u64> {
        let (grant, span) = self.begin("clear", Operation::Remember).await?;
        let gone = self.end(&span, grant.run(self.store().clear(request)).instrument(span.clone()).await)?;
        span.record("memory.count", gone);
        Ok(gone)
    }

    /// Returns the history of one memory of a scope, oldest entry first, even after the memory is deleted.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn history(&self, scope: &MemoryScope, id: &MemoryId) -> Result<Vec<MemoryEvent>> {
        let (grant, span) = self.begin("history", Operation::Recall).await?;
        let request = MemoryHistory::new(scope.clone(), id.clone());
        self.end(&span, grant.run(self.store().history(request)).instrument(span.clone()).await)
    }

    /// Returns statistics of the whole tenant.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn stats(&self) -> Result<MemoryStats> {
        self.stats_of(&MemoryReach::everything()).await
    }

    /// Returns statistics of a reach.
    ///
    /// # Errors
    /// Those of [`MemoryManager::stats`].
    pub async fn stats_of(&self, reach: &MemoryReach) -> Result<MemoryStats> {
        let (grant, span) = self.begin("stats", Operation::Recall).await?;
        self.end(&span, grant.run(self.store().stats(reach)).instrument(span.clone()).await)
    }

    pub(super) fn store(&self) -> &Arc<dyn MemoryStore> {
        &self.inner.store
    }

    /// Admits a call, of the generation that these memories were opened for.
    async fn admit(&self, operation: Operation) -> Result<TenantGrant> {
        let admitted = self.inner.gate.admit(self.tenant(), operation).await;
        let grant = admitted.map_err(|e| e.with_operation("memory"))?;
        grant.settle(grant.require_generation(self.inner.generation)).map_err(|e| e.with_operation("memory"))?;
        Ok(grant)
    }

    pub(super) async fn begin(&self, name: &'static str, operation: Operation) -> Result<(TenantGrant, Span)> {
        let grant = self.admit(operation).await?;
        Ok((grant, telemetry::call(self.tenant(), name)))
    }

    pub(super) fn end<T>(&self, span: &Span, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            span.in_scope(|| telemetry::failed(&error));
            let error = if error.operation().is_empty() { error.with_operation("memory") } else { error };
            error.with_context("tenant", self.tenant())
        })
    }

    fn says_content(&self) -> bool {
        let telemetry = self.inner.telemetry.as_ref();
        telemetry.is_some_and(|telemetry| telemetry.records_content(self.tenant()))
    }

    /// Creates a memory from a text and the attributes of a request.
    pub(super) fn draft(&self, request: &Remember, text: &str, vector: Vec<f32>, origin: MemoryOrigin) -> NewMemory {
        let mut new = NewMemory::new(text, vector, self.inner.embedding.model());
        new.origin = origin;
        new.metadata.clone_from(&request.metadata);
        new.pinned = request.pinned;
        new.expires_at = request.expires_at;
        new.reason.clone_from(&request.reason);
        new
    }
}

/// Validates a request and drops its system messages.
fn checked(mut request: Remember) -> Result<Remember> {
    request.messages.retain(|message| message.role != ChatRole::System);
    if request.messages.is_empty() {
        return Err(Error::invalid("there is no message to remember; give at least one of a user or an assistant"));
    }
    if request.messages.len() > MAX_MESSAGES {
        return Err(Error::invalid(format!(
            "{} messages were given; give at most {MAX_MESSAGES}, the newest",
            request.messages.len()
        )));
    }
    for message in &mut request.messages {
        message.content = bounds::check_text(&message.content)?.to_owned();
    }
    bounds::check_metadata(&request.metadata)?;
    Ok(request)
}
