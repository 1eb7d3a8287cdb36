//! Tenants: who exists, and whether it may be served.

mod record;
mod registry;

pub use record::{TenantRecord, TenantState};
pub use registry::{TenantCache, TenantPage, TenantRegistry};
