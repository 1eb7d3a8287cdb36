//! Matching and ranking of documents.

mod bm25;
mod ceilings;
mod execute;
mod float_access;
mod global;
mod meter;
mod prepare;
mod rescore;
mod scorer;
mod top;
mod vectors;
mod word_list;
mod word_search;
mod words;

pub(crate) use execute::execute;
pub(crate) use prepare::{Prepared, prepare};
