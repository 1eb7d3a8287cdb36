//! Tests of the whole library with its adapters, and its benches, in a package of their own: so the facade's own examples compile
//! without them. Each file beside this one is a test.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}
