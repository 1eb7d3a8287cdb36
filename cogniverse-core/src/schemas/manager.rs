//! A tenant's schemas: deploy, list, describe, verify, drop.

use super::{Schema, SchemaDescription, SchemaDifference, memory_schema};
use cogniverse_sdk::{
    BaseSchema, DeployedSchema, Error, ErrorKind, Result, SchemaLoader, SchemaName, SearchBackend, TenantId,
    TenantSchema,
    schema_store::{DeployReport, DeployRequest, SchemaDeployment},
};
use std::sync::Arc;

/// Brings base schemas to tenants. Holds no state of its own: what is deployed is what the backend says.
#[derive(Debug, Clone)]
pub struct SchemaManager {
    loader: Arc<dyn SchemaLoader>,
    backend: Arc<dyn SearchBackend>,
}

/// How a tenant's copy of a base schema stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaHealth {
    /// It is deployed and equals the base schema.
    Healthy,
    /// It is not deployed; deploy it.
    Missing,
    /// The base schema ranks in other ways; deploy it again to take them over.
    RankingDiffers(Vec<String>),
    /// The base schema has other fields; drop it by name, deploy it and ingest again.
    FieldsDiffer(Vec<String>),
}

impl SchemaManager {
    /// From base schemas to a backend.
    #[must_use]
    pub fn new(loader: Arc<dyn SchemaLoader>, backend: Arc<dyn SearchBackend>) -> Self {
        Self { loader, backend }
    }

    /// Deploys one base schema for a tenant. Again: changes nothing.
    ///
    /// # Errors
    /// `NotFound` for a base schema that does not exist; as [`cogniverse_sdk::SchemaStore::deploy`].
    pub async fn deploy(&self, tenant: &TenantId, base: &SchemaName) -> Result<DeployReport> {
        self.backend.deploy(self.request(tenant, Some(base)).await?).await
    }

    /// Deploys every base schema for a tenant: all or none.
    ///
    /// # Errors
    /// As [`SchemaManager::deploy`].
    pub async fn deploy_all(&self, tenant: &TenantId) -> Result<DeployReport> {
        self.backend.deploy(self.request(tenant, None).await?).await
    }

    /// What [`SchemaManager::deploy`] would do.
    ///
    /// # Errors
    /// As [`SchemaManager::deploy`].
    pub async fn plan(&self, tenant: &TenantId, base: &SchemaName) -> Result<DeployReport> {
        self.backend.plan(&self.request(tenant, Some(base)).await?).await
    }

    /// What [`SchemaManager::deploy_all`] would do.
    ///
    /// # Errors
    /// As [`SchemaManager::deploy`].
    pub async fn plan_all(&self, tenant: &TenantId) -> Result<DeployReport> {
        self.backend.plan(&self.request(tenant, None).await?).await
    }

    /// What deploying one base schema, or all, for a tenant asks of a backend.
    ///
    /// # Errors
    /// As [`SchemaManager::deploy`].
    pub async fn request(&self, tenant: &TenantId, base: Option<&SchemaName>) -> Result<DeployRequest> {
        let bases = match base {
            Some(base) => vec![base.clone()],
            None => self.loader.list().await?,
        };
        let mut deployments = Vec::with_capacity(bases.len());
        for base in bases {
            deployments.push(self.deployment(tenant, &base).await?);
        }
        Ok(DeployRequest::new(deployments))
    }

    async fn deployment(&self, tenant: &TenantId, base: &SchemaName) -> Result<SchemaDeployment> {
        Ok(SchemaDeployment {
            schema: TenantSchema::new(tenant, base),
            definition: self.definition(tenant, base).await?,
        })
    }

    /// The base schema, as it is for the tenant: memories keep the dimensions that they were deployed with, which follow the
    /// tenant's embedding model and not the file.
    async fn definition(&self, tenant: &TenantId, base: &SchemaName) -> Result<Arc<BaseSchema>> {
        let definition = self.loader.load(base).await?;
        if base.as_str() != memory_schema::BASE {
            return Ok(definition);
        }
        let deployed = self.list(tenant).await?;
        let deployed = deployed.iter().find(|deployed| deployed.schema.base() == base);
        match deployed.and_then(|deployed| memory_schema::dims(&deployed.definition)) {
            Some(dims) => memory_schema::with_dims(&definition, dims).map(Arc::new),
            None => Ok(definition),
        }
    }

    /// Where base schemas come from.
    #[must_use]
    pub fn loader(&self) -> &Arc<dyn SchemaLoader> {
        &self.loader
    }

    /// The base schemas that can be deployed.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn available(&self) -> Result<Vec<SchemaName>> {
        self.loader.list().await
    }

    /// A tenant's schemas, by base.
    ///
    /// # Errors
    /// Where they cannot be read, which is never an empty list.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.backend.list_schemas(tenant).await
    }

    /// A tenant's deployed schema, understood.
    ///
    /// # Errors
    /// `NotFound` with the tenant's schemas and the remedy.
    pub async fn schema(&self, tenant: &TenantId, base: &SchemaName) -> Result<Arc<Schema>> {
        let deployed = self.list(tenant).await?;
        match deployed.iter().find(|deployed| deployed.schema.base() == base) {
            Some(found) => Ok(Arc::new(Schema::compile(Arc::clone(&found.definition))?)),
            None => {
                let bases = deployed.iter().map(|deployed| deployed.schema.base());
                let unknown = Error::unknown("deployed schema", base, bases);
                let message = format!(
                    "{}; deploy it: cargo run --example deploy_schemas -- --tenant-id {tenant} --profile {base}",
                    unknown.message()
                );
                Err(Error::new(ErrorKind::NotFound, message).with_context("tenant", tenant))
            }
        }
    }

    /// Fields, tensors and strategies of a tenant's deployed schema.
    ///
    /// # Errors
    /// As [`SchemaManager::schema`].
    pub async fn describe(&self, tenant: &TenantId, base: &SchemaName) -> Result<SchemaDescription> {
        Ok(SchemaDescription::of(&*self.schema(tenant, base).await?))
    }

    /// How a tenant's copy stands beside the base schema.
    ///
    /// # Errors
    /// Where either side cannot be read, or the base schema does not exist.
    pub async fn verify(&self, tenant: &TenantId, base: &SchemaName) -> Result<SchemaHealth> {
        let wanted = Schema::compile(self.definition(tenant, base).await?)?;
        let deployed = self.list(tenant).await?;
        let Some(deployed) = deployed.into_iter().find(|deployed| deployed.schema.base() == base) else {
            return Ok(SchemaHealth::Missing);
        };
        Ok(match wanted.difference(&deployed.definition) {
            SchemaDifference::None => SchemaHealth::Healthy,
            SchemaDifference::Ranking(what) => SchemaHealth::RankingDiffers(what),
            SchemaDifference::Documents(what) => SchemaHealth::FieldsDiffer(what),
        })
    }

    /// Drops one schema of a tenant with all its documents.
    ///
    /// # Errors
    /// `NotFound` where it is not deployed.
    pub async fn drop_schema(&self, tenant: &TenantId, base: &SchemaName) -> Result<()> {
        self.backend.drop_schema(&TenantSchema::new(tenant, base)).await
    }
}
