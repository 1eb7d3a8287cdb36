//! Fairness: one scheduler in front of the backend, for searches, feeds, visits and memories of all tenants alike.

mod backend;
mod scheduler;

pub use backend::FairBackend;
pub use scheduler::{FairScheduler, FairnessConfig, FairnessStats, Place};
