//! Checks of picture files before a program is asked about them.

use crate::worker::blocking;
use cogniverse_sdk::{Error, Picture, Result};
use serde_json::Value;
use std::path::PathBuf;

/// The largest picture file that a program is given, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// Checks that each path is a picture, and returns the paths as JSON: a program must not be trusted to tell what is
/// missing from what shows nothing.
pub(super) async fn checked(paths: &[PathBuf]) -> Result<Value> {
    let paths = paths.to_vec();
    blocking(move || {
        let mut shown = Vec::with_capacity(paths.len());
        for path in &paths {
            Picture::read(path, MAX_BYTES)?;
            let path = path.to_str().ok_or_else(|| {
                Error::invalid(format!("the path {} is not UTF-8; use another folder", path.display()))
            })?;
            shown.push(Value::from(path));
        }
        Ok(Value::from(shown))
    })
    .await
}
