//! A backend that mixes tenants up, or watches what is asked of it.

#![allow(clippy::unwrap_used, dead_code, reason = "each test file uses its part; a test asserts")]

use async_trait::async_trait;
use cogniverse::{
    Error, Filter, Result,
    sdk::{
        BackendHits, BackendQuery, DeployedSchema, DocumentStore, FeedReport, OwnedDocument, Retention, SchemaStore,
        SearchBackend, TenantId, TenantSchema, TenantSnapshot,
        document_store::{DeleteRequest, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest},
        schema_store::{DeployReport, DeployRequest},
    },
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// A way in which a backend mixes tenants up.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It answers with the hits of this schema too.
    AnswersWith(TenantSchema),
    /// It remembers the answers to searches by strategy and text, and not by tenant.
    CachesWithoutTenant(Mutex<HashMap<String, BackendHits>>),
    /// It does not look whose place a continuation is.
    TakesAnyContinuation,
    /// It looks an id up in this schema too.
    FindsIdsOf(TenantSchema),
    /// It tells of this tenant in an error.
    TellsOf(TenantId),
}

/// A backend with a fault, or none.
#[derive(Debug)]
pub(crate) struct Leaky {
    inner: Arc<dyn SearchBackend>,
    fault: Option<Fault>,
    /// Whether the fault is not there yet.
    pub(crate) sound: AtomicBool,
    /// Documents that were asked for with their vectors.
    pub(crate) vectors_read: AtomicUsize,
}

impl Leaky {
    pub(crate) fn new(inner: Arc<dyn SearchBackend>, to: TenantSchema) -> Self {
        Self::with_fault(inner, Fault::AnswersWith(to))
    }

    pub(crate) fn with_fault(inner: Arc<dyn SearchBackend>, fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::that_watches(inner) }
    }

    fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref().filter(|_| !self.sound.load(Ordering::SeqCst))
    }

    /// Without the bug.
    pub(crate) fn that_watches(inner: Arc<dyn SearchBackend>) -> Self {
        Self { inner, fault: None, sound: AtomicBool::new(false), vectors_read: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl SearchBackend for Leaky {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        match self.fault() {
            Some(Fault::AnswersWith(to)) if to.base() == query.schema.base() => {
                let own = self.inner.search(query.clone()).await?;
                let mut other = query;
                other.schema = to.clone();
                let stolen = self.inner.search(other).await?;
                let hits = own.hits.into_iter().chain(stolen.hits).collect();
                Ok(BackendHits::new(hits, 2))
            }
            Some(Fault::CachesWithoutTenant(cache)) => {
                let key = format!("{} {} {:?} {:?}", query.schema.base(), query.strategy, query.text, query.filter);
                if let Some(known) = cache.lock().unwrap().get(&key) {
                    return Ok(known.clone());
                }
                let found = self.inner.search(query).await?;
                cache.lock().unwrap().insert(key, found.clone());
                Ok(found)
            }
            _ => self.inner.search(query).await,
        }
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
        let mut found = self.inner.get(request.clone()).await?;
        if let Some(Fault::FindsIdsOf(other)) = self.fault()
            && other.base() == request.schema.base()
        {
            let stolen = self.inner.get(GetRequest::new(other.clone(), request.ids)).await?;
            found.iter_mut().zip(stolen).for_each(|(slot, other)| *slot = slot.take().or(other));
        }
        Ok(found)
    }
    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        self.inner.delete(request).await
    }
    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        match self.inner.visit(request.clone()).await {
            Err(_) if matches!(self.fault(), Some(Fault::TakesAnyContinuation)) => {
                self.inner.visit(request.with_continuation(None)).await
            }
            answer => answer,
        }
    }
    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        match self.inner.list(request.clone()).await {
            Err(_) if matches!(self.fault(), Some(Fault::TakesAnyContinuation)) => {
                self.inner.list(request.with_continuation(None)).await
            }
            answer => answer,
        }
    }
    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        match self.fault() {
            Some(Fault::TellsOf(other)) if schema.tenant() != other => {
                Err(Error::invalid(format!("the documents are those of {other}")))
            }
            _ => self.inner.count(schema, filter).await,
        }
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        self.inner.snapshot(tenant).await
    }
}
