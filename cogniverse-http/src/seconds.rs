//! Durations as seconds, for `#[serde(with = "cogniverse_http::seconds")]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use std::time::Duration;

/// Writes a duration as a number of seconds.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Reads a number of seconds.
///
/// # Errors
/// For a number that is negative, not finite or too large.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| D::Error::custom(format!("{seconds} is not a number of seconds")))
}
