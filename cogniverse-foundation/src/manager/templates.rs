//! Creation of tenants from templates.

use super::ConfigManager;
use crate::config::quotas::QuotaConfig;
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::template::Template;
use crate::config::versioned::Versioned;
use cogniverse_sdk::config_store::{ConfigOrigin, Expected};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, TenantId};
use serde_json::{Map, Value};

impl ConfigManager {
    /// Creates a tenant's system configuration from a template and overrides of its fields, in a single version that
    /// [`ConfigManager::field_sources`] can still tell apart.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown field, with the known ones, or a value that the field does not accept;
    /// `Conflict` for a tenant that has a system configuration; those of [`ConfigManager::compare_and_set`]. Where a
    /// [`TenantDirectory`](super::TenantDirectory) is set, `NotFound` for a tenant that it does not know.
    pub async fn create_from_template(
        &self,
        tenant: &TenantId,
        template: Template,
        overrides: Map<String, Value>,
    ) -> Result<Versioned<SystemConfig>> {
        if let Some(tenants) = &self.tenants {
            tenants.require_exists(tenant).await?;
        }
        self.provision(tenant, template, overrides).await
    }

    /// Creates the configuration of a tenant that no directory knows yet. Only the code that maintains the directory
    /// calls this, right before it adds the tenant; others call [`ConfigManager::create_from_template`].
    ///
    /// # Errors
    /// Those of [`ConfigManager::create_from_template`], except for an unknown tenant.
    pub async fn provision(
        &self,
        tenant: &TenantId,
        template: Template,
        overrides: Map<String, Value>,
    ) -> Result<Versioned<SystemConfig>> {
        let config = fill(tenant, template, overrides)?;
        section::accept(tenant, &config, &self.allowed)?;
        let origin = ConfigOrigin::Template(template.as_str().to_owned());
        // Before the configuration that makes the tenant exist: none is ever served without its limits.
        if self.newest(&SystemConfig::key_of(tenant)).await?.is_none() {
            self.provision_quotas(tenant, template, origin.clone()).await?;
        }
        let created = self.write(SystemConfig::key_of(tenant), config, Expected::Absent, origin).await;
        created.map_err(|e| match e.kind() {
            ErrorKind::Conflict => {
                let message = format!(
                    "tenant \"{tenant}\" already has a system configuration; change it by set_system_config or update"
                );
                Error::of(ErrorCode::ConfigExists, message).with_context("tenant", tenant).with_source(e)
            }
            _ => e,
        })
    }
}

impl ConfigManager {
    /// Writes the quotas of a template, unless an earlier attempt wrote the same.
    async fn provision_quotas(&self, tenant: &TenantId, template: Template, origin: ConfigOrigin) -> Result<()> {
        let quotas = QuotaConfig::of_template(tenant.clone(), template);
        section::accept(tenant, &quotas, &self.allowed)?;
        let key = QuotaConfig::key_of(tenant);
        match self.write(key.clone(), quotas.clone(), Expected::Absent, origin.clone()).await {
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let found = self.newest(&key).await?;
                let is_made = found
                    .is_some_and(|entry| entry.origin == origin && entry.value == serde_json::to_value(&quotas).ok());
                if is_made {
                    return Ok(());
                }
                let message = format!(
                    "tenant \"{tenant}\" has quotas already; change them by set_quota_config, or erase what a former tenant left"
                );
                Err(Error::of(ErrorCode::ConfigExists, message).with_context("tenant", tenant).with_source(e))
            }
            done => done.map(drop),
        }
    }
}

impl Template {
    /// Returns the configuration that the template and overrides of its fields give a tenant.
    ///
    /// # Errors
    /// Those of [`ConfigManager::create_from_template`], except `Conflict`.
    pub fn fill(self, tenant: &TenantId, overrides: Map<String, Value>) -> Result<SystemConfig> {
        fill(tenant, self, overrides)
    }
}

fn fill(tenant: &TenantId, template: Template, overrides: Map<String, Value>) -> Result<SystemConfig> {
    let unwritable = |e| Error::unexpected("a default configuration cannot be written as JSON").with_source(e);
    let mut fields = serde_json::to_value(SystemConfig::new(tenant.clone())).map_err(unwritable)?;
    let known: Vec<String> = fields.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let overridable = || known.iter().filter(|field| *field != "tenant_id");
    for (field, value) in SystemConfig::template_fields(template).into_iter().chain(overrides) {
        if !overridable().any(|known| *known == field) {
            let message = Error::unknown("override", &field, overridable()).message().to_owned();
            return Err(Error::invalid(message));
        }
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(field, value);
        }
    }
    let refused =
        |e| Error::invalid(format!("an override of template \"{template}\" has the wrong type")).with_source(e);
    let config: SystemConfig = serde_json::from_value(fields).map_err(refused)?;
    section::check(tenant, &config)?;
    Ok(config)
}
