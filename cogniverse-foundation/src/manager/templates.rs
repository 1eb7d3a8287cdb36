//! New tenants from templates.

use super::ConfigManager;
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::template::Template;
use crate::config::versioned::Versioned;
use cogniverse_sdk::config_store::{ConfigOrigin, Expected};
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId};
use serde_json::{Map, Value};

impl ConfigManager {
    /// Creates a tenant's system configuration from a template and overrides of its fields, as one version:
    /// [`ConfigManager::field_sources`] tells the two apart.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown field, with the known ones, or a value that the field does not take; `Conflict` for
    /// a tenant that has a system configuration.
    pub async fn create_from_template(
        &self,
        tenant: &TenantId,
        template: Template,
        overrides: Map<String, Value>,
    ) -> Result<Versioned<SystemConfig>> {
        let config = fill(tenant, template, overrides)?;
        let origin = ConfigOrigin::Template(template.as_str().to_owned());
        let created = self.write(SystemConfig::key_of(tenant), config, Expected::Absent, origin).await;
        created.map_err(|e| match e.kind() {
            ErrorKind::Conflict => {
                let message = format!(
                    "tenant \"{tenant}\" already has a system configuration; change it by set_system_config or update"
                );
                Error::new(ErrorKind::Conflict, message).with_context("tenant", tenant).with_source(e)
            }
            _ => e,
        })
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
