//! The broad kind of an error, and whether to retry.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The broad kind of an error. [`ErrorCode`](super::ErrorCode) tells the cases of a kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// The request itself is wrong and will stay wrong.
    InvalidInput,
    /// Somebody else changed, holds or owns the thing: another version, another writer, another pair behind one name.
    Conflict,
    /// The thing exists and is not in the state that the call needs, such as a suspended tenant.
    FailedPrecondition,
    /// The implementation cannot do this, ever.
    Unsupported,
    /// The caller is not known.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// Too many calls at once or in a window of time, or a queue is full.
    RateLimited,
    /// A quota that waiting a moment does not refill is used up.
    QuotaExceeded,
    /// The deadline passed before the work ended.
    Timeout,
    /// The other side could not be reached, or the disk could not be read or written.
    Unavailable,
    /// Stored bytes do not say what they must.
    Corrupt,
    /// A bug, here or below.
    Unexpected,
}

/// Whether retrying the same call can help.
///
/// As JSON: `"never"`, `{"after_ms": 100}`, `{"after_ms": null}` where the time is not known, or `"exhausted"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It cannot.
    Never,
    /// It can, after the given time where one is known.
    #[serde(rename = "after_ms", with = "milliseconds")]
    After(Option<Duration>),
    /// It was tried already as often as configured.
    Exhausted,
}

/// A time as whole milliseconds, rounded up: no client comes back too early.
pub(super) fn milliseconds_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

mod milliseconds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(super::milliseconds_of).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
