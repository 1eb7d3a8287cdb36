//! Access to the memories of tenants.

use super::{
    backend_store::BackendMemoryStore,
    document::MODEL,
    embedding::Embedding,
    inference::{Models, TIMEOUT},
    lookup::Lookup,
    manager::{Inner, MemoryManager},
    schemas::{main, of_other_models, stage},
};
use crate::{
    guarded_backend::GuardedBackend,
    models::ModelRegistry,
    schemas::{SchemaManager, memory_schema},
    tenants::{Gate, TenantGrant},
};
use cogniverse_foundation::telemetry::TelemetryManager;
use cogniverse_sdk::{
    BaseSchema, Clock, Error, ErrorCode, ErrorKind, LanguageModel, Operation, Result, SchemaName, SearchBackend,
    SystemClock, TenantId, TenantSchema, TextEmbedder,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A service that opens tenants' memories on a backend, with one embedding model for all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryService {
    pub(super) backend: Arc<dyn SearchBackend>,
    pub(super) schemas: SchemaManager,
    pub(super) gate: Gate,
    pub(super) embedding: Embedding,
    models: Option<Models>,
    model_timeout: Duration,
    telemetry: Option<TelemetryManager>,
    clock: Arc<dyn Clock>,
    /// Tenants whose memories this process is re-embedding, shared by clones.
    pub(super) reembedding: Arc<Mutex<HashSet<TenantId>>>,
}

impl MemoryService {
    /// Creates a service over a backend with its schemas, a gate and an embedding model.
    ///
    /// # Errors
    /// `InvalidInput` for a model that makes several vectors of a text.
    pub fn new(
        backend: &GuardedBackend,
        schemas: SchemaManager,
        gate: Gate,
        embedder: Arc<dyn TextEmbedder>,
    ) -> Result<Self> {
        let embedding = Embedding::new(embedder)?;
        Ok(Self {
            backend: backend.to_dyn(),
            schemas,
            gate,
            embedding,
            models: None,
            model_timeout: TIMEOUT,
            telemetry: None,
            clock: Arc::new(SystemClock),
            reembedding: Arc::default(),
        })
    }

    /// Sets the language model that extracts facts for every tenant.
    #[must_use]
    pub fn with_language_model(mut self, model: Arc<dyn LanguageModel>) -> Self {
        self.models = Some(Models::One(model));
        self
    }

    /// Resolves the language model from each tenant's configuration. A configuration change applies from the next
    /// turn on, even to memories that are open.
    #[must_use]
    pub fn with_models(mut self, models: ModelRegistry) -> Self {
        self.models = Some(Models::OfTenants(models));
        self
    }

    /// Sets the timeout of each answer of the language model (default 30 s), after which messages are stored
    /// verbatim.
    #[must_use]
    pub fn with_model_timeout(mut self, timeout: Duration) -> Self {
        self.model_timeout = timeout;
        self
    }

    /// Sets the telemetry pipeline, which says for each tenant whether spans may record its texts.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TelemetryManager) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens a tenant's memories, deploying their schema if needed in the dimensions of the embedding model.
    ///
    /// # Errors
    /// `NotFound` and `FailedPrecondition` for a tenant that does not exist or is suspended; `FailedPrecondition`,
    /// with the remedy, where another model embedded the memories.
    pub async fn open(&self, tenant: &TenantId) -> Result<MemoryManager> {
        // To open is no call: those that follow are counted.
        let grant = self.gate.within_call().admit(tenant, Operation::Recall).await?;
        let schema = self.prepare(tenant).await?;
        Ok(self.manager(&grant, schema))
    }

