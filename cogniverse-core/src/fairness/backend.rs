//! The backend behind the scheduler.

use super::scheduler::{FairScheduler, Kind, Place};
use async_trait::async_trait;
use cogniverse_sdk::{
    BackendHits, BackendQuery, DeployedSchema, DocumentStore, FeedReport, Filter, OwnedDocument, Result, Retention,
    SchemaStore, SearchBackend, TenantId, TenantSchema, TenantSnapshot,
    document_store::{DeleteRequest, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
    schema_store::{DeployReport, DeployRequest},
};
use std::{sync::Arc, time::Duration};

/// A backend that serves its tenants in the order of a [`FairScheduler`]. Deployments are not scheduled, as they wait for
/// each other anyway.
///
/// The time that a call waited is the field `throttled_ms` of its span, where the span declares it.
#[derive(Debug, Clone)]
pub struct FairBackend {
    inner: Arc<dyn SearchBackend>,
    scheduler: FairScheduler,
}

impl FairBackend {
    /// Puts a scheduler in front of a backend.
    #[must_use]
    pub fn new(inner: Arc<dyn SearchBackend>, scheduler: FairScheduler) -> Self {
        Self { inner, scheduler }
    }

    async fn place(&self, schema: &TenantSchema, kind: Kind, scale: usize, limit: Option<Duration>) -> Result<Place> {
        let scale = f64::from(u32::try_from(scale.max(1)).unwrap_or(u32::MAX));
        let place = self.scheduler.place(schema.tenant(), kind, scale, limit).await?;
        let waited = u64::try_from(place.waited().as_millis()).unwrap_or(u64::MAX);
        if waited > 0 {
            tracing::Span::current().record("throttled_ms", waited);
        }
        Ok(place)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SearchBackend for FairBackend {
    async fn search(&self, mut query: BackendQuery) -> Result<BackendHits> {
        let place = self.place(&query.schema, Kind::Search, 1, query.timeout).await?;
        query.timeout = query.timeout.map(|limit| limit.saturating_sub(place.waited()));
        self.inner.search(query).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl DocumentStore for FairBackend {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        let _place = self.place(&request.schema, Kind::Write, request.documents.len(), None).await?;
        self.inner.put(request).await
    }

    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        let _place = self.place(&request.schema, Kind::Write, request.updates.len(), None).await?;
        self.inner.update(request).await
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let _place = self.place(&request.schema, Kind::Read, request.ids.len(), None).await?;
        self.inner.get(request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        let _place = self.place(&request.schema, Kind::Write, 1, None).await?;
        self.inner.delete(request).await
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        let _place = self.place(&request.schema, Kind::Read, request.page_size, None).await?;
        self.inner.visit(request).await
    }

    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        let _place = self.place(&request.schema, Kind::Read, request.page_size, None).await?;
        self.inner.list(request).await
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        let _place = self.place(schema, Kind::Read, 1, None).await?;
        self.inner.count(schema, filter).await
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        self.inner.snapshot(tenant).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SchemaStore for FairBackend {
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

    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        self.inner.drop_empty_schema(schema).await
    }

    async fn finish_drops(&self, tenant: &TenantId) -> Result<()> {
        self.inner.finish_drops(tenant).await
    }

    fn kept_after_drop(&self) -> Option<Retention> {
        self.inner.kept_after_drop()
    }
}
