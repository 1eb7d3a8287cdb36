//! Optimization: routing learns from a tenant's own searches.
//!
//! An orchestrator looks at the tenant's experiences and spans in turn, asks people and a judge about routes that need
//! it, reads back what they say, and changes the tenant's configuration where that wins on experiences that were kept for
//! measuring. A change names its evidence, and is taken back where the reward falls.

mod judge;
mod learn;
mod lease;
mod orchestrator;
mod preferences;
mod report;
mod reward;
mod sample;
mod shared;
mod spans;
mod state;
mod steps;
mod undo;

pub use judge::{AnnotationPriority, AnnotationRequest};
pub use orchestrator::OptimizationOrchestrator;
pub use report::{OptimizationOptions, OptimizationOutcome, OptimizationReport, OptimizationStatus};
pub use reward::reward;
pub use shared::OptimizationParts;
pub use state::OptimizationCounts;
