//! The layer that hides canaries from everything above it.

use crate::{
    memory,
    schemas::{MAX_WINDOW, MEMORY_BASE},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    BackendHits, BackendQuery, DeployedSchema, DocumentStore, Error, ErrorCode, FeedReport, Filter, OwnedDocument,
    Result, Retention, SchemaStore, SearchBackend, TenantId, TenantSchema, TenantSnapshot, Timestamp,
    document_store::{
        DeleteRequest, DeleteTarget, DocumentOutcome, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage,
        VisitRequest,
    },
    isolation::Canary,
    schema::{FieldType, Indexing},
    schema_store::{DeployReport, DeployRequest},
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

    /// Returns the canaries of a schema.
    async fn planted(&self, schema: &TenantSchema) -> Result<Vec<OwnedDocument>> {
        let mut ids = Canary::ids(schema.tenant())?;
        if schema.base().as_str() == MEMORY_BASE {
            ids.push(memory::canary_id(schema.tenant())?);
        }
        let found = self.inner.get(GetRequest::new(schema.clone(), ids).without_vectors()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns a filter that matches what the given one does, without the canaries that are planted; `None` where the schema
    /// has no field by which they can be told.
    async fn without(
        &self,
        schema: &TenantSchema,
        planted: &[OwnedDocument],
        filter: Option<&Filter>,
    ) -> Result<Option<Filter>> {
        let served = self.inner.served(schema).await?;
        let fields = &served.definition.document.fields;
        let attribute =
            fields.iter().find(|field| field.field_type == FieldType::String && field.has(Indexing::Attribute));
        let Some(attribute) = attribute else { return Ok(None) };
        let words = planted.iter().filter_map(|canary| canary.document.get(attribute.name.as_str()).cloned());
        let others = Filter::In(attribute.name.clone(), words.collect()).negate();
        let both = filter.map_or_else(|| others.clone(), |filter| Filter::All(vec![filter.clone(), others.clone()]));
        // One that is as large as it may be stays as it is.
        Ok(both.check().is_ok().then_some(both))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SearchBackend for HiddenCanaries {
    async fn search(&self, mut query: BackendQuery) -> Result<BackendHits> {
        // Counts by field cannot be corrected afterwards: what is planted is not matched at all.
        if !query.facets.is_empty() {
            let planted = self.planted(&query.schema).await?;
            if !planted.is_empty()
                && let Some(others) = self.without(&query.schema, &planted, query.filter.as_ref()).await?
            {
                query.filter = Some(others);
            }
        }
        let (limit, again) = (query.limit, query.clone());
        let mut found = self.inner.search(query).await?;
        let hide = |found: &mut BackendHits| {
            let before = found.hits.len();
            found.hits.retain(|hit| !Canary::is_reserved(&hit.document.id));
            before - found.hits.len()
        };
        if hide(&mut found) > 0 {
            let offset = again.offset;
            let wanted = (limit + Canary::DOCUMENTS + 1).min(MAX_WINDOW.saturating_sub(offset));
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
        if !request.updates.iter().any(|update| Canary::is_reserved(&update.id)) {
            return self.inner.update(request).await;
        }
        let UpdateRequest { schema, updates, .. } = request;
        let (reserved, updates): (Vec<_>, Vec<_>) =
            updates.into_iter().partition(|update| Canary::is_reserved(&update.id));
        let mut report = match updates.is_empty() {
            true => FeedReport::default(),
            false => self.inner.update(UpdateRequest::new(schema, updates)).await?,
        };
        for update in reserved {
            let error = Error::of(ErrorCode::NotFound, format!("there is no document \"{}\" to update", update.id));
            report.outcomes.push(DocumentOutcome::refused(update.id, error));
        }
        Ok(report)
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let mut found = self.inner.get(request).await?;
        for slot in &mut found {
            slot.take_if(|document| Canary::is_reserved(&document.id));
        }
        Ok(found)
    }

    async fn delete(&self, mut request: DeleteRequest) -> Result<u64> {
        match &mut request.target {
            DeleteTarget::Ids(ids) => ids.retain(|id| !Canary::is_reserved(id)),
            DeleteTarget::Matching(filter) => {
                let planted = self.planted(&request.schema).await?;
                if !planted.is_empty()
                    && let Some(others) = self.without(&request.schema, &planted, Some(filter)).await?
                {
                    *filter = others;
                }
            }
            _ => {}
        }
        self.inner.delete(request).await
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        self.inner.visit(request).await.map(without_canaries)
    }

    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        self.inner.list(request).await.map(without_canaries)
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        let planted = self.planted(schema).await?;
        if planted.is_empty() {
            return self.inner.count(schema, filter).await;
        }
        match self.without(schema, &planted, filter).await? {
            Some(others) => self.inner.count(schema, Some(&others)).await,
            None if filter.is_none() => Ok(self.inner.count(schema, None).await?.saturating_sub(planted.len() as u64)),
            None => self.inner.count(schema, filter).await,
        }
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        Ok(self.inner.snapshot(tenant).await?.map(|inner| Arc::new(HiddenSnapshot { inner }) as _))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SchemaStore for HiddenCanaries {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        self.inner.plan(request).await
    }

    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        self.inner.deploy(request).await
    }

    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.inner.list_schemas(tenant).await
    }

    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        self.inner.served(schema).await
    }

    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        self.inner.drop_schema(schema).await
    }

    /// A schema with canaries alone is empty.
    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        let planted: Vec<_> = self.planted(schema).await?.into_iter().map(|canary| canary.document.id).collect();
        if !planted.is_empty() {
            self.inner.delete(DeleteRequest::ids(schema.clone(), planted)).await?;
        }
        self.inner.drop_empty_schema(schema).await
    }

    async fn finish_drops(&self, tenant: &TenantId) -> Result<()> {
        self.inner.finish_drops(tenant).await
    }

    fn kept_after_drop(&self) -> Option<Retention> {
        self.inner.kept_after_drop()
    }
}

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
