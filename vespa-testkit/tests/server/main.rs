//! The test server at its boundary: transport, deploy API, faults, health, and the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test asserts")]

mod deploy_rules;
mod faults;
mod program;
mod sessions;
mod support;
mod transport;
