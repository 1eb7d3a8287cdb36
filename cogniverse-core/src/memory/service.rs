//! Opening the memories of tenants.

use super::{
    backend_store::BackendMemoryStore,
    document::{KIND, MEMORY, MODEL, field},
    embedding::Embedding,
    inference::{Inference, TIMEOUT},
    lookup::Lookup,
    manager::{Inner, MemoryManager},
    reembed,
};
use crate::{
    schemas::{SchemaManager, memory_schema},
    tenants::TenantRegistry,
};
use cogniverse_foundation::telemetry::TenantTelemetry;
use cogniverse_sdk::{
    BaseSchema, Clock, Error, ErrorKind, Filter, LanguageModel, Result, SchemaName, SearchBackend, SystemClock,
    TenantId, TenantSchema, TextEmbedder,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Opens tenants' memories on a backend, with one embedding model for all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryService {
    pub(super) backend: Arc<dyn SearchBackend>,
    pub(super) schemas: SchemaManager,
    pub(super) tenants: TenantRegistry,
    pub(super) embedding: Embedding,
    inference: Option<Inference>,
    telemetry: Option<TenantTelemetry>,
    clock: Arc<dyn Clock>,
    /// Tenants whose memories this process embeds anew, shared by clones.
    pub(super) reembedding: Arc<Mutex<HashSet<TenantId>>>,
}

impl MemoryService {
    /// On a backend, with its schemas and tenants, and a model for vectors.
    ///
    /// # Errors
    /// `InvalidInput` for a model that makes many vectors of a text.
    pub fn new(
        backend: Arc<dyn SearchBackend>,
        schemas: SchemaManager,
        tenants: TenantRegistry,
        embedder: Arc<dyn TextEmbedder>,
    ) -> Result<Self> {
        let embedding = Embedding::new(embedder)?;
        Ok(Self {
            backend,
            schemas,
            tenants,
            embedding,
            inference: None,
            telemetry: None,
            clock: Arc::new(SystemClock),
            reembedding: Arc::default(),
        })
    }

    /// A model that draws facts from what was said, and decides about them.
    #[must_use]
    pub fn with_language_model(mut self, model: Arc<dyn LanguageModel>) -> Self {
        self.inference = Some(Inference { model, timeout: TIMEOUT });
        self
    }

    /// Time for each of the language model's answers (default 30 s), after which what was said is kept as it is.
    #[must_use]
    pub fn with_model_timeout(mut self, timeout: Duration) -> Self {
        if let Some(inference) = &mut self.inference {
            inference.timeout = timeout;
        }
        self
    }

    /// Brings tenants' telemetry configuration to the pipeline before their spans begin.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TenantTelemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A tenant's memory; its schema is deployed where it is not, in the dimensions of the embedding model.
    ///
    /// # Errors
    /// `NotFound` and `FailedPrecondition` for a tenant that does not exist or is suspended; `FailedPrecondition` where the
    /// memories were embedded by another model, with the way out.
    pub async fn open(&self, tenant: &TenantId) -> Result<MemoryManager> {
        match self.find(tenant).await? {
            Some(found) => Ok(found),
            None => {
                self.deploy(&main(tenant)?, self.embedding.dims()).await?;
                Ok(self.manager(tenant, main(tenant)?))
            }
        }
    }

    /// A tenant's memory where there is one. Deploys nothing but other ways to rank.
    ///
    /// # Errors
    /// As [`MemoryService::open`].
    pub async fn find(&self, tenant: &TenantId) -> Result<Option<MemoryManager>> {
        self.tenants.require_active(tenant).await?;
        let deployed = self.schemas.list(tenant).await?;
        let definition = |name: &TenantSchema| {
            deployed.iter().find(|deployed| deployed.schema == *name).map(|deployed| Arc::clone(&deployed.definition))
        };
        if definition(&reembed::stage(tenant)?).is_some() {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!("the memories of tenant \"{tenant}\" are being embedded anew; call `reembed` again to end it"),
            ));
        }
        let schema = main(tenant)?;
        let Some(known) = definition(&schema) else { return Ok(None) };
        if memory_schema::dims(&known) != Some(self.embedding.dims()) {
            if self.backend.count(&schema, None).await? > 0 {
                let dims = memory_schema::dims(&known).unwrap_or_default();
                return Err(self.embedding.refused(tenant, &format!("a model of {dims} dimensions")));
            }
            // Nothing was remembered: there is nothing to embed anew.
            self.backend.drop_schema(&schema).await?;
            self.deploy(&schema, self.embedding.dims()).await?;
        } else if *known != self.wanted(&schema, self.embedding.dims()).await? {
            self.deploy(&schema, self.embedding.dims()).await?;
        }
        if let Some(other) = self.other_model(&schema).await? {
            return Err(self.embedding.refused(tenant, &other));
        }
        Ok(Some(self.manager(tenant, schema)))
    }

    fn manager(&self, tenant: &TenantId, schema: TenantSchema) -> MemoryManager {
        let clock = Arc::clone(&self.clock);
        let store =
            BackendMemoryStore::new(Arc::clone(&self.backend), schema, self.embedding.dims(), Arc::clone(&clock));
        let inner = Inner {
            tenant: tenant.clone(),
            store: Arc::new(store),
            tenants: self.tenants.clone(),
            embedding: self.embedding.clone(),
            inference: self.inference.clone(),
            telemetry: self.telemetry.clone(),
            clock,
        };
        MemoryManager { inner: Arc::new(inner) }
    }

    /// A model other than this one that made a vector of the schema.
    async fn other_model(&self, schema: &TenantSchema) -> Result<Option<String>> {
        let others = of_other_models(self.embedding.model())?;
        if self.backend.count(schema, Some(&others)).await? == 0 {
            return Ok(None);
        }
        let found = Lookup::new(Arc::clone(&self.backend), schema.clone()).unranked(others, 1).await?;
        Ok(Some(found.first().map(|document| document.text(MODEL)).unwrap_or("another model").to_owned()))
    }

    /// The base schema of memories under the name of a tenant schema, in dimensions.
    async fn wanted(&self, schema: &TenantSchema, dims: usize) -> Result<BaseSchema> {
        let base = self.schemas.loader().load(&SchemaName::parse(memory_schema::BASE)?).await?;
        let mut wanted = memory_schema::with_dims(&base, dims)?;
        wanted.name = schema.base().clone();
        Ok(wanted)
    }

    pub(super) async fn deploy(&self, schema: &TenantSchema, dims: usize) -> Result<()> {
        let definition = Arc::new(self.wanted(schema, dims).await?);
        let deployment = SchemaDeployment { schema: schema.clone(), definition };
        self.backend.deploy(DeployRequest::new(vec![deployment])).await.map(|_| ())
    }
}

/// A tenant's memory schema.
pub(super) fn main(tenant: &TenantId) -> Result<TenantSchema> {
    Ok(TenantSchema::new(tenant, &SchemaName::parse(memory_schema::BASE)?))
}

/// Memories that another model embedded.
pub(super) fn of_other_models(model: &str) -> Result<Filter> {
    Ok(Filter::equals(field(KIND)?, MEMORY).and(Filter::equals(field(MODEL)?, model).negate()))
}
