//! The layer that hides canaries from everything above it.

use crate::{forward::forward_schema_store, memory, schemas::MEMORY_BASE};
use async_trait::async_trait;
use cogniverse_sdk::{
    BackendHits, BackendQuery, DeployedSchema, DocumentStore, Error, ErrorCode, FeedReport, Filter, OwnedDocument,
    Result, SearchBackend, TenantId, TenantSchema, TenantSnapshot, Timestamp,
    document_store::{DeleteRequest, DocumentOutcome, GetRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
    isolation::Canary,
    schema::{FieldType, Indexing},
};
use std::sync::Arc;

/// A backend whose canaries nobody meets: neither users nor quotas nor backups. The check of isolation works on the
/// backend behind it.
///
/// A hit that is a canary gives its place to the next one. A page that begins behind a canary can repeat the last hit of the
/// page before it, in the second that a check lasts.
#[derive(Debug, Clone)]
pub struct HiddenCanaries {
    inner: Arc<dyn SearchBackend>,
}

impl HiddenCanaries {
    /// Hides the canaries of a backend.
    #[must_use]
    pub fn new(inner: Arc<dyn SearchBackend>) -> Self {
        Self { inner }
    }

    /// Returns the condition that no canary meets, where the schema has one.
    async fn not_a_canary(&self, schema: &TenantSchema, word: &str) -> Result<Option<Filter>> {
        let served = self.inner.served(schema).await?;
        let fields = &served.definition.document.fields;
        let attribute =
            fields.iter().find(|field| field.field_type == FieldType::String && field.has(Indexing::Attribute));
        Ok(attribute.map(|field| Filter::equals(field.name.clone(), word).negate()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SearchBackend for HiddenCanaries {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        let (limit, again) = (query.limit, query.clone());
        let mut found = self.inner.search(query).await?;
        let hide = |found: &mut BackendHits| {
            let before = found.hits.len();
            found.hits.retain(|hit| !Canary::is_reserved(&hit.document.id));
            before - found.hits.len()
        };
        if hide(&mut found) > 0 {
            let wanted = limit + Canary::DOCUMENTS + 1;
            let offset = again.offset;
            found = self.inner.search(again.with_page(offset, wanted)).await?;
            let hidden = hide(&mut found);
            found.hits.truncate(limit);
            found.matched = found.matched.saturating_sub(hidden as u64);
        }
        Ok(found)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl DocumentStore for HiddenCanaries {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        if !request.documents.iter().any(|document| Canary::is_reserved(&document.id)) {
            return self.inner.put(request).await;
        }
        let PutRequest { schema, documents, .. } = request;
        let (reserved, documents): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| Canary::is_reserved(&document.id));
        let mut report = match documents.is_empty() {
            true => FeedReport::default(),
            false => self.inner.put(PutRequest::new(schema, documents)).await?,
        };
        for document in reserved {
            let message = format!("the id \"{}\" is kept for checks of isolation; choose another", document.id);
            report.outcomes.push(DocumentOutcome::refused(document.id, Error::of(ErrorCode::InvalidInput, message)));
        }
        Ok(report)
    }

    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        self.inner.update(request).await
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let mut found = self.inner.get(request).await?;
        for slot in &mut found {
            slot.take_if(|document| Canary::is_reserved(&document.id));
        }
        Ok(found)
    }

    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        self.inner.delete(request).await
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        self.inner.visit(request).await.map(without_canaries)
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        let mut ids = Canary::ids(schema.tenant())?;
        if schema.base().as_str() == MEMORY_BASE {
            ids.push(memory::canary_id(schema.tenant())?);
        }
        let planted = self.inner.get(GetRequest::new(schema.clone(), ids).without_vectors()).await?;
        let planted: Vec<OwnedDocument> = planted.into_iter().flatten().collect();
        let Some(first) = planted.first() else { return self.inner.count(schema, filter).await };
        let word = first.document.fields.values().find_map(|value| value.as_str()).unwrap_or_default();
        match self.not_a_canary(schema, word).await? {
            Some(others) => {
                let filter = filter.cloned().map_or_else(|| others.clone(), |filter| filter.and(others.clone()));
                self.inner.count(schema, Some(&filter)).await
            }
            None => Ok(self.inner.count(schema, filter).await?.saturating_sub(planted.len() as u64)),
        }
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        Ok(self.inner.snapshot(tenant).await?.map(|inner| Arc::new(HiddenSnapshot { inner }) as _))
    }
}

forward_schema_store!(HiddenCanaries);

/// A snapshot without its canaries.
#[derive(Debug)]
struct HiddenSnapshot {
    inner: Arc<dyn TenantSnapshot>,
}

#[async_trait]
impl TenantSnapshot for HiddenSnapshot {
    fn taken_at(&self) -> Timestamp {
        self.inner.taken_at()
    }

    fn schemas(&self) -> &[DeployedSchema] {
        self.inner.schemas()
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        self.inner.visit(request).await.map(without_canaries)
    }
}

fn without_canaries(mut page: VisitPage) -> VisitPage {
    page.documents.retain(|document| !Canary::is_reserved(&document.id));
    page
}
