//! One tenant's memory.

use super::{
    bounds,
    embedding::Embedding,
    inference::Inference,
    report::MemoryReport,
    request::{MemoryQuery, Remember, Revise},
    telemetry,
};
use crate::tenants::TenantRegistry;
use cogniverse_foundation::telemetry::TenantTelemetry;
use cogniverse_sdk::{
    AgentId, ChatRole, Clock, Error, Memory, MemoryEvent, MemoryHits, MemoryId, MemoryOrigin, MemoryPage, MemoryReach,
    MemoryScope, MemoryStats, MemoryStore, Result, TenantId, TextKind,
    memory::NewMemory,
    memory_store::{
        ClearMemories, DeleteMemory, GetMemory, ListMemories, MemoryChange, MemoryHistory, SearchMemories, UpdateMemory,
    },
};
use std::{fmt, sync::Arc};
use tracing::{Instrument, Span};

/// Messages of one turn, at most.
const MAX_MESSAGES: usize = 256;

/// The memory of one tenant, for all its agents, users and sessions. The tenant is part of it from when it is made: no call
/// takes one. Cheap to clone, and holds nothing in memory that a suspension would have to take away.
#[derive(Debug, Clone)]
pub struct MemoryManager {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) tenant: TenantId,
    pub(super) store: Arc<dyn MemoryStore>,
    pub(super) tenants: TenantRegistry,
    pub(super) embedding: Embedding,
    pub(super) inference: Option<Inference>,
    pub(super) telemetry: Option<TenantTelemetry>,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("tenant", &self.tenant)
            .field("model", &self.embedding.model())
            .field("infers", &self.inference.is_some())
            .finish_non_exhaustive()
    }
}

