//! Reads of the memory schema: by address, by text and by similarity.

use super::{
    condition,
    document::{self, HASH, ID, MEMORY, field},
    identity,
    known_texts::{KnownTexts, with_hash},
};
use cogniverse_sdk::{
    BackendHit, BackendQuery, Document, DocumentId, Error, ErrorCode, Filter, Matrix, Memory, MemoryId, MemoryReach,
    MemoryScope, Result, SearchBackend, StrategyName, TenantSchema, Timestamp, document_store::GetRequest,
    search_backend::Coverage,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The strategy that retrieves by vector and also scores words.
const BY_MEANING: &str = "by_meaning";
/// The strategy that retrieves by words and also scores vectors.
const BY_WORDS: &str = "by_words";
/// The unranked strategy, which returns what the filter matches.
const UNRANKED: &str = "unranked";
/// The `rerank_count` of both strategies, so that every hit has both scores.
const CANDIDATES: usize = 100;
/// The number of texts looked up together.
const TEXTS: usize = 256;
/// The number of taken ids to try before giving up.
const ATTEMPTS: u32 = 64;

/// A reader of one tenant's memory schema.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) backend: Arc<dyn SearchBackend>,
    pub(super) schema: TenantSchema,
}

/// A candidate hit with its raw signals.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) document: Document,
    pub(super) cosine: f64,
    pub(super) bm25: f64,
}

impl Lookup {
    pub(super) fn new(backend: Arc<dyn SearchBackend>, schema: TenantSchema) -> Self {
        Self { backend, schema }
    }

    /// Reads the memory at an address, which includes the scope.
    pub(super) async fn by_id(&self, scope: &MemoryScope, id: &MemoryId) -> Result<Option<Memory>> {
        let address = identity::memory_document(&identity::scope_digest(scope), id)?;
        let request = GetRequest::new(self.schema.clone(), vec![address]).without_vectors();
        let found = self.backend.get(request).await?.into_iter().next().flatten();
        found.map(|document| document::to_memory(&document)).transpose()
    }

    /// Returns a scope's memories with one of the texts, and those that occupy the first id of one.
    pub(super) async fn by_hash(&self, scope: &MemoryScope, hashes: &[&str], now: Timestamp) -> Result<KnownTexts> {
        let digest = identity::scope_digest(scope);
        let mut found = Vec::new();
        for hashes in hashes.chunks(TEXTS) {
            let first = |hash: &&str| identity::memory_id(&digest, hash, 0);
            let ids = hashes.iter().map(first).collect::<Result<Vec<_>>>()?;
            let ids = Filter::In(field(ID)?, ids.iter().map(|id| id.as_str().into()).collect());
            let filter = condition::within(MEMORY, &MemoryReach::of(scope))?;
            let filter = filter.and(Filter::Any(vec![with_hash(hashes)?, ids]));
            for document in self.unranked(filter, TEXTS * 2).await? {
                found.push((document.text(HASH).to_owned(), document::to_memory(&document)?));
            }
        }
        Ok(KnownTexts::of(found, hashes, now))
    }

    /// Returns an id for a text that its scope does not have: that of the expired memory with the text, or the first
    /// free one.
    pub(super) async fn free_id(&self, scope: &MemoryScope, hash: &str, known: &KnownTexts) -> Result<MemoryId> {
        if let Some(expired) = known.expired.get(hash) {
            return Ok(expired.id.clone());
        }
        let digest = identity::scope_digest(scope);
        let first = identity::memory_id(&digest, hash, 0)?;
        if !known.taken.contains(&first) {
            return Ok(first);
        }
        for attempt in 1..=ATTEMPTS {
            let id = identity::memory_id(&digest, hash, attempt)?;
            if self.by_id(scope, &id).await?.is_none() {
                return Ok(id);
            }
        }
        Err(Error::unexpected(format!("{ATTEMPTS} memories had this text and were changed; add another text")))
    }

    /// Returns what matches a filter, in address order.
    pub(super) async fn unranked(&self, filter: Filter, limit: usize) -> Result<Vec<Document>> {
        let query = BackendQuery::new(self.schema.clone(), StrategyName::parse(UNRANKED)?)
            .with_filter(Some(filter))
            .with_page(0, limit);
        let (hits, partial) = self.search(query).await?;
        match partial {
            // A text that was not seen would be stored twice, and an entry that was not seen would be lost (invariant 9).
            Some(reason) => Err(Error::new(cogniverse_sdk::ErrorKind::Unavailable, reason)
                .with_retry(cogniverse_sdk::Retry::After(None))
                .with_context("schema", &self.schema)),
            None => Ok(hits.into_iter().map(|hit| hit.document).collect()),
        }
    }

    /// Returns the best by vector and the best by words, each with both scores.
    pub(super) async fn candidates(
        &self,
        text: &str,
        vector: Vec<f32>,
        filter: Filter,
    ) -> Result<(Vec<Candidate>, Option<String>)> {
        let vectors = Matrix::new(vector.len(), vector)?;
        let query = |strategy: &str| -> Result<BackendQuery> {
            Ok(BackendQuery::new(self.schema.clone(), StrategyName::parse(strategy)?)
                .with_text(text)
                .with_vectors(vectors.clone())
                .with_filter(Some(filter.clone()))
                .with_page(0, CANDIDATES))
        };
        // Both at once; whoever gives up on this ends both.
        let mut beside = JoinSet::new();
        let (lookup, by_words) = (self.clone(), query(BY_WORDS)?);
        beside.spawn(async move { lookup.search(by_words).await }.in_current_span());
        let (near, partly_near) = self.search(query(BY_MEANING)?).await?;
        let said = beside.join_next().await.ok_or_else(|| Error::unexpected("a search of memories was not begun"))?;
        let (said, partly_said) =
            said.map_err(|e| Error::unexpected("a search of memories ended early").with_source(e))??;
        let mut candidates: BTreeMap<DocumentId, Candidate> = BTreeMap::new();
        for hit in said {
            let (bm25, cosine) = (hit.first_phase.unwrap_or_default(), hit.score);
            candidates.insert(hit.document.id.clone(), Candidate { document: hit.document, cosine, bm25 });
        }
        for hit in near {
            let (cosine, bm25) = (hit.first_phase.unwrap_or_default(), hit.score);
            candidates.insert(hit.document.id.clone(), Candidate { document: hit.document, cosine, bm25 });
        }
        Ok((candidates.into_values().collect(), partly_near.or(partly_said)))
    }

    /// Runs a search, checks the owner of every hit ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)), and returns the reason for partial coverage, if
    /// any.
    async fn search(&self, query: BackendQuery) -> Result<(Vec<BackendHit>, Option<String>)> {
        let found = self.backend.search(query).await?;
        if found.hits.iter().any(|hit| hit.schema != self.schema) {
            return Err(Error::of(
                ErrorCode::IsolationViolation,
                "the backend answered hits of another schema; they were not shown",
            )
            .with_context("schema", &self.schema));
        }
        let partial = match found.coverage {
            Coverage::Partial { reason, .. } => Some(reason),
            _ => None,
        };
        Ok((found.hits, partial))
    }
}
