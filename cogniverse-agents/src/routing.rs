//! Routing: what a query asks for, and which of the tenant's profiles are searched for it.
//!
//! Three paths decide: the fast path is a classifier in this process, trained from examples that ship with the library
//! and corrected by what was learned of the tenant's own searches; the slow path is the tenant's language model; the
//! keywords are lists of words. The tenant's `RoutingConfig` says how they are combined.

pub(crate) mod classifier;
pub(crate) mod decision;
pub(crate) mod features;
mod folded;
pub(crate) mod keywords;
pub(crate) mod labels;
mod language_model;
mod lexicon;
pub(crate) mod router;
pub(crate) mod vote;

pub use cogniverse_sdk::{Generation, RouteTier};
pub use decision::{LeftOut, Route};
pub(crate) use router::Decision;
pub use router::Router;
