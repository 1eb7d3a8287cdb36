//! The role that loads base schemas.

use crate::{BaseSchema, Result, SchemaName};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

/// A source of base schemas.
///
/// # Contract
/// Every listed name loads, or loading it fails with an error about its content. A schema is never read from a file
/// of another name.
///
/// # Errors
/// `NotFound` with the names that exist; `InvalidInput` that names the source, the field and the cause where a schema
/// cannot be parsed; `Unavailable` where the source itself cannot be read, which is never reported as an empty list.
#[async_trait]
pub trait SchemaLoader: fmt::Debug + Send + Sync + 'static {
    /// Returns the names of all schemas, sorted.
    async fn list(&self) -> Result<Vec<SchemaName>>;

    /// Loads one schema.
    async fn load(&self, name: &SchemaName) -> Result<Arc<BaseSchema>>;
}

const _: fn(&dyn SchemaLoader) = |_| {};