    /// Returns the same service for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        Self { gate, ..self.clone() }
    }

    /// Deploys a tenant's schema of memories if needed, whatever the tenant's state.
    pub(crate) async fn prepare(&self, tenant: &TenantId) -> Result<TenantSchema> {
        let (schema, dims) = (main(tenant)?, self.embedding.dims());
        let deployed = self.schemas.list(tenant).await?;
        let definition = |name: &TenantSchema| {
            deployed.iter().find(|deployed| deployed.schema == *name).map(|deployed| Arc::clone(&deployed.definition))
        };
        if definition(&stage(tenant)?).is_some() {
            return Err(under_way(tenant));
        }
        match definition(&schema) {
            None => self.deploy(&schema, dims).await?,
            Some(known) if memory_schema::dims(&known) != Some(dims) => {
                // Where nothing was remembered there is nothing to embed anew.
                let former = memory_schema::dims(&known).unwrap_or_default();
                match self.backend.drop_empty_schema(&schema).await {
                    Ok(true) => self.deploy(&schema, dims).await?,
                    // Another call came first.
                    Err(e) if e.kind() == ErrorKind::NotFound => self.deploy(&schema, dims).await?,
                    Err(e) if e.kind() != ErrorKind::Unsupported => return Err(e),
                    Ok(false) | Err(_) => {
                        return Err(self.embedding.refused(tenant, &format!("a model of {former} dimensions")));
                    }
                }
            }
            Some(known) if *known != self.wanted(&schema, dims).await? => self.deploy(&schema, dims).await?,
            Some(_) => {}
        }
        self.require_model(tenant, &schema).await?;
        Ok(schema)
    }

    /// Returns a tenant's memories if it has any, without deploying or dropping schemas.
    ///
    /// # Errors
    /// Those of [`MemoryService::open`].
    pub async fn find(&self, grant: &TenantGrant) -> Result<Option<MemoryManager>> {
        let tenant = grant.tenant();
        let schema = main(tenant)?;
        let found = self.served(&schema).await?;
        match self.served(&stage(tenant)?).await {
            Ok(None) => {}
            Ok(Some(_)) => return Err(under_way(tenant)),
            // What is served goes on being served, as old as it is.
            Err(e) if found.is_some() && matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {}
            Err(e) => return Err(e),
        }
        let Some(known) = found else { return Ok(None) };
        if memory_schema::dims(&known) != Some(self.embedding.dims()) {
            if self.backend.count(&schema, None).await? == 0 {
                return Ok(None);
            }
            let dims = memory_schema::dims(&known).unwrap_or_default();
            return Err(self.embedding.refused(tenant, &format!("a model of {dims} dimensions")));
        }
        self.require_model(tenant, &schema).await?;
        Ok(Some(self.manager(grant, schema)))
    }

    async fn served(&self, schema: &TenantSchema) -> Result<Option<Arc<BaseSchema>>> {
        match self.backend.served(schema).await {
            Ok(served) => Ok(Some(served.definition)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn require_model(&self, tenant: &TenantId, schema: &TenantSchema) -> Result<()> {
        match self.other_model(schema).await? {
            None => Ok(()),
            Some(other) => Err(self.embedding.refused(tenant, &other)),
        }
    }

    fn manager(&self, grant: &TenantGrant, schema: TenantSchema) -> MemoryManager {
        let clock = Arc::clone(&self.clock);
        let store =
            BackendMemoryStore::new(Arc::clone(&self.backend), schema, self.embedding.dims(), Arc::clone(&clock))
                .with_generation(grant.generation());
        let inner = Inner {
            tenant: grant.tenant().clone(),
            generation: grant.generation(),
            store: Arc::new(store),
            gate: self.gate.clone(),
            embedding: self.embedding.clone(),
            models: self.models.clone(),
            model_timeout: self.model_timeout,
            telemetry: self.telemetry.clone(),
            clock,
        };
        MemoryManager { inner: Arc::new(inner) }
    }

    /// Returns another model that made a vector in the schema, if any.
    async fn other_model(&self, schema: &TenantSchema) -> Result<Option<String>> {
        let others = of_other_models(self.embedding.model())?;
        if self.backend.count(schema, Some(&others)).await? == 0 {
            return Ok(None);
        }
        let found = Lookup::new(Arc::clone(&self.backend), schema.clone()).unranked(others, 1).await?;
        Ok(Some(found.first().map(|document| document.text(MODEL)).unwrap_or("another model").to_owned()))
    }

    /// Returns the base schema of memories under a tenant schema's name, with the given dimensions.
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

fn under_way(tenant: &TenantId) -> Error {
    Error::of(
        ErrorCode::ReembeddingUnfinished,
        format!("the memories of tenant \"{tenant}\" are being re-embedded; call `reembed` again to end it"),
    )
}
