//! Ranking: which documents match, their score, and the best of them.

mod bm25;
mod execute;
mod float_access;
mod prepare;
mod scorer;
mod top;
mod vectors;

pub(crate) use execute::execute;
pub(crate) use prepare::{Prepared, prepare};
