//! Management of tenants' schemas: deploy, list, describe, verify, drop.

use super::{
    Schema, SchemaDescription, SchemaDifference, memory_schema,
    metadata::{self, Declared},
};
use cogniverse_foundation::{AuditRecorder, ConfigManager};
use cogniverse_sdk::{
    AuditEvent, AuditLog, BaseSchema, Caller, DeployedSchema, Error, ErrorCode, ErrorKind, MetadataName, Result,
    SchemaLoader, SchemaName, SearchBackend, TenantId, TenantSchema,
    schema_store::{DeployReport, DeployRequest, SchemaAction, SchemaDeployment},
};
use std::sync::Arc;

/// A manager that deploys base schemas for tenants. It holds no state; the backend decides what is deployed.
#[derive(Debug, Clone)]
pub struct SchemaManager {
    loader: Arc<dyn SchemaLoader>,
    backend: Arc<dyn SearchBackend>,
    recorder: AuditRecorder,
    /// The configuration whose profiles declare metadata.
    config: Option<ConfigManager>,
}

/// The state of a tenant's copy of a base schema.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaHealth {
    /// It is deployed and equals the base schema.
    Healthy,
    /// It is not deployed; deploy it.
    Missing,
    /// Its rank profiles differ from the base schema's; deploy it again to apply them.
    RankingDiffers(Vec<String>),
    /// Its fields differ from the base schema's; drop it by name, deploy it and ingest again.
    FieldsDiffer(Vec<String>),
}

impl SchemaManager {
    /// Creates a manager over a loader and a backend.
    #[must_use]
    pub fn new(loader: Arc<dyn SchemaLoader>, backend: Arc<dyn SearchBackend>) -> Self {
        Self { loader, backend, recorder: AuditRecorder::default(), config: None }
    }

    /// Records every change of a tenant's schemas in an audit log (default: none).
    #[must_use]
    pub fn with_audit(mut self, audit: Arc<dyn AuditLog>) -> Self {
        self.recorder = AuditRecorder::new(audit);
        self
    }

    /// Adds the metadata that tenants' profiles declare to the schemas of these profiles (default: none).
    #[must_use]
    pub fn with_config(mut self, config: ConfigManager) -> Self {
        self.config = Some(config);
        self
    }

    /// Returns the same manager for a caller, under whose name the audit log records changes.
    #[must_use]
    pub fn for_caller(&self, caller: &Caller) -> Self {
        Self { recorder: self.recorder.for_caller(caller), ..self.clone() }
    }

    async fn deploy_request(&self, tenant: &TenantId, request: DeployRequest) -> Result<DeployReport> {
        let report = self.backend.deploy(request).await?;
        let changed = report.schemas.iter().filter(|(_, action)| *action != SchemaAction::Unchanged);
        let schemas: Vec<SchemaName> = changed.map(|(schema, _)| schema.base().clone()).collect();
        if !schemas.is_empty() {
            self.recorder.record(tenant, AuditEvent::SchemasDeployed { schemas }).await?;
        }
        Ok(report)
    }

    /// Deploys one base schema for a tenant. Deploying it again changes nothing.
    ///
    /// # Errors
    /// `NotFound` for a base schema that does not exist; those of [`cogniverse_sdk::SchemaStore::deploy`].
    pub async fn deploy(&self, tenant: &TenantId, base: &SchemaName) -> Result<DeployReport> {
        self.deploy_request(tenant, self.request(tenant, Some(base)).await?).await
    }

    /// Deploys every base schema for a tenant, all or none.
    ///
    /// # Errors
    /// Those of [`SchemaManager::deploy`].
    pub async fn deploy_all(&self, tenant: &TenantId) -> Result<DeployReport> {
        self.deploy_request(tenant, self.request(tenant, None).await?).await
    }

    /// Returns what [`SchemaManager::deploy`] would do.
    ///
    /// # Errors
    /// Those of [`SchemaManager::deploy`].
    pub async fn plan(&self, tenant: &TenantId, base: &SchemaName) -> Result<DeployReport> {
        self.backend.plan(&self.request(tenant, Some(base)).await?).await
    }

