//! A new tenant: its configuration, then its record.

use super::{TenantRecord, TenantRegistry};
use cogniverse_foundation::{ConfigManager, Template};
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId};
use serde_json::{Map, Value};

impl TenantRegistry {
    /// Makes a tenant with the configuration of a template and overrides. The record comes last: until it is there nobody
    /// is served, and a creation that was interrupted is finished by running it again. A configuration that is there
    /// already, set before or left by an interruption, stays.
    ///
    /// # Errors
    /// `Conflict` where the tenant exists; `InvalidInput` for an override that does not exist.
    pub async fn create_from_template(
        &self,
        config: &ConfigManager,
        tenant: &TenantId,
        template: Template,
        overrides: Map<String, Value>,
    ) -> Result<TenantRecord> {
        match self.get(tenant).await {
            Ok(record) => {
                let message =
                    format!("tenant \"{tenant}\" exists already and is {}; choose another id, or use it", record.state);
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match config.create_from_template(tenant, template, overrides).await {
            Err(e) if e.kind() != ErrorKind::Conflict => return Err(e),
            _ => {}
        }
        self.create(tenant).await
    }
}
