//! The backend: what it holds, and `SchemaStore`.

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
    Clock, DeployedSchema, Result, SchemaStore, SystemClock, TenantId, TenantSchema,
    schema_store::{DeployReport, DeployRequest},
};
use futures_util::Stream;
use std::{collections::BTreeMap, sync::Arc};

/// The search backend on Vespa. Cheap to clone; clones share connections and what is known to be deployed.
#[derive(Debug, Clone)]
pub struct VespaBackend {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Arc<VespaClient>,
    deployer: Arc<Deployer>,
    catalog: Catalog,
    breaker: Arc<Breaker>,
    clock: Arc<dyn Clock>,
}

impl VespaBackend {
    /// A backend. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidInput` for a setting that cannot work.
    pub fn new(config: VespaConfig) -> Result<Self> {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// As [`VespaBackend::new`], with another clock for the times of deployments.
    ///
    /// # Errors
    /// As [`VespaBackend::new`].
    pub fn with_clock(config: VespaConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let age = config.catalog_age;
        let client = Arc::new(VespaClient::new(config)?);
        let deployer = Arc::new(Deployer::new(Arc::clone(&client), Arc::clone(&clock), config_schema::system_schema()));
        let catalog = Catalog::new(Arc::clone(&deployer), age);
        Ok(Self { inner: Arc::new(Inner { client, deployer, catalog, breaker: Arc::default(), clock }) })
    }

    /// What a deployment would do, by this library's reckoning and by Vespa's own check. Nothing is activated.
    ///
    /// # Errors
    /// As [`SchemaStore::deploy`].
    pub async fn plan_deployment(&self, request: &DeployRequest) -> Result<DeploymentPlan> {
        let schemas = deployment::compile_request(request)?;
        let change = Change::Deploy { request, schemas: &schemas };
        let (before, edit, prepared) = self.inner.deployer.rehearse(&change).await?;
        let actions = before.actions(self.config(), request, &schemas)?;
        Ok(DeploymentPlan::new(deployment::report(request, actions), None, &edit, prepared))
    }

    /// What dropping a schema would do, by this library's reckoning and by Vespa's own check. Nothing is activated.
    ///
    /// # Errors
    /// As [`SchemaStore::drop_schema`].
    pub async fn plan_drop(&self, schema: &TenantSchema) -> Result<DeploymentPlan> {
        let (_, edit, prepared) = self.inner.deployer.rehearse(&Change::Drop(schema)).await?;
        Ok(DeploymentPlan::new(DeployReport::new(Vec::new()), Some(schema.clone()), &edit, prepared))
    }

    /// The whole application package as a deployment would make it, by path, for a person to read. Only reads are sent.
    ///
    /// # Errors
    /// As [`SchemaStore::deploy`].
    pub async fn package(&self, request: &DeployRequest) -> Result<BTreeMap<String, Vec<u8>>> {
        let schemas = deployment::compile_request(request)?;
        self.inner.deployer.package(&Change::Deploy { request, schemas: &schemas }).await
    }

    /// Feeds operations of one tenant schema, and gives every operation's outcome as it comes.
    ///
    /// Memory stays bounded by [`VespaConfig::max_in_flight`], whatever the input's length; operations on one document keep
    /// their order.
    ///
    /// # Errors
    /// `NotFound` for a schema that is not deployed.
    pub async fn feed<S>(&self, schema: &TenantSchema, operations: S) -> Result<Feed<S>>
    where
        S: Stream<Item = FeedOperation>,
    {
        Ok(Feed::new(self.sender(schema).await?, operations))
    }

    pub(crate) async fn sender(&self, schema: &TenantSchema) -> Result<Arc<Sender>> {
        let understood = self.inner.catalog.schema(schema).await?;
        let (client, breaker) = (Arc::clone(&self.inner.client), Arc::clone(&self.inner.breaker));
        Ok(Arc::new(Sender::new(client, breaker, schema.clone(), understood)))
    }

    pub(crate) async fn schema(&self, schema: &TenantSchema) -> Result<Arc<Schema>> {
        self.inner.catalog.schema(schema).await
    }

    pub(crate) fn catalog(&self) -> &Catalog {
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
}

pub(crate) fn named(error: cogniverse_sdk::Error, operation: &'static str) -> cogniverse_sdk::Error {
    if error.operation().is_empty() { error.with_operation(operation) } else { error }
}
