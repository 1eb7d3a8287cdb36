//! The schemas of a tenant's memories, and which of their documents belong to another model.

use super::document::{KIND, MEMORY, MODEL, field};
use crate::schemas::memory_schema;
use cogniverse_sdk::{Filter, Result, SchemaName, TenantId, TenantSchema};

/// Returns a tenant's memory schema.
pub(super) fn main(tenant: &TenantId) -> Result<TenantSchema> {
    Ok(TenantSchema::new(tenant, &SchemaName::parse(memory_schema::BASE)?))
}

/// Returns the filter for memories that another model embedded.
pub(super) fn of_other_models(model: &str) -> Result<Filter> {
    Ok(Filter::equals(field(KIND)?, MEMORY).and(Filter::equals(field(MODEL)?, model).negate()))
}

pub(crate) use crate::schemas::STAGE_BASE;

/// Returns the schema that holds the documents while the main one is recreated.
pub(super) fn stage(tenant: &TenantId) -> Result<TenantSchema> {
    Ok(TenantSchema::new(tenant, &SchemaName::parse(STAGE_BASE)?))
}
