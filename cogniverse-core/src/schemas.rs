//! Base schemas: where they come from, what they mean, and whose they are.

mod difference;
mod expression;
mod lower;
mod schema;
mod strategy;

pub use difference::SchemaDifference;
pub use schema::Schema;
pub use strategy::{MatchSet, Metric, Rerank, Score, Strategy, StrategyInputs};
