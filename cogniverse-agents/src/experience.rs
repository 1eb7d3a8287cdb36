//! Experience: what is remembered of routed searches, and what users did with their results.

mod recorder;
mod surface;

pub use recorder::{ExperienceRecorder, RecorderStats};
pub use surface::ExperienceSurface;
