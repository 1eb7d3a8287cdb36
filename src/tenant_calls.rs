//! The calls for one tenant that are neither search, ingestion nor memory. Each is admitted by the gate.

use crate::Cogniverse;
use cogniverse_core::{
    doctor::Diagnosis,
    isolation::IsolationReport,
    lifecycle::{ErasurePlan, NewTenant, Suspend, Suspension},
    metrics::TenantMetrics,
    quotas::QuotaUsage,
    schemas::SchemaDescription,
    tenants::{ErasureReceipt, ShareAccess, SharedAccess, TenantGrant, TenantRecord},
};
use cogniverse_foundation::{BackendProfile, ConfigSection, HistoryPage, ResolvedProfile, Template, Versioned};
use cogniverse_sdk::{
    AuditPage, AuditVerification, CallerId, DeployedSchema, DocumentStore, ErrorKind, Expected, Filter, Operation,
    OwnedDocument, ProfileName, Result, SchemaName, TenantId, TenantSchema,
    document_store::{DeleteRequest, GetRequest, VisitPage, VisitRequest},
    schema_store::DeployReport,
};
use std::time::Duration;

impl Cogniverse {
    /// Admits a call of one's own for a tenant. The call counts as in flight, and a suspension cancels it, as long as
    /// the grant lives.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::tenants::Gate::admit`].
    pub async fn admit(&self, tenant: &TenantId, operation: Operation) -> Result<TenantGrant> {
        self.gate.admit(tenant, operation).await
    }

    /// Creates a tenant from a template, without schemas: [`Cogniverse::create`] with the template alone.
    ///
    /// # Errors
    /// Those of [`Cogniverse::create`].
    pub async fn create_tenant(&self, tenant: &TenantId, template: Template) -> Result<TenantRecord> {
        self.create(NewTenant::new(tenant.clone(), template)).await
    }

    /// Creates a tenant with its configuration and schemas in one call, which finishes an interrupted one.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::lifecycle::TenantLifecycle::create`].
    pub async fn create(&self, new: NewTenant) -> Result<TenantRecord> {
        self.lifecycle.create(new).await
    }

    /// Creates a tenant from a template unless it exists: what a service calls on each start. An existing tenant
    /// stays as it is, suspended or not.
    ///
    /// # Errors
    /// `Conflict` where the tenant does not exist but something remains under its id; any error of the store.
    pub async fn ensure_tenant(&self, tenant: &TenantId, template: Template) -> Result<TenantRecord> {
        match self.create_tenant(tenant, template).await {
            Err(conflict) if conflict.kind() == ErrorKind::Conflict => match self.lifecycle.get(tenant).await {
                // It is what an earlier tenant of the id left that is in the way.
                Err(e) if e.kind() == ErrorKind::NotFound => Err(conflict),
                found => found,
            },
            made => made,
        }
    }

