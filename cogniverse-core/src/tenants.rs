//! Tenants: who exists, and whether it may be served.

mod creation;
mod record;
mod registry;

pub use record::{TenantRecord, TenantState};
pub use registry::{TenantCache, TenantPage, TenantRegistry};
