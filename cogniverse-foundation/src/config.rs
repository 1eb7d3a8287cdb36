//! What can be configured, and the manager that keeps it.

mod address;
pub mod builtin;
pub mod export;
pub mod profile;
pub mod provenance;
pub mod routing;
pub mod section;
pub mod segmentation;
pub mod system;
pub mod telemetry;
pub mod template;
pub mod versioned;
