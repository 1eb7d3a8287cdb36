//! The role that deploys and drops tenant schemas.

use crate::{BaseSchema, Error, ErrorCode, ErrorKind, Result, Retention, TenantId, TenantSchema};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// A tenant schema and the definition to deploy for it.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaDeployment {
    /// The tenant schema to deploy.
    pub schema: TenantSchema,
    /// The definition of its base schema.
    pub definition: Arc<BaseSchema>,
}

/// A request to add or change tenant schemas together. Schemas that it does not name stay as they are ([invariant 10](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#10)).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeployRequest {
    /// The schemas to deploy.
    pub deployments: Vec<SchemaDeployment>,
}

impl DeployRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(deployments: Vec<SchemaDeployment>) -> Self {
        Self { deployments }
    }
}

/// The effect of a deployment on one schema.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaAction {
    /// The schema is new.
    Added,
    /// The schema is deployed in this form already.
    Unchanged,
    /// Rank profiles or settings change; documents stay.
    Changed {
        /// The differences, as text.
        what: Vec<String>,
    },
    /// Stored documents do not fit the new definition: drop the schema, deploy it again and feed its documents anew.
    Refeed {
        /// The differences, as text.
        what: Vec<String>,
    },
}

/// The effects that a deployment would have, or had.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DeployReport {
    /// The effect on each schema, in request order.
    pub schemas: Vec<(TenantSchema, SchemaAction)>,
}

impl DeployReport {
    /// Creates a report; for backends.
    #[must_use]
    pub fn new(schemas: Vec<(TenantSchema, SchemaAction)>) -> Self {
        Self { schemas }
    }
}

/// A deployed tenant schema.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct DeployedSchema {
    /// The tenant schema.
    pub schema: TenantSchema,
    /// Its definition.
    pub definition: Arc<BaseSchema>,
    /// The time of its last change.
    pub deployed_at: Timestamp,
}

impl DeployedSchema {
    /// Creates the record of a deployed schema; for backends.
    #[must_use]
    pub fn new(schema: TenantSchema, definition: Arc<BaseSchema>, deployed_at: Timestamp) -> Self {
        Self { schema, definition, deployed_at }
    }
}

/// The schema side of a backend.
///
/// # Contract
/// - `deploy` applies all schemas of a request or none, and repeating it changes nothing.
/// - A physical name that another (tenant, base) pair holds is refused with both pairs in the error ([invariant 2](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#2)).
/// - A change that stored documents do not fit ([`SchemaAction::Refeed`]) is refused.
/// - Exact records decide which schemas belong to a tenant ([invariant 3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3)).
///
/// # Errors
/// `Conflict` for a physical name that is taken, `FailedPrecondition` for a change that needs a refeed, `NotFound`
/// for a drop of a schema that is not deployed, `Unavailable` where the store cannot be read, which is never reported
/// as an empty list ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
///
/// # Cancellation
/// A deployment whose future is dropped is applied in full or not at all.
#[async_trait]
pub trait SchemaStore: fmt::Debug + Send + Sync + 'static {
    /// Returns what `deploy` would do, without changing anything.
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport>;

    /// Adds or changes the named schemas.
    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport>;

    /// Lists a tenant's deployed schemas, sorted by base schema.
    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>>;

    /// Returns one schema as searches see it. The answer may be as stale as the backend documents, and staler while
    /// the schema side of a backend is down but its search side is up. [`SchemaStore::list_schemas`] returns the
    /// current state, for operators.
    ///
    /// # Errors
    /// `NotFound` with the tenant's schemas; `Unavailable` where the schema is not cached and cannot be read.
    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        let deployed = self.list_schemas(schema.tenant()).await?;
        match deployed.iter().find(|deployed| deployed.schema == *schema) {
            Some(found) => Ok(found.clone()),
            None => {
                let bases = deployed.iter().map(|deployed| deployed.schema.base());
                Err(Error::unknown("deployed schema", schema.base(), bases)
                    .with_code(ErrorCode::SchemaNotDeployed)
                    .with_context("tenant", schema.tenant()))
            }
        }
    }

    /// Drops one schema and all its documents; the tenant's other schemas stay ([invariant 11](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#11)).
    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()>;

    /// Completes drops of a tenant's schemas that were begun and interrupted. The default is for backends whose drops
    /// leave nothing to complete.
    async fn finish_drops(&self, _tenant: &TenantId) -> Result<()> {
        Ok(())
    }

    /// Returns what the backend keeps of a schema that is dropped now, and until when; `None`, the default, where it
    /// keeps nothing.
    fn kept_after_drop(&self) -> Option<Retention> {
        None
    }

    /// Drops one schema if it holds no document, and returns whether it did. A document that is stored concurrently
    /// either keeps the schema or is refused: none is lost.
    ///
    /// # Errors
    /// Those of [`SchemaStore::drop_schema`]; `Unsupported`, the default, where a backend cannot check and drop
    /// atomically.
    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        let message = "this backend cannot drop a schema on the condition that it is empty; stop its writers and call drop_schema";
        Err(Error::new(ErrorKind::Unsupported, message).with_context("schema", schema))
    }
}

const _: fn(&dyn SchemaStore) = |_| {};