    /// Returns what [`SchemaManager::deploy_all`] would do.
    ///
    /// # Errors
    /// Those of [`SchemaManager::deploy`].
    pub async fn plan_all(&self, tenant: &TenantId) -> Result<DeployReport> {
        self.backend.plan(&self.request(tenant, None).await?).await
    }

    /// Returns the request that deploys one base schema, or all, for a tenant.
    ///
    /// # Errors
    /// Those of [`SchemaManager::deploy`].
    pub async fn request(&self, tenant: &TenantId, base: Option<&SchemaName>) -> Result<DeployRequest> {
        let bases = match base {
            Some(base) => vec![base.clone()],
            None => self.loader.list().await?,
        };
        let deployed = self.list(tenant).await?;
        let mut deployments = Vec::with_capacity(bases.len());
        for base in bases {
            let definition = self.definition(tenant, &base, &deployed).await?;
            deployments.push(SchemaDeployment { schema: TenantSchema::new(tenant, &base), definition });
        }
        Ok(DeployRequest::new(deployments))
    }

    /// Returns the base schema as the tenant uses it: with the metadata that its profiles declare; the memory schema keeps its
    /// deployed dimensions, which follow the tenant's embedding model and not the file.
    async fn definition(
        &self,
        tenant: &TenantId,
        base: &SchemaName,
        deployed: &[DeployedSchema],
    ) -> Result<Arc<BaseSchema>> {
        let definition = self.loader.load(base).await?;
        let deployed = deployed.iter().find(|deployed| deployed.schema.base() == base).map(|found| &*found.definition);
        if base.as_str() == memory_schema::BASE {
            return match deployed.and_then(memory_schema::dims) {
                Some(dims) => memory_schema::with_dims(&definition, dims).map(Arc::new),
                None => Ok(definition),
            };
        }
        let declared = self.declared(tenant, base).await?;
        metadata::with_fields(&definition, &declared, deployed).map(Arc::new)
    }

    /// Returns the metadata that a tenant's profiles of a schema declare.
    async fn declared(&self, tenant: &TenantId, base: &SchemaName) -> Result<Declared> {
        let Some(config) = &self.config else { return Ok(Declared::new()) };
        let profiles = match config.list_profiles(tenant).await {
            // A tenant that is not registered has none of its own.
            Err(error) if error.code() == ErrorCode::TenantUnknown => return Ok(Declared::new()),
            listed => listed?,
        };
        let of_base = profiles.iter().map(|profile| &profile.config.value).filter(|profile| profile.schema == *base);
        metadata::union(of_base.map(|profile| &profile.metadata))
            .map_err(|e| e.with_context("tenant", tenant).with_context("schema", base))
    }

    /// Adds the metadata that a profile declares to a tenant's deployed schema, which stays as it is otherwise. Returns the
    /// schema with it.
    ///
    /// # Errors
    /// Those of [`SchemaManager::schema`] and [`SchemaManager::deploy`].
    pub(crate) async fn with_metadata(
        &self,
        tenant: &TenantId,
        schema: Arc<Schema>,
        declared: &Declared,
    ) -> Result<Arc<Schema>> {
        let wanted = Schema::compile(Arc::new(metadata::with_fields(schema.base(), declared, None)?))?;
        let misfit = wanted.base().document.fields.iter().find(|field| {
            MetadataName::of_field(&field.name)
                .and_then(|name| declared.get(&name))
                .is_some_and(|kind| kind.field_type() != field.field_type)
        });
        if let Some(field) = misfit {
            return Err(Error::of(
                ErrorCode::SchemaDiffers,
                format!(
                    "field {} of schema \"{}\" is deployed as {} and declared otherwise; give the metadata another name",
                    field.name,
                    schema.name(),
                    field.field_type
                ),
            )
            .with_context("tenant", tenant));
        }
        if wanted.base() == schema.base() {
            return Ok(schema);
        }
        let target = TenantSchema::new(tenant, schema.name());
        let definition = Arc::clone(wanted.base());
        self.deploy_request(tenant, DeployRequest::new(vec![SchemaDeployment { schema: target, definition }])).await?;
        Ok(Arc::new(wanted))
    }