    /// Returns the record of a tenant, whatever its state.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn tenant(&self, tenant: &TenantId) -> Result<TenantRecord> {
        self.lifecycle.get(tenant).await
    }

    /// Suspends a tenant: it is not served, what is in flight ends, and its data is kept for a time.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::lifecycle::TenantLifecycle::suspend`].
    pub async fn suspend(&self, tenant: &TenantId, suspend: Suspend) -> Result<Suspension> {
        self.lifecycle.suspend(tenant, suspend).await
    }

    /// Serves a suspended tenant again.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::lifecycle::TenantLifecycle::reactivate`].
    pub async fn reactivate(&self, tenant: &TenantId) -> Result<TenantRecord> {
        self.lifecycle.reactivate(tenant).await
    }

    /// Counts what an erasure would erase.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::lifecycle::TenantLifecycle::plan_erasure`].
    pub async fn plan_erasure(&self, tenant: &TenantId) -> Result<ErasurePlan> {
        self.lifecycle.plan_erasure(tenant).await
    }

    /// Erases everything of a suspended tenant and returns the receipt. There is no way back.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::lifecycle::TenantLifecycle::erase`].
    pub async fn erase(&self, tenant: &TenantId) -> Result<ErasureReceipt> {
        self.lifecycle.erase(tenant).await
    }

    /// Returns what a tenant used of each quota, with the limits.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::quotas::QuotaBackend::usage`], and of the gate for reading the configuration.
    pub async fn usage(&self, tenant: &TenantId) -> Result<Vec<QuotaUsage>> {
        let grant = self.gate.admit(tenant, Operation::ReadConfig).await?;
        grant.run(self.parts.counted.usage(tenant)).await
    }

    /// Returns what this process counted of a tenant's searches: requests, errors, and percentiles of the last thousand.
    ///
    /// # Errors
    /// Those of the gate for reading telemetry.
    pub async fn metrics(&self, tenant: &TenantId) -> Result<TenantMetrics> {
        let _grant = self.gate.admit(tenant, Operation::ReadTelemetry).await?;
        Ok(self.parts.metrics.of(tenant))
    }

    /// Examines a tenant in whatever state it is, and returns what is wrong with it, each with its remedy.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::doctor::Doctor::diagnose`].
    pub async fn diagnose(&self, tenant: &TenantId) -> Result<Diagnosis> {
        self.parts.doctor.for_caller(self.gate.clone()).diagnose(tenant).await
    }

    /// Plants canaries of each of two tenants wherever something of tenants is kept, tries to reach them from the other in every
    /// way that there is, and removes them. Safe while both are served.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::isolation::IsolationVerifier::verify`].
    pub async fn verify_isolation(&self, a: &TenantId, b: &TenantId) -> Result<IsolationReport> {
        self.parts.isolation.for_caller(self.gate.clone()).verify(a, b).await
    }

    /// Gives a caller read access to a tenant that it does not belong to, with a reason and an end.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::tenants::Gate::share`].
    pub async fn share_access(&self, tenant: &TenantId, share: ShareAccess) -> Result<SharedAccess> {
        self.gate.share(tenant, share).await
    }

    /// Takes back the access of a caller.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::tenants::Gate::revoke`].
    pub async fn revoke_access(&self, tenant: &TenantId, caller: &CallerId) -> Result<()> {
        self.gate.revoke(tenant, caller).await
    }

    /// Returns who has or had access to a tenant by sharing.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::tenants::Gate::shared_with`].
    pub async fn shared_access(&self, tenant: &TenantId) -> Result<Vec<SharedAccess>> {
        self.gate.shared_with(tenant).await
    }

    /// Returns one page of a tenant's audit log, oldest entry first: at most `limit` entries after the given number.
    /// The log can be read in every state of the tenant.
    ///
    /// # Errors
    /// `Corrupt` for an entry that does not follow from the one before; those of
    /// [`cogniverse_core::tenants::Gate::permit`].
    pub async fn audit(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<AuditPage> {
        self.gate.permit(tenant, Operation::ReadAudit).await?;
        self.gate.audit().read(tenant, after, limit).await
    }

    /// Checks every entry of a tenant's audit log, and names the first broken one.
    ///
    /// # Errors
    /// Those of [`Cogniverse::audit`], except `Corrupt`.
    pub async fn verify_audit(&self, tenant: &TenantId) -> Result<AuditVerification> {
        self.gate.permit(tenant, Operation::ReadAudit).await?;
        self.gate.audit().verify(tenant).await
    }

    /// Deploys the schema of a profile for a tenant.
    ///
    /// # Errors
    /// `NotFound` for an unknown profile; those of [`cogniverse_core::schemas::SchemaManager::deploy`].
    pub async fn deploy(&self, tenant: &TenantId, profile: &ProfileName) -> Result<DeployReport> {
        let grant = self.gate.admit(tenant, Operation::WriteSchemas).await?;
        let base = &grant.config().profile(profile)?.config.value.schema;
        self.schemas.deploy(tenant, base).await
    }

    /// Deploys every base schema for a tenant, all or none.
    ///
    /// # Errors
    /// Those of [`Cogniverse::deploy`].
    pub async fn deploy_all(&self, tenant: &TenantId) -> Result<DeployReport> {
        let _grant = self.gate.admit(tenant, Operation::WriteSchemas).await?;
        self.schemas.deploy_all(tenant).await
    }

    /// Lists a tenant's schemas, sorted by base schema.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::schemas::SchemaManager::list`].
    pub async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        let grant = self.gate.admit(tenant, Operation::ReadSchemas).await?;
        grant.run(self.schemas.list(tenant)).await
    }

    /// Describes the fields, tensors and strategies of a tenant's deployed schema.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::schemas::SchemaManager::describe`].
    pub async fn describe_schema(&self, tenant: &TenantId, base: &SchemaName) -> Result<SchemaDescription> {
        let grant = self.gate.admit(tenant, Operation::ReadSchemas).await?;
        grant.run(self.schemas.describe(tenant, base)).await
    }

    /// Drops one schema of a tenant with all its documents, and its videos from the catalogue.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::schemas::SchemaManager::drop_schema`].
    pub async fn drop_schema(&self, tenant: &TenantId, base: &SchemaName) -> Result<()> {
        let grant = self.gate.admit(tenant, Operation::WriteSchemas).await?;
        // First: what a crash leaves between is a schema that can be dropped again.
        self.catalogue.forget_schema(&grant, base).await?;
        self.schemas.drop_schema(tenant, base).await
    }

    /// Returns a section of a tenant's configuration, or its default.
    ///
    /// # Errors
    /// Those of [`cogniverse_foundation::ConfigManager::get`].
    pub async fn get_config<T: ConfigSection>(&self, tenant: &TenantId) -> Result<Versioned<T>> {
        let grant = self.gate.admit(tenant, Operation::ReadConfig).await?;
        grant.config().section()
    }

    /// Sets a section of a tenant's configuration if the expectation holds. The audit log records who, why, and both
    /// versions.
    ///
    /// # Errors
    /// Those of [`cogniverse_foundation::ConfigManager::compare_and_set`].
    pub async fn set_config<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        value: T,
        expected: Expected,
        reason: &str,
    ) -> Result<Versioned<T>> {
        let _grant = self.gate.admit(tenant, Operation::WriteConfig).await?;
        self.config.because(reason).compare_and_set(tenant, value, expected).await
    }

    /// Restores an older version of a section as a new version that names it.
    ///
    /// # Errors
    /// Those of [`cogniverse_foundation::ConfigManager::rollback`].
    pub async fn rollback_config<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        version: u64,
        reason: &str,
    ) -> Result<Versioned<T>> {
        let _grant = self.gate.admit(tenant, Operation::WriteConfig).await?;
        self.config.because(reason).rollback(tenant, version).await
    }

    /// Returns the versions of a section, newest first.
    ///
    /// # Errors
    /// Those of [`cogniverse_foundation::ConfigManager::history`].
    pub async fn config_history<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage<T>> {
        let grant = self.gate.admit(tenant, Operation::ReadConfig).await?;
        grant.run(self.config.history(tenant, before, limit)).await
    }

    /// Waits until a version of a section, or a later one, is in force for the calls of this process.
    ///
    /// # Errors
    /// Those of [`cogniverse_core::tenants::Gate::wait_for_version`].
    pub async fn wait_for_version<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        version: u64,
        limit: Duration,
    ) -> Result<()> {
        let _grant = self.gate.admit(tenant, Operation::ReadConfig).await?;
        self.gate.wait_for_version::<T>(tenant, version, limit).await
    }

    /// Returns the profile that applies to a tenant.
    ///
    /// # Errors
    /// `NotFound` with the existing profiles.
    pub async fn get_profile(&self, tenant: &TenantId, name: &ProfileName) -> Result<ResolvedProfile> {
        let grant = self.gate.admit(tenant, Operation::ReadConfig).await?;
        grant.config().profile(name).cloned()
    }

    /// Sets a profile of a tenant if the expectation holds.
    ///
    /// # Errors
    /// Those of [`cogniverse_foundation::ConfigManager::compare_and_set_profile`].
    pub async fn set_profile(
        &self,
        tenant: &TenantId,
        name: &ProfileName,
        profile: BackendProfile,
        expected: Expected,
        reason: &str,
    ) -> Result<Versioned<BackendProfile>> {
        let _grant = self.gate.admit(tenant, Operation::WriteConfig).await?;
        self.config.because(reason).compare_and_set_profile(tenant, name, profile, expected).await
    }

    /// Reads documents by id: one entry per id, `None` where no document has it.
    ///
    /// # Errors
    /// Those of [`DocumentStore::get`].
    pub async fn get_documents(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let grant = self.gate.admit(request.schema.tenant(), Operation::ReadDocuments).await?;
        grant.run(self.parts.backend.get(request)).await
    }

    /// Reads one page of all documents of a tenant schema.
    ///
    /// # Errors
    /// Those of [`DocumentStore::visit`].
    pub async fn visit_documents(&self, request: VisitRequest) -> Result<VisitPage> {
        let grant = self.gate.admit(request.schema.tenant(), Operation::ReadDocuments).await?;
        grant.run(self.parts.backend.visit(request)).await
    }

    /// Counts all documents of a tenant schema, or those that match a filter.
    ///
    /// # Errors
    /// Those of [`DocumentStore::count`].
    pub async fn count_documents(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        let grant = self.gate.admit(schema.tenant(), Operation::ReadDocuments).await?;
        grant.run(self.parts.backend.count(schema, filter)).await
    }

    /// Deletes documents and returns how many existed.
    ///
    /// # Errors
    /// Those of [`DocumentStore::delete`].
    pub async fn delete_documents(&self, request: DeleteRequest) -> Result<u64> {
        let grant = self.gate.admit(request.schema.tenant(), Operation::WriteDocuments).await?;
        grant.run(self.parts.backend.delete(request)).await
    }
}
