//! Matching and ranking of documents.

mod bm25;
mod ceilings;
mod conditions;
mod execute;
mod facets;
mod float_access;
mod global;
mod matched;
mod meter;
mod prepare;
mod rescore;
mod scorer;
mod sorted;
mod top;
mod typos;
mod vectors;
mod word_list;
mod word_search;
mod words;

pub(crate) use execute::execute;
pub(crate) use prepare::{Prepared, prepare};
pub(crate) use sorted::{After, first};
pub(crate) use typos::correct;
