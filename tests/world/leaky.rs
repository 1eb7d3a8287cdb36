//! A backend that mixes tenants up, or watches what is asked of it.

use async_trait::async_trait;
use cogniverse::{
    Filter, Result,
    sdk::{
        BackendHits, BackendQuery, DeployedSchema, DocumentStore, FeedReport, OwnedDocument, Retention, SchemaStore,
        SearchBackend, TenantId, TenantSchema,
        document_store::{DeleteRequest, GetRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
        schema_store::{DeployReport, DeployRequest},
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A backend with a bug: it answers with another tenant's hits, where it is told whose.
#[derive(Debug)]
pub(crate) struct Leaky {
    inner: Arc<dyn SearchBackend>,
    to: Option<TenantSchema>,
    /// Documents that were asked for with their vectors.
    pub(crate) vectors_read: AtomicUsize,
}

impl Leaky {
    pub(crate) fn new(inner: Arc<dyn SearchBackend>, to: TenantSchema) -> Self {
        Self { to: Some(to), ..Self::that_watches(inner) }
    }

    /// Without the bug.
    pub(crate) fn that_watches(inner: Arc<dyn SearchBackend>) -> Self {
        Self { inner, to: None, vectors_read: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl SearchBackend for Leaky {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        let own = self.inner.search(query.clone()).await?;
        let Some(to) = self.to.clone() else { return Ok(own) };
        let mut other = query;
        other.schema = to;
        let stolen = self.inner.search(other).await?;
        let hits = own.hits.into_iter().chain(stolen.hits).collect();
        Ok(BackendHits::new(hits, 2))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SchemaStore for Leaky {
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
    async fn finish_drops(&self, tenant: &TenantId) -> Result<()> {
        self.inner.finish_drops(tenant).await
    }
    fn kept_after_drop(&self) -> Option<Retention> {
        self.inner.kept_after_drop()
    }
    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        self.inner.drop_empty_schema(schema).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl DocumentStore for Leaky {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        self.inner.put(request).await
    }
    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        self.inner.update(request).await
    }
    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        self.vectors_read.fetch_add(if request.vectors { request.ids.len() } else { 0 }, Ordering::SeqCst);
        self.inner.get(request).await
    }
    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        self.inner.delete(request).await
    }
    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        self.inner.visit(request).await
    }
    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        self.inner.count(schema, filter).await
    }
}