    /// Returns the loader of base schemas.
    #[must_use]
    pub fn loader(&self) -> &Arc<dyn SchemaLoader> {
        &self.loader
    }

    /// Lists the base schemas that can be deployed.
    ///
    /// # Errors
    /// Any error of the loader.
    pub async fn available(&self) -> Result<Vec<SchemaName>> {
        self.loader.list().await
    }

    /// Lists a tenant's schemas, sorted by base schema.
    ///
    /// # Errors
    /// Any error of the backend, which is never reported as an empty list.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.backend.list_schemas(tenant).await
    }

    /// Returns a tenant's deployed schema, compiled; it may be as stale as [`cogniverse_sdk::SchemaStore::served`].
    ///
    /// # Errors
    /// `NotFound` with the tenant's schemas and the remedy.
    pub async fn schema(&self, tenant: &TenantId, base: &SchemaName) -> Result<Arc<Schema>> {
        match self.backend.served(&TenantSchema::new(tenant, base)).await {
            Ok(served) => Ok(Arc::new(Schema::compile(served.definition)?)),
            Err(unknown) if unknown.kind() == ErrorKind::NotFound => {
                let message = format!(
                    "{}; deploy it: cargo run --example deploy_schemas -- --tenant-id {tenant} --profile {base}",
                    unknown.message()
                );
                Err(Error::of(ErrorCode::SchemaNotDeployed, message).with_context("tenant", tenant))
            }
            Err(error) => Err(error),
        }
    }

    /// Describes the fields, tensors and strategies of a tenant's deployed schema.
    ///
    /// # Errors
    /// Those of [`SchemaManager::schema`].
    pub async fn describe(&self, tenant: &TenantId, base: &SchemaName) -> Result<SchemaDescription> {
        Ok(SchemaDescription::of(&*self.schema(tenant, base).await?))
    }

    /// Compares a tenant's copy with the base schema.
    ///
    /// # Errors
    /// `NotFound` where the base schema does not exist; any error of the loader or the backend.
    pub async fn verify(&self, tenant: &TenantId, base: &SchemaName) -> Result<SchemaHealth> {
        let deployed = self.list(tenant).await?;
        let wanted = Schema::compile(self.definition(tenant, base, &deployed).await?)?;
        let Some(deployed) = deployed.into_iter().find(|deployed| deployed.schema.base() == base) else {
            return Ok(SchemaHealth::Missing);
        };
        Ok(match wanted.difference(&deployed.definition) {
            SchemaDifference::None => SchemaHealth::Healthy,
            SchemaDifference::Ranking(what) => SchemaHealth::RankingDiffers(what),
            SchemaDifference::Documents(what) => SchemaHealth::FieldsDiffer(what),
        })
    }

    /// Deploys schemas of a tenant as they are in a backup, whatever the base schemas of their names are now.
    pub(crate) async fn deploy_as(&self, tenant: &TenantId, request: DeployRequest) -> Result<()> {
        let schemas = request.deployments.iter().map(|deployment| deployment.schema.base().clone()).collect();
        self.backend.deploy(request).await?;
        self.recorder.record(tenant, AuditEvent::SchemasDeployed { schemas }).await
    }

    /// Drops one schema of a tenant with all its documents.
    ///
    /// # Errors
    /// `NotFound` where the schema is not deployed.
    pub async fn drop_schema(&self, tenant: &TenantId, base: &SchemaName) -> Result<()> {
        self.backend.drop_schema(&TenantSchema::new(tenant, base)).await?;
        self.recorder.record(tenant, AuditEvent::SchemaDropped { schema: base.clone() }).await
    }
}
