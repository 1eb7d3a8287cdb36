//! `SchemaStore`: deployment and drop of tenant schemas.

use super::{EmbeddedBackend, Inner, drops::finish_drop};
use async_trait::async_trait;
use cogniverse_core::{
    failpoint,
    schemas::{Schema, deployment},
    worker::blocking,
};
use cogniverse_sdk::{
    DeployedSchema, Error, ErrorKind, Result, Retry, SchemaStore, TenantId, TenantSchema,
    schema_store::{DeployReport, DeployRequest, SchemaAction, SchemaDeployment},
};
use std::sync::Arc;

impl Inner {
    /// Compares each deployment with the catalog and returns its effect.
    fn actions(&self, request: &DeployRequest) -> Result<Vec<SchemaAction>> {
        let wanted = deployment::compile_request(request)?;
        let action = |(deployment, wanted): (&SchemaDeployment, &Schema)| {
            self.catalog.check_name(&deployment.schema)?;
            let deployed = self.catalog.get(&deployment.schema)?;
            Ok(deployment::action(wanted, deployed.as_ref().map(|known| &*known.deployed.definition)))
        };
        request.deployments.iter().zip(&wanted).map(action).collect()
    }

    fn deploy(&self, request: &DeployRequest) -> Result<DeployReport> {
        let _deploying = self.deploying.lock();
        let actions = self.actions(request)?;
        let mut changes = Vec::with_capacity(actions.len());
        for (deployment, action) in request.deployments.iter().zip(&actions) {
            deployment::refuse_refeed(&deployment.schema, action)?;
            changes.push((deployment.schema.clone(), Arc::clone(&deployment.definition), action.clone()));
        }
        self.catalog.apply(&changes, self.clock.now())?;
        failpoint::reach("deploy.recorded");
        for (schema, definition, action) in &changes {
            // Who opens it from here on reads the new definition; who was opening it is waited for.
            if matches!(action, SchemaAction::Changed { .. })
                && let Some(store) = self.stores.opened(schema)
            {
                let compiled = self.shared.schemas.compile(definition)?;
                // An index of other fields is made as the store is opened anew; who has it ends with the fields it began with.
                match *store.layout() == *compiled.layout {
                    true => store.set_schema(compiled),
                    false => drop(self.stores.remove(store.name())),
                }
            }
        }
        Ok(deployment::report(request, actions))
    }

    /// Drops a schema. The record of the drop is written first and deleted last, so that an interrupted drop can be
    /// repeated and is completed by the next open.
    fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        let _deploying = self.deploying.lock();
        self.drop_while_deploying(schema)
    }

    /// Drops an empty schema. Deployments are locked out, and writes from the check on.
    fn drop_empty(&self, schema: &TenantSchema) -> Result<bool> {
        let _deploying = self.deploying.lock();
        let store = self.stores.opened(schema).ok_or_else(|| {
            let message = "the schema was redeployed during this call; try again";
            Error::new(ErrorKind::Unavailable, message).with_retry(Retry::After(None)).with_context("schema", schema)
        })?;
        if !store.set_dropped_if_empty()? {
            return Ok(false);
        }
        // Where the drop was begun it will be ended, now or by the next opening: nobody may write any more.
        self.drop_while_deploying(schema).inspect_err(|_| {
            if self.catalog.require(schema).is_ok() {
                store.set_kept();
            }
        })?;
        Ok(true)
    }

    fn drop_while_deploying(&self, schema: &TenantSchema) -> Result<()> {
        match self.catalog.require(schema) {
            Ok(deployment) => {
                self.catalog.begin_drop(&deployment)?;
                failpoint::reach("drop.recorded");
                if let Some(store) = self.stores.remove(schema) {
                    store.set_dropped();
                }
            }
            // It was begun before: the rest of it is done now.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if !self.catalog.drops()?.iter().any(|begun| begun.schema == *schema) {
                    return Err(e);
                }
            }
            Err(e) => return Err(e),
        }
        for begun in self.catalog.drops()?.iter().filter(|begun| begun.schema == *schema) {
            finish_drop(&self.folder, &self.catalog, begun)?;
        }
        Ok(())
    }
}

#[async_trait]
impl SchemaStore for EmbeddedBackend {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        let (inner, request) = (Arc::clone(&self.inner), request.clone());
        blocking(move || inner.actions(&request).map(|actions| deployment::report(&request, actions))).await
    }

    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.deploy(&request)).await
    }

    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
        blocking(move || Ok(inner.catalog.list(&tenant)?.into_iter().map(|d| d.deployed).collect())).await
    }

    /// Reads the current state, as the catalog is a local file.
    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        let (inner, schema) = (Arc::clone(&self.inner), schema.clone());
        blocking(move || Ok(inner.catalog.require(&schema)?.deployed)).await
    }

    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        let (inner, schema) = (Arc::clone(&self.inner), schema.clone());
        blocking(move || inner.drop_schema(&schema)).await
    }

    async fn finish_drops(&self, tenant: &TenantId) -> Result<()> {
        let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
        blocking(move || {
            let _deploying = inner.deploying.lock();
            for begun in inner.catalog.drops()?.iter().filter(|begun| begun.schema.tenant() == &tenant) {
                finish_drop(&inner.folder, &inner.catalog, begun)?;
            }
            Ok(())
        })
        .await
    }

    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        let held = self.inner.open(schema, None).await?;
        let (inner, schema) = (Arc::clone(&self.inner), schema.clone());
        blocking(move || {
            let dropped = inner.drop_empty(&schema);
            drop(held);
            dropped
        })
        .await
    }
}
