//! The schema of configuration versions, which the first deployment brings.

use crate::application::SystemSchema;

/// Its name: that of the base schema `config` of a tenant `metadata` is refused.
pub(crate) const NAME: &str = "config_metadata";

/// The schema.
pub(crate) fn system_schema() -> SystemSchema {
    SystemSchema { name: NAME, text: include_str!("config_metadata.sd") }
}
