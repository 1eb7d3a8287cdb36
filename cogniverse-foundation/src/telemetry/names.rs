//! The names of the spans and fields that this crate emits by `tracing`.

use cogniverse_sdk::config_store::{ConfigKey, ConfigOwner};
use tracing::Span;

/// Span: reading a configuration value.
pub const SPAN_CONFIG_READ: &str = "cogniverse.config.read";
/// Span: writing a configuration version.
pub const SPAN_CONFIG_WRITE: &str = "cogniverse.config.write";
/// Span: exporting, importing or erasing a tenant's configuration.
pub const SPAN_CONFIG_TRANSFER: &str = "cogniverse.config.transfer";
/// Field: the tenant; empty for the system.
pub const FIELD_TENANT: &str = "tenant.id";
/// Field: the key, as `scope/service/key`.
pub const FIELD_CONFIG_KEY: &str = "config.key";
/// Field: the version that was written.
pub const FIELD_CONFIG_VERSION: &str = "config.version";

fn tenant(key: &ConfigKey) -> &str {
    match &key.owner {
        ConfigOwner::System => "",
        ConfigOwner::Tenant(tenant) => tenant.as_str(),
    }
}

fn name(key: &ConfigKey) -> String {
    format!("{}/{}/{}", key.scope.as_str(), key.service, key.key)
}

pub(crate) fn read_span(key: &ConfigKey) -> Span {
    tracing::debug_span!(SPAN_CONFIG_READ, { FIELD_TENANT } = tenant(key), { FIELD_CONFIG_KEY } = name(key))
}

pub(crate) fn write_span(key: &ConfigKey) -> Span {
    tracing::info_span!(SPAN_CONFIG_WRITE, { FIELD_TENANT } = tenant(key), { FIELD_CONFIG_KEY } = name(key))
}

pub(crate) fn transfer_span(tenant: &cogniverse_sdk::TenantId) -> Span {
    tracing::info_span!(SPAN_CONFIG_TRANSFER, { FIELD_TENANT } = tenant.as_str())
}

pub(crate) fn written(version: u64) {
    tracing::info!({ FIELD_CONFIG_VERSION } = version, "configuration version written");
}
