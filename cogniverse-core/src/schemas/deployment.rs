//! Effects and refusals of deployments, shared by all backends.

use super::{Schema, SchemaDifference};
use cogniverse_sdk::{
    BaseSchema, Error, ErrorCode, Result, TenantSchema,
    schema_store::{DeployReport, DeployRequest, SchemaAction},
};
use std::{collections::HashSet, fmt::Display, sync::Arc};

/// Compiles every definition of a request.
///
/// # Errors
/// `InvalidInput` for a definition with a mismatched name or that does not compile; `Conflict` where two schemas of
/// the request share a physical name.
pub fn compile_request(request: &DeployRequest) -> Result<Vec<Schema>> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut schemas = Vec::with_capacity(request.deployments.len());
    for deployment in &request.deployments {
        let schema = &deployment.schema;
        if deployment.definition.name != *schema.base() {
            return Err(Error::invalid(format!(
                "the definition of \"{}\" is offered as \"{}\"",
                deployment.definition.name,
                schema.base()
            )));
        }
        if !seen.insert(schema.physical_name()) {
            return Err(Error::of(
                ErrorCode::SchemaNameTaken,
                format!("the name \"{schema}\" is twice in one deployment"),
            )
            .with_context("tenant", schema.tenant())
            .with_context("base", schema.base()));
        }
        schemas.push(Schema::compile(Arc::clone(&deployment.definition))?);
    }
    Ok(schemas)
}

/// Returns the effect of deploying a schema over the deployed one.
#[must_use]
pub fn action(wanted: &Schema, deployed: Option<&BaseSchema>) -> SchemaAction {
    match deployed.map(|deployed| wanted.difference(deployed)) {
        None => SchemaAction::Added,
        Some(SchemaDifference::None) => SchemaAction::Unchanged,
        Some(SchemaDifference::Ranking(what)) => SchemaAction::Changed { what },
        Some(SchemaDifference::Documents(what)) => SchemaAction::Refeed { what },
    }
}

/// Refuses a change that stored documents do not fit.
///
/// # Errors
/// `FailedPrecondition` with the difference and the remedy.
pub fn refuse_refeed(schema: &TenantSchema, action: &SchemaAction) -> Result<()> {
    let SchemaAction::Refeed { what } = action else { return Ok(()) };
    Err(Error::of(
        ErrorCode::SchemaDiffers,
        format!(
            "schema \"{}\" differs from the deployed one in what documents hold ({}); drop it by name, deploy it and ingest again",
            schema.base(),
            what.join("; ")
        ),
    )
    .with_context("tenant", schema.tenant()))
}

/// Creates the report on a request from one action per deployment.
#[must_use]
pub fn report(request: &DeployRequest, actions: Vec<SchemaAction>) -> DeployReport {
    DeployReport::new(request.deployments.iter().map(|deployment| deployment.schema.clone()).zip(actions).collect())
}

/// Returns the error for a physical name that another pair holds ([invariant 2](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#2)).
#[must_use]
pub fn name_is_held(schema: &TenantSchema, tenant: impl Display, base: impl Display) -> Error {
    Error::of(
        ErrorCode::SchemaNameTaken,
        format!(
            "the name \"{}\" of (tenant {}, schema {}) is held by (tenant {tenant}, schema {base}); \
             rename the tenant or the base schema",
            schema.physical_name(),
            schema.tenant(),
            schema.base()
        ),
    )
}
