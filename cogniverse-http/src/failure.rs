//! Failures without an answer of the server, and answers that cannot be read.

use cogniverse_sdk::{Error, ErrorCode, Retry, json_problem};
use std::time::Duration;

/// The most of an unreadable body that is kept beside its error.
const KEPT_BYTES: usize = 8000;

/// A request that got no whole answer.
pub(crate) fn of_transport(server: &str, error: reqwest::Error) -> Error {
    let message = if error.is_connect() {
        format!("{server} cannot be reached; check the address, and that it runs")
    } else if error.is_timeout() {
        return late(server, None);
    } else {
        format!("the connection to {server} broke")
    };
    // The address may hold what a log should not.
    Error::of(ErrorCode::BackendUnavailable, message).with_retry(Retry::After(None)).with_source(error.without_url())
}

/// An answer that did not come in time.
pub(crate) fn late(server: &str, limit: Option<Duration>) -> Error {
    let limit = limit.map_or_else(|| "in time".to_owned(), |limit| format!("within {limit:?}"));
    let message = format!("{server} did not answer {limit}; raise the timeout, or look at its load");
    Error::of(ErrorCode::BackendTimeout, message).with_retry(Retry::After(None))
}

/// An answer of success that is not the expected JSON. The body is withheld, as it may repeat a user's text.
#[must_use]
pub fn unreadable(server: &str, body: &[u8], cause: &serde_json::Error) -> Error {
    let begin = body.get(..KEPT_BYTES.min(body.len())).unwrap_or_default();
    let what = if body.trim_ascii_start().starts_with(b"<") {
        "it is a web page; give the address of its API".to_owned()
    } else {
        json_problem(cause)
    };
    Error::unexpected(format!("the answer of {server} is not of the expected form: {what}"))
        .with_withheld(String::from_utf8_lossy(begin))
}

/// Whether no part of the request can have arrived: no connection was made for it.
#[must_use]
pub fn is_unsent(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<reqwest::Error>());
    cause.is_some_and(reqwest::Error::is_connect)
}
