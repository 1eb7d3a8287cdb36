//! A backend that mixes tenants up.

use async_trait::async_trait;
use cogniverse::{
    Filter, Result,
    sdk::{
        BackendHits, BackendQuery, DeployedSchema, Document, DocumentStore, FeedReport, SchemaStore, SearchBackend,
        TenantId, TenantSchema,
        document_store::{DeleteRequest, GetRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
        schema_store::{DeployReport, DeployRequest},
    },
};
use std::sync::Arc;

/// A backend with a bug: it answers with another tenant's hits.
#[derive(Debug)]
pub(crate) struct Leaky {
    pub(crate) inner: Arc<dyn SearchBackend>,
    pub(crate) to: TenantSchema,
}

#[async_trait]
impl SearchBackend for Leaky {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        let own = self.inner.search(query.clone()).await?;
        let mut other = query;
        other.schema = self.to.clone();
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
    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        self.inner.drop_schema(schema).await
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
    async fn get(&self, request: GetRequest) -> Result<Vec<Option<Document>>> {
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
