//! Matching and ranking of documents.

mod bm25;
mod execute;
mod float_access;
mod global;
mod prepare;
mod scorer;
mod top;
mod vectors;

pub(crate) use execute::execute;
pub(crate) use prepare::{Prepared, prepare};
