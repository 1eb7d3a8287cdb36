//! The examples that need an adapter. Each is a program of its own beside this file; `cargo run --example NAME -- --help`.
