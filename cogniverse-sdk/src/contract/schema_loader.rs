//! The contract suite of [`crate::SchemaLoader`], for a loader that holds at least one schema.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{ErrorKind, SchemaLoader, SchemaName};

/// Names are sorted and each loads the schema of that name.
pub async fn what_is_listed_loads(loader: &dyn SchemaLoader) -> Outcome {
    let names = loader.list().await.expect("list");
    assert!(!names.is_empty());
    assert!(names.windows(2).all(|pair| matches!(pair, [a, b] if a < b)), "{names:?}");
    for name in &names {
        let schema = loader.load(name).await.expect("load");
        assert_eq!(schema.name, *name);
        assert_eq!(schema, loader.load(name).await.expect("load again"));
    }
    Outcome::Ran
}

/// An unknown name is an error that lists what exists; a part of a name is an unknown name ([invariants 3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3) and [16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16)).
pub async fn invariant_16_unknown_lists_what_exists(loader: &dyn SchemaLoader) -> Outcome {
    let names = loader.list().await.expect("list");
    let known = names.first().expect("at least one");
    for wrong in ["no_such_schema".to_owned(), format!("{known}_x")] {
        let error = loader.load(&SchemaName::parse(&wrong).expect("a plain name")).await.expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(known.as_str()), "{error}");
    }
    Outcome::Ran
}

/// Expands to one test per case.
#[macro_export]
macro_rules! schema_loader_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            schema_loader, $make, [$($skip),*];
            what_is_listed_loads, invariant_16_unknown_lists_what_exists
        }
    };
}
