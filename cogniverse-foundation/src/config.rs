//! The types of a tenant's configuration.

mod address;
pub mod builtin;
pub mod export;
pub mod field_use;
pub mod learned;
pub mod origin;
pub mod profile;
pub mod provenance;
pub mod quotas;
pub mod routing;
pub mod section;
pub mod segmentation;
pub mod system;
pub mod telemetry;
pub mod template;
pub mod versioned;
