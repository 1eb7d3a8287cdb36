//! Words: how texts become terms, and where a query's words stand in a document.

mod analyzer;
mod highlight;

pub use analyzer::{ANALYZER_VERSION, Analyzer};
pub use highlight::highlights;
