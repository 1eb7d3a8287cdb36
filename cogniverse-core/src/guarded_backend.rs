//! The guard around a backend: whose each hit and document is, checked in one place.

use async_trait::async_trait;
use cogniverse_sdk::{
    AuditEvent, AuditLog, BackendHits, BackendQuery, Caller, DeployedSchema, DocumentStore, Error, ErrorCode,
    FeedReport, Filter, OwnedDocument, Result, Retention, Retry, SchemaStore, SearchBackend, TenantId, TenantSchema,
    TenantSnapshot, Timestamp,
    document_store::{DeleteRequest, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
    schema_store::{DeployReport, DeployRequest},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The time beyond its own limit that a backend may take before its search is given up.
const GRACE: Duration = Duration::from_millis(250);

/// The reaction to a hit or document from another tenant's schema ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)). It is dropped, counted, logged and
/// recorded in the tenant's audit log in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LeakPolicy {
    /// Fail the call, as the backend cannot be trusted.
    #[default]
    Fail,
    /// Answer without it.
    Drop,
}

/// A backend whose answers are verified: each hit and document must be of the tenant schema that was asked for, and each
/// document of an id that was asked for. A search that outlives its time limit is given up.
///
/// Every service of this library takes this type, so that none can be built over a backend without the guard. Cheap to
/// clone; clones share the counter.
///
/// ```compile_fail,E0308
/// use cogniverse_core::{ingestion::Ingestor, schemas::SchemaManager, tenants::Gate};
/// use std::sync::Arc;
///
/// fn unguarded(backend: Arc<dyn cogniverse_sdk::SearchBackend>, schemas: SchemaManager, gate: Gate) -> Ingestor {
///     Ingestor::new(&backend, schemas, gate)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct GuardedBackend {
    inner: Arc<dyn SearchBackend>,
    audit: Arc<dyn AuditLog>,
    on_leak: LeakPolicy,
    leaked: Arc<AtomicU64>,
}

impl GuardedBackend {
    /// Guards a backend. Leaks are recorded in the audit log.
    #[must_use]
    pub fn new(inner: Arc<dyn SearchBackend>, audit: Arc<dyn AuditLog>) -> Self {
        Self { inner, audit, on_leak: LeakPolicy::default(), leaked: Arc::default() }
    }

    /// Sets the reaction to a hit or document of another tenant's schema (default: fail the call).
    #[must_use]
    pub fn with_leak_policy(mut self, policy: LeakPolicy) -> Self {
        self.on_leak = policy;
        self
    }

    /// Returns the number of hits and documents of other schemas so far. Any number above 0 is a bug of the backend.
    #[must_use]
    pub fn leaked(&self) -> u64 {
        self.leaked.load(Ordering::Relaxed)
    }

    /// Returns the backend as the trait object that its users hold.
    #[must_use]
    pub fn to_dyn(&self) -> Arc<dyn SearchBackend> {
        Arc::new(self.clone())
    }

    /// Returns a page without the documents of other schemas.
    async fn own(&self, schema: &TenantSchema, mut page: VisitPage) -> Result<VisitPage> {
        let before = page.documents.len();
        page.documents.retain(|document| document.schema == *schema);
        self.report(schema, before - page.documents.len()).await?;
        Ok(page)
    }

