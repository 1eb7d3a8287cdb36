//! Query and segment encoders; local models behind a feature.
