//! Deploying and dropping tenant schemas.

use crate::{BaseSchema, Result, TenantId, TenantSchema};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// One tenant schema and what it shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaDeployment {
    /// Whose.
    pub schema: TenantSchema,
    /// The base schema's content.
    pub definition: Arc<BaseSchema>,
}

/// Tenant schemas to add or change, together. Nothing that is not named is touched (invariant 10).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeployRequest {
    /// What shall be.
    pub deployments: Vec<SchemaDeployment>,
}

impl DeployRequest {
    /// These schemas.
    #[must_use]
    pub fn new(deployments: Vec<SchemaDeployment>) -> Self {
        Self { deployments }
    }
}

/// What a deployment does, or did, to one schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaAction {
    /// It does not exist yet.
    Added,
    /// It is as asked for.
    Unchanged,
    /// Rank profiles or settings differ; documents stay as they are.
    Changed {
        /// What differs, for a person.
        what: Vec<String>,
    },
    /// Stored documents no longer fit; feed them again into a schema that was dropped by name and deployed anew.
    Refeed {
        /// What differs, for a person.
        what: Vec<String>,
    },
}

/// What a deployment would do, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployReport {
    /// In the order of the request.
    pub schemas: Vec<(TenantSchema, SchemaAction)>,
}

impl DeployReport {
    /// From a backend.
    #[must_use]
    pub fn new(schemas: Vec<(TenantSchema, SchemaAction)>) -> Self {
        Self { schemas }
    }
}

/// A schema that is deployed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeployedSchema {
    /// Whose.
    pub schema: TenantSchema,
    /// What it is.
    pub definition: Arc<BaseSchema>,
    /// When it last changed.
    pub deployed_at: Timestamp,
}

impl DeployedSchema {
    /// From a backend.
    #[must_use]
    pub fn new(schema: TenantSchema, definition: Arc<BaseSchema>, deployed_at: Timestamp) -> Self {
        Self { schema, definition, deployed_at }
    }
}

/// The schema side of a backend.
///
/// # Contract
/// - `deploy` is all or nothing for the schemas named in one request, and repeating it changes nothing.
/// - A physical name that another (tenant, base) pair holds is refused with both pairs in the error (invariant 2).
/// - A change that stored documents would not fit ([`SchemaAction::Refeed`]) is refused, not applied.
/// - What belongs to a tenant is decided by exact records (invariant 3).
///
/// # Errors
/// `Conflict` for a held name, `FailedPrecondition` for a change that needs a refeed, `NotFound` for a drop of what is
/// not deployed, `Unavailable` where the store cannot be read, which is never an empty list (invariant 9).
///
/// # Cancellation
/// A dropped future leaves either all or none of the request done.
#[async_trait]
pub trait SchemaStore: fmt::Debug + Send + Sync + 'static {
    /// What `deploy` would do. Changes nothing.
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport>;

    /// Adds or changes the named schemas.
    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport>;

    /// A tenant's schemas, sorted by base.
    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>>;

    /// Drops one schema and all its documents; the tenant's others stay (invariant 11).
    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()>;
}

const _: fn(&dyn SchemaStore) = |_| {};
