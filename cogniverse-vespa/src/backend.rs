//! The Vespa backend and its `SchemaStore` implementation.

use crate::{
    application::Change,
    catalog::Catalog,
    client::VespaClient,
    config::VespaConfig,
    config_schema,
    deploy::Deployer,
    feed::{Breaker, Feed, FeedOperation, Sender},
    plan::DeploymentPlan,
};
use async_trait::async_trait;
use cogniverse_core::schemas::{Schema, deployment};
use cogniverse_sdk::{
    Clock, DeployedSchema, Result, Retention, SchemaStore, SystemClock, TenantId, TenantSchema,
    schema_store::{DeployReport, DeployRequest},
};
use futures_util::Stream;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Vespa's default age at which removed documents are forgotten: two weeks.
const TOMBSTONES: Duration = Duration::from_secs(14 * 24 * 3600);

/// The search backend on Vespa. Cheap to clone; clones share connections and the cached catalog.
#[derive(Debug, Clone)]
pub struct VespaBackend {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Arc<VespaClient>,
    deployer: Arc<Deployer>,
    catalog: Arc<Catalog>,
    breaker: Arc<Breaker>,
    clock: Arc<dyn Clock>,
}

impl VespaBackend {
    /// Creates a backend. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an invalid setting.
    pub fn new(config: VespaConfig) -> Result<Self> {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// Creates a backend with another clock for deployment times.
    ///
    /// # Errors
    /// Those of [`VespaBackend::new`].
    pub fn with_clock(config: VespaConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let age = config.catalog_age;
        let client = Arc::new(VespaClient::new(config)?);
        let deployer = Arc::new(Deployer::new(Arc::clone(&client), Arc::clone(&clock), config_schema::system_schema()));
        let catalog = Arc::new(Catalog::new(Arc::clone(&deployer), age));
        Ok(Self { inner: Arc::new(Inner { client, deployer, catalog, breaker: Arc::default(), clock }) })
    }

    /// Plans a deployment, by this library's comparison and Vespa's own validation. Nothing is activated.
    ///
    /// # Errors
    /// Those of [`SchemaStore::deploy`].
    pub async fn plan_deployment(&self, request: &DeployRequest) -> Result<DeploymentPlan> {
        let schemas = deployment::compile_request(request)?;
        let change = Change::Deploy { request, schemas: &schemas };
        let (before, edit, prepared) = self.inner.deployer.rehearse(&change).await?;
        let actions = before.actions(self.config(), request, &schemas)?;
        Ok(DeploymentPlan::new(deployment::report(request, actions), None, &edit, prepared))
    }

    /// Plans the drop of a schema, by this library's comparison and Vespa's own validation. Nothing is activated.
    ///
    /// # Errors
    /// Those of [`SchemaStore::drop_schema`].
    pub async fn plan_drop(&self, schema: &TenantSchema) -> Result<DeploymentPlan> {
        let (_, edit, prepared) = self.inner.deployer.rehearse(&Change::Drop(schema)).await?;
        Ok(DeploymentPlan::new(DeployReport::new(Vec::new()), Some(schema.clone()), &edit, prepared))
    }

    /// Returns the complete application package that a deployment would create, by path, for inspection. Only reads
    /// are sent.
    ///
    /// # Errors
    /// Those of [`SchemaStore::deploy`].
    pub async fn package(&self, request: &DeployRequest) -> Result<BTreeMap<String, Vec<u8>>> {
        let schemas = deployment::compile_request(request)?;
        self.inner.deployer.package(&Change::Deploy { request, schemas: &schemas }).await
    }

    /// Feeds operations to one tenant schema and yields the outcome of each as it arrives.
    ///
    /// Memory is bounded by [`VespaConfig::max_in_flight`], whatever the length of the input; operations on the same
    /// document keep their order.
    ///
    /// # Errors
    /// `NotFound` for a schema that is not deployed.
    pub async fn feed<S>(&self, schema: &TenantSchema, operations: S) -> Result<Feed<S>>
    where
        S: Stream<Item = FeedOperation>,
    {
        Ok(Feed::new(Arc::new(self.sender(schema).await?), operations))
    }

    pub(crate) async fn sender(&self, schema: &TenantSchema) -> Result<Sender> {
        let understood = self.inner.catalog.schema(schema).await?;
        let (client, breaker) = (Arc::clone(&self.inner.client), Arc::clone(&self.inner.breaker));
        Ok(Sender::new(client, breaker, schema.clone(), understood))
    }

    pub(crate) async fn schema(&self, schema: &TenantSchema) -> Result<Arc<Schema>> {
        self.inner.catalog.schema(schema).await
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.inner.catalog
    }

    pub(crate) fn client(&self) -> &Arc<VespaClient> {
        &self.inner.client
    }

    pub(crate) fn config(&self) -> &VespaConfig {
        &self.inner.client.config
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub(crate) fn deployer(&self) -> &Arc<Deployer> {
        &self.inner.deployer
    }
}

#[async_trait]
impl SchemaStore for VespaBackend {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        let schemas = deployment::compile_request(request)?;
        let actions = self.inner.deployer.current().await?.actions(self.config(), request, &schemas)?;
        Ok(deployment::report(request, actions))
    }

    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        let schemas = deployment::compile_request(&request)?;
        let change = Change::Deploy { request: &request, schemas: &schemas };
        let before = self.inner.deployer.apply(&change).await.map_err(|e| named(e, "deploy"));
        self.inner.catalog.forget();
        let actions = before?.actions(self.config(), &request, &schemas)?;
        Ok(deployment::report(&request, actions))
    }

    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.inner.catalog.list(tenant).await
    }

    /// At most [`VespaConfig::catalog_age`] old while the config server answers; what was known last while it does not.
    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        self.inner.catalog.served(schema).await.map_err(|e| named(e, "served"))
    }

    /// Two deployments: the schema goes, and then the permission to remove schemas goes.
    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        let dropped = self.inner.deployer.apply(&Change::Drop(schema)).await.map_err(|e| named(e, "drop"));
        self.inner.catalog.forget();
        // Whatever became of the drop, also of an earlier one: its permission is not to outlive it. A crash here leaves it to
        // the next deployment, which takes it out, and to its date.
        let tidied = self.inner.deployer.apply(&Change::Tidy).await.map_err(|e| named(e, "drop"));
        dropped?;
        tidied.map(|_| ())
    }

    /// Takes out a permission that an interrupted drop left behind.
    async fn finish_drops(&self, _tenant: &TenantId) -> Result<()> {
        self.inner.deployer.apply(&Change::Tidy).await.map_err(|e| named(e, "drop")).map(|_| ())
    }

    /// Vespa's document database remembers removed documents by their ids until its removed-documents prune age is over.
    fn kept_after_drop(&self) -> Option<Retention> {
        let until = self.clock().now().checked_add(TOMBSTONES).ok();
        let reason = "Vespa keeps the ids of removed documents, not their content, for two weeks by default";
        Some(until.map_or_else(|| Retention::for_good(reason), |until| Retention::until(until, reason)))
    }
}

pub(crate) fn named(error: cogniverse_sdk::Error, operation: &'static str) -> cogniverse_sdk::Error {
    if error.operation().is_empty() { error.with_operation(operation) } else { error }
}
