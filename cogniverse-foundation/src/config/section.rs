//! A part of a tenant's configuration that is read and written as a whole.

use super::template::Template;
use cogniverse_sdk::config_store::{ConfigKey, ConfigScope};
use cogniverse_sdk::{Error, Result, TenantId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::fmt::Debug;

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A part of a tenant's configuration that is read and written as a whole: [`SystemConfig`](super::system::SystemConfig),
/// [`RoutingConfig`](super::routing::RoutingConfig), [`TelemetryConfig`](super::telemetry::TelemetryConfig).
pub trait ConfigSection:
    sealed::Sealed + Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static
{
    /// Where it is stored.
    const SCOPE: ConfigScope;
    /// Where in the scope.
    const SERVICE: &'static str;
    /// Under which key.
    const KEY: &'static str;

    /// What holds for a tenant that has set nothing.
    fn default_for(tenant: &TenantId) -> Self;

    /// The tenant named in the value; none where the value names none.
    fn tenant(&self) -> Option<&TenantId>;

    /// Checks every field.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, the value and the remedy.
    fn validate(&self) -> Result<()>;

    /// The fields that a template gives.
    #[must_use]
    fn template_fields(_template: Template) -> Map<String, Value> {
        Map::new()
    }

    /// The name of a tenant's value in a store.
    #[must_use]
    fn key_of(tenant: &TenantId) -> ConfigKey {
        ConfigKey::tenant(tenant, Self::SCOPE, Self::SERVICE, Self::KEY)
    }
}

/// Checks a value, and that it is the tenant's.
pub(crate) fn check<T: ConfigSection>(tenant: &TenantId, value: &T) -> Result<()> {
    if let Some(named) = value.tenant().filter(|named| *named != tenant) {
        let message = format!("the {} names tenant \"{named}\" and not \"{tenant}\"; give one tenant", T::KEY);
        return Err(Error::invalid(message));
    }
    value.validate()
}
