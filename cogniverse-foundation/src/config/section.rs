//! Sections of a tenant's configuration.

use super::field_use::FieldUse;
use super::origin::AllowedOrigins;
use super::template::Template;
use cogniverse_sdk::config_store::{ConfigKey, ConfigScope};
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::fmt::Debug;

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A section of a tenant's configuration, read and written as one value:
/// [`SystemConfig`](super::system::SystemConfig), [`RoutingConfig`](super::routing::RoutingConfig),
/// [`TelemetryConfig`](super::telemetry::TelemetryConfig).
pub trait ConfigSection:
    sealed::Sealed + Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static
{
    /// The scope under which the section is stored.
    const SCOPE: ConfigScope;
    /// The service within the scope.
    const SERVICE: &'static str;
    /// The key within the service.
    const KEY: &'static str;

    /// Returns the section of a tenant that has not set it.
    fn default_for(tenant: &TenantId) -> Self;

    /// Returns the tenant that the value names; `None` where it names none.
    fn tenant(&self) -> Option<&TenantId>;

    /// Validates every field.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, the value and the remedy.
    fn validate(&self) -> Result<()>;

    /// Returns the use of each field except `tenant_id`, in declaration order.
    #[must_use]
    fn fields() -> &'static [(&'static str, FieldUse)];

    /// Refuses values that could not be read again, such as deeply nested JSON. Called when a value is set.
    ///
    /// # Errors
    /// `InvalidInput` that names the field.
    fn check_storable(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the fields that a template sets.
    #[must_use]
    fn template_fields(_template: Template) -> Map<String, Value> {
        Map::new()
    }

    /// Returns the key under which the tenant's section is stored.
    #[must_use]
    fn key_of(tenant: &TenantId) -> ConfigKey {
        ConfigKey::tenant(tenant, Self::SCOPE, Self::SERVICE, Self::KEY)
    }
}

/// Validates a value and checks that it names the right tenant.
pub(crate) fn check<T: ConfigSection>(tenant: &TenantId, value: &T) -> Result<()> {
    if let Some(named) = value.tenant().filter(|named| *named != tenant) {
        let message = format!("the {} names tenant \"{named}\" and not \"{tenant}\"; give one tenant", T::KEY);
        return Err(Error::invalid(message));
    }
    value.validate()
}

/// Checks that a value may be set: every field is either honoured or refused.
///
/// Values of an earlier release stay readable, so this check is not part of [`ConfigSection::validate`].
pub(crate) fn accept<T: ConfigSection>(tenant: &TenantId, value: &T, allowed: &AllowedOrigins) -> Result<()> {
    check(tenant, value)?;
    value.check_storable()?;
    let unwritable = |e| Error::invalid(format!("the {} cannot be written as JSON", T::KEY)).with_source(e);
    let given = serde_json::to_value(value).map_err(unwritable)?;
    let default = serde_json::to_value(T::default_for(tenant)).map_err(unwritable)?;
    for (field, held) in T::fields() {
        let (given, default) = (given.get(field), default.get(field));
        if given == default {
            continue;
        }
        match held {
            FieldUse::OneForAll(why) => {
                let default = default.map(ToString::to_string).unwrap_or_default();
                let message = format!("{field} cannot be another for one tenant: {why}; leave it at {default}");
                return Err(Error::new(ErrorKind::Unsupported, message).with_context("tenant", tenant));
            }
            FieldUse::AddressReadBy(_) => {
                let address = given.and_then(Value::as_str).unwrap_or_default();
                allowed.check(field, address).map_err(|e| e.with_context("tenant", tenant))?;
            }
            FieldUse::ReadBy(_) | FieldUse::KeptFor(_) => {}
        }
    }
    Ok(())
}
