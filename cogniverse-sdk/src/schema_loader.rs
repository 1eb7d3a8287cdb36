//! Where base schemas come from.

use crate::{BaseSchema, Result, SchemaName};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

/// Lists and loads base schemas.
///
/// # Contract
/// Every listed name loads, or its load says what is wrong with it. The answer never comes from a file of another name.
///
/// # Errors
/// `NotFound` with the names that exist; `InvalidInput` that names the source, the field and the cause where a schema
/// cannot be read as one; `Unavailable` where the source itself cannot be read, which is never an empty list.
#[async_trait]
pub trait SchemaLoader: fmt::Debug + Send + Sync + 'static {
    /// The names that exist, sorted.
    async fn list(&self) -> Result<Vec<SchemaName>>;

    /// One schema.
    async fn load(&self, name: &SchemaName) -> Result<Arc<BaseSchema>>;
}

const _: fn(&dyn SchemaLoader) = |_| {};
