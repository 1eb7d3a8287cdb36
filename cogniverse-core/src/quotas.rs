//! Quotas of tenants: counted for real, kept across restarts, and never exceeded, also not by processes at once.
//!
//! A process takes a part of a quota from the store in advance, as a lease, and hands it out in memory; the store thus
//! always knows at least what is used. Each second it stores what was used and returns what it does not need. A lease
//! whose process is gone counts as used, except for calls at one moment, which ended with it.

mod backend;
mod counter;
mod reservation;
mod service;
mod size;
mod surface;

pub use backend::QuotaBackend;
pub use reservation::{CallReservation, QuotaReservation};
pub use service::{OnQuotaStoreUnavailable, QuotaUsage, Quotas};
pub use surface::QuotaSurface;
