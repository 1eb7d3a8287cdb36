//! Severity of failures in spans and logs.

use cogniverse_sdk::{Error, ErrorKind};

/// Returns whether the caller, not the operator of the service, has to act on the error.
#[must_use]
pub fn is_callers_fault(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::InvalidInput
            | ErrorKind::Conflict
            | ErrorKind::FailedPrecondition
            | ErrorKind::Unsupported
            | ErrorKind::RateLimited
    )
}

/// Records a failure in the current span. An error that the caller must fix is logged as a warning and leaves the
/// span's status unset; any other is logged as an error and sets the status.
pub fn failed(error: &Error) {
    let kind = error.kind();
    if is_callers_fault(kind) {
        tracing::warn!(exception.r#type = ?kind, "{}", error.chain());
    } else {
        tracing::error!(exception.r#type = ?kind, "{}", error.chain());
    }
}
