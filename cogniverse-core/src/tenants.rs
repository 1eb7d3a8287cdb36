//! Tenants: their records, and the gate that admits every call that acts for one.

mod activity;
mod cache;
mod gate;
mod grant;
mod record;
mod registry;
mod shared_access;
mod snapshot;

pub use activity::InFlight;
pub use cache::TenantCache;
pub(crate) use gate::Attendance;
pub use gate::{Gate, GateBuilder};
pub use grant::TenantGrant;
pub(crate) use record::unknown;
pub use record::{ErasureReceipt, SurfaceReceipt, TenantRecord, TenantState};
pub use registry::{FoundTenant, TenantPage, TenantRegistry};
pub use shared_access::{ShareAccess, SharedAccess};