    /// Counts, logs and records what was dropped, and fails where the policy says so.
    async fn report(&self, schema: &TenantSchema, dropped: usize) -> Result<()> {
        if dropped == 0 {
            return Ok(());
        }
        let count = dropped as u64;
        self.leaked.fetch_add(count, Ordering::Relaxed);
        tracing::error!(tenant.id = %schema.tenant(), schema = %schema, leaked = count, "the backend answered with something of another schema");
        let event = AuditEvent::Leaked { schema: schema.base().clone(), count };
        if let Err(error) = self.audit.append(schema.tenant(), Caller::embedder().name(), event).await {
            tracing::error!("a leak is not in the audit log: {}", error.chain());
        }
        match self.on_leak {
            LeakPolicy::Drop => Ok(()),
            LeakPolicy::Fail => Err(Error::of(
                ErrorCode::IsolationViolation,
                format!(
                    "the backend answered {dropped} hits or documents of another tenant's schema; they were dropped"
                ),
            )
            .with_context("schema", schema)),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SearchBackend for GuardedBackend {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        let (schema, limit) = (query.schema.clone(), query.timeout);
        let search = self.inner.search(query);
        let mut found = match limit.and_then(|limit| limit.checked_add(GRACE)) {
            None => search.await?,
            Some(limit) => tokio::time::timeout(limit, search).await.map_err(|_| {
                Error::of(ErrorCode::SearchTimeout, "the backend did not end the search within its time limit")
                    .with_retry(Retry::After(None))
                    .with_context("schema", &schema)
            })??,
        };
        let before = found.hits.len();
        found.hits.retain(|hit| hit.schema == schema);
        self.report(&schema, before - found.hits.len()).await?;
        Ok(found)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl DocumentStore for GuardedBackend {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        self.inner.put(request).await
    }

    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        self.inner.update(request).await
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let (schema, ids) = (request.schema.clone(), request.ids.clone());
        let mut found = self.inner.get(request).await?;
        if found.len() != ids.len() {
            let message = format!("the backend answered {} documents to {} ids", found.len(), ids.len());
            return Err(Error::unexpected(message).with_context("schema", &schema));
        }
        let mut dropped = 0;
        for (slot, id) in found.iter_mut().zip(&ids) {
            if slot.as_ref().is_some_and(|document| document.schema != schema || document.id != *id) {
                *slot = None;
                dropped += 1;
            }
        }
        self.report(&schema, dropped).await?;
        Ok(found)
    }

    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        self.inner.delete(request).await
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        let schema = request.schema.clone();
        let page = self.inner.visit(request).await?;
        self.own(&schema, page).await
    }

    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        let schema = request.schema.clone();
        let page = self.inner.list(request).await?;
        self.own(&schema, page).await
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        self.inner.count(schema, filter).await
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        let Some(inner) = self.inner.snapshot(tenant).await? else { return Ok(None) };
        match inner.schemas().iter().all(|deployed| deployed.schema.tenant() == tenant) {
            true => Ok(Some(Arc::new(GuardedSnapshot { inner, guard: self.clone() }))),
            false => Err(of_another(tenant)),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SchemaStore for GuardedBackend {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        self.inner.plan(request).await
    }

    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        self.inner.deploy(request).await
    }

    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        let found = self.inner.list_schemas(tenant).await?;
        match found.iter().all(|deployed| deployed.schema.tenant() == tenant) {
            true => Ok(found),
            // Whoever erases or drops by such a list would take another tenant's.
            false => Err(of_another(tenant)),
        }
    }

    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        let served = self.inner.served(schema).await?;
        if served.schema == *schema {
            return Ok(served);
        }
        Err(Error::of(ErrorCode::IsolationViolation, "the backend answered another schema than it was asked for")
            .with_context("schema", schema))
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

/// A snapshot whose documents are verified.
#[derive(Debug)]
struct GuardedSnapshot {
    inner: Arc<dyn TenantSnapshot>,
    guard: GuardedBackend,
}

#[async_trait]
impl TenantSnapshot for GuardedSnapshot {
    fn taken_at(&self) -> Timestamp {
        self.inner.taken_at()
    }

    fn schemas(&self) -> &[DeployedSchema] {
        self.inner.schemas()
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        let schema = request.schema.clone();
        let page = self.inner.visit(request).await?;
        self.guard.own(&schema, page).await
    }
}

fn of_another(tenant: &TenantId) -> Error {
    Error::of(ErrorCode::IsolationViolation, "the backend listed schemas of another tenant")
        .with_context("tenant", tenant)
}