impl MemoryManager {
    /// Whose memory this is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.inner.tenant
    }

    /// Remembers what was said: each message as it is, or the facts that the language model draws from it.
    ///
    /// # Errors
    /// `InvalidInput` for an empty or longer text than [`bounds::MAX_TEXT`], control characters, or too much metadata;
    /// `FailedPrecondition` for a suspended tenant, or where facts shall be drawn and no language model is configured. A model
    /// that fails is no error: the report says so, and what was said is kept.
    ///
    /// # Cancellation
    /// What was decided before may be stored; adding the same again makes nothing twice.
    pub async fn add(&self, request: Remember) -> Result<MemoryReport> {
        let span = self.begin("add").await?;
        let added = async {
            let request = checked(request)?;
            if request.infer { self.infer(request).await } else { self.keep(&request, MemoryOrigin::Verbatim).await }
        };
        let report = self.end(&span, added.instrument(span.clone()).await)?;
        span.record("memory.count", report.decisions.len());
        span.record("memory.inferred", report.inferred);
        Ok(report)
    }

    /// Reads one memory of a scope; none where the scope does not have it, or its time is over.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn get(&self, scope: &MemoryScope, id: &MemoryId) -> Result<Option<Memory>> {
        let span = self.begin("get").await?;
        self.end(&span, self.store().get(GetMemory::new(scope.clone(), id.clone())).instrument(span.clone()).await)
    }

    /// Ranks memories by meaning, words and time (see [`cogniverse_sdk::MemoryWeights`] for the formula).
    ///
    /// # Errors
    /// `InvalidInput` for an empty query, a `top_k` outside 1 to 100, or a filter that no memory can be asked by; what the
    /// embedding model fails with, which is never an empty answer.
    pub async fn search(&self, query: MemoryQuery) -> Result<MemoryHits> {
        self.check_active().await?;
        let content = self.says_content();
        let span = telemetry::search(self.tenant(), &query.text, query.top_k, content);
        let found = self.end(&span, self.ranked(query).instrument(span.clone()).await)?;
        telemetry::found(&span, &found.hits, content);
        Ok(found)
    }

    async fn ranked(&self, query: MemoryQuery) -> Result<MemoryHits> {
        let MemoryQuery { reach, text, filter, top_k, threshold, weights, expired } = query;
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

    /// One page of all memories that a request means; follow [`MemoryPage::next`] for the rest.
    ///
    /// # Errors
    /// `InvalidInput` for a limit outside 1 to 1,000 and for a cursor of another tenant or list.
    pub async fn get_all(&self, request: ListMemories) -> Result<MemoryPage> {
        let span = self.begin("get_all").await?;
        let page = self.end(&span, self.store().list(request).instrument(span.clone()).await)?;
        span.record("memory.count", page.memories.len());
        Ok(page)
    }

    /// Changes one memory of a scope. Another text is embedded anew; when it was created stays.
    ///
    /// # Errors
    /// `NotFound` for an id that the scope does not have; `Conflict` where another memory of the scope has the text;
    /// `FailedPrecondition` where its time is over and the change does not renew it.
    pub async fn update(&self, scope: &MemoryScope, id: &MemoryId, revise: Revise) -> Result<Memory> {
        let span = self.begin("update").await?;
        self.end(&span, self.revise(scope, id, revise).instrument(span.clone()).await)
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

    /// Deletes one memory of a scope; answers with it as it was.
    ///
    /// # Errors
    /// `NotFound` for an id that the scope does not have.
    pub async fn delete(&self, scope: &MemoryScope, id: &MemoryId, reason: &str) -> Result<Memory> {
        let span = self.begin("delete").await?;
        let delete = DeleteMemory::new(scope.clone(), id.clone(), reason);
        self.end(&span, self.store().delete(delete).instrument(span.clone()).await)
    }

    /// Deletes all memories of an agent, of whatever user and session, pinned ones too; answers how many. The history stays.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn clear_agent(&self, agent: &AgentId) -> Result<u64> {
        self.clear(ClearMemories::new(MemoryReach::agent(agent.clone()), "the agent's memory was cleared")).await
    }

    /// Deletes all memories of the tenant; answers how many. The history stays.
    ///
    /// # Errors
    /// As [`MemoryManager::clear_agent`].
    pub async fn clear_tenant(&self) -> Result<u64> {
        self.clear(ClearMemories::new(MemoryReach::everything(), "the tenant's memory was cleared")).await
    }

    /// Takes away what is expired and not pinned; answers how much there was.
    ///
    /// # Errors
    /// As [`MemoryManager::clear_agent`].
    pub async fn purge_expired(&self) -> Result<u64> {
        self.clear(ClearMemories::new(MemoryReach::everything(), "its time was over").only_expired()).await
    }

    /// Deletes what a request means; answers how many memories there were.
    ///
    /// # Errors
    /// As [`MemoryManager::clear_agent`].
    pub async fn clear(&self, request: ClearMemories) -> Result<u64> {
        let span = self.begin("clear").await?;
        let gone = self.end(&span, self.store().clear(request).instrument(span.clone()).await)?;
        span.record("memory.count", gone);
        Ok(gone)
    }

    /// What became of one memory of a scope, oldest first; also after it is gone.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn history(&self, scope: &MemoryScope, id: &MemoryId) -> Result<Vec<MemoryEvent>> {
        let span = self.begin("history").await?;
        let request = MemoryHistory::new(scope.clone(), id.clone());
        self.end(&span, self.store().history(request).instrument(span.clone()).await)
    }

    /// Figures of the whole tenant.
    ///
    /// # Errors
    /// `FailedPrecondition` for a suspended tenant.
    pub async fn stats(&self) -> Result<MemoryStats> {
        self.stats_of(&MemoryReach::everything()).await
    }

    /// Figures of a reach.
    ///
    /// # Errors
    /// As [`MemoryManager::stats`].
    pub async fn stats_of(&self, reach: &MemoryReach) -> Result<MemoryStats> {
        let span = self.begin("stats").await?;
        self.end(&span, self.store().stats(reach).instrument(span.clone()).await)
    }

    pub(super) fn store(&self) -> &Arc<dyn MemoryStore> {
        &self.inner.store
    }

    /// A suspended tenant is not served, from the next call on.
    pub(super) async fn check_active(&self) -> Result<()> {
        self.inner.tenants.require_active(self.tenant()).await.map_err(|e| e.with_operation("memory"))?;
        if let Some(telemetry) = &self.inner.telemetry {
            telemetry.apply(self.tenant()).await;
        }
        Ok(())
    }

    pub(super) async fn begin(&self, name: &'static str) -> Result<Span> {
        self.check_active().await?;
        Ok(telemetry::call(self.tenant(), name))
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
        telemetry.is_some_and(|telemetry| telemetry.manager().records_content(self.tenant()))
    }

    /// A memory of a text, with all that a request says of it.
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

/// What can be remembered of a request: without the system's messages.
fn checked(mut request: Remember) -> Result<Remember> {
    request.messages.retain(|message| message.role != ChatRole::System);
    if request.messages.is_empty() {
        return Err(Error::invalid("there is no message to remember; give at least one of a user or an assistant"));
    }
    if request.messages.len() > MAX_MESSAGES {
        return Err(Error::invalid(format!(
            "{} messages shall be remembered; give at most {MAX_MESSAGES}, the newest",
            request.messages.len()
        )));
    }
    for message in &mut request.messages {
        message.content = bounds::check_text(&message.content)?.to_owned();
    }
    bounds::check_metadata(&request.metadata)?;
    Ok(request)
}
