//! The contract suite of each role: one case per rule, to be run on every implementation and every wrapper.

pub mod access_policy;
pub mod audit_log;
pub mod backup_target;
pub mod config_store;
pub mod document_store;
pub mod encoder;
pub mod experience_store;
pub mod fixture;
pub mod frame_describer;
pub mod health_probe;
pub mod isolation;
pub mod language_model;
pub mod memory_store;
pub mod ordered;
pub mod picture;
pub mod quota_store;
pub mod reranker;
pub mod schema_loader;
pub mod schema_store;
pub mod screen_reader;
mod scripted_model;
pub mod search_backend;
pub mod telemetry_provider;
pub mod text_embedder;

pub use scripted_model::ScriptedModel;
pub mod transcriber;
pub mod word_conditions;

/// The outcome of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The case ran and held.
    Ran,
    /// The case was skipped because the implementation does not support it, for the given reason.
    Skipped(&'static str),
}

/// Expands to one test per case of a backend suite; `make` returns the backend and a value that must live as long.
///
/// A case that skips must be declared, and a declared skip must not run. A list after the skips, such as
/// `[ignore = "needs a server"]`, is the attributes that every test gets.
#[macro_export]
macro_rules! contract_cases {
    ($suite:ident, $make:expr, $skips:tt; $($case:ident),* $(,)?) => {
        $crate::contract_cases! { $suite, $make, $skips, []; $($case),* }
    };
    ($suite:ident, $make:expr, $skips:tt, $attributes:tt; $($case:ident),* $(,)?) => {
        $($crate::contract_cases! { @one $suite, $make, $skips, $attributes, $case })*
    };
    (@one $suite:ident, $make:expr, $skips:tt, [$($attribute:meta),*], $case:ident) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let (subject, _guard) = $make.await;
            let skips: &[&str] = &$skips;
            match $crate::contract::$suite::$case(&*subject).await {
                $crate::contract::Outcome::Ran => assert!(!skips.contains(&stringify!($case)), "declared as skipped, but ran"),
                $crate::contract::Outcome::Skipped(why) => assert!(skips.contains(&stringify!($case)), "undeclared skip: {why}"),
            }
        }
    };
}
