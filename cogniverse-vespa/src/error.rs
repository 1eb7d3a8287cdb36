//! From what Vespa answers to the sdk's error: one table.

use crate::wire::{DocumentAnswer, ErrorAnswer, SearchError};
use cogniverse_sdk::{Error, ErrorKind, Retry};
use std::time::Duration;

/// The longest text of another program that a message repeats.
const MAX_QUOTE: usize = 600;

/// What was asked of Vespa.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// `/search/`
    Search,
    /// `/document/v1`
    Document,
    /// The config server.
    Deploy,
}

/// A whole answer that is no success, as an error: its kind, whether to try again, and the remedy.
pub(crate) fn classify(call: Call, status: u16, body: &[u8]) -> Error {
    let said = reason(body);
    let code = serde_json::from_slice::<ErrorAnswer>(body).ok().and_then(|answer| answer.error_code);
    let (kind, retry, remedy) = row(call, status, code.as_deref());
    let said = if said.is_empty() { "no reason was given".to_owned() } else { said };
    let mut error = Error::new(kind, format!("{remedy}: {said}")).with_retry(retry).with_context("status", status);
    if let Some(code) = code {
        error = error.with_context("code", quote(&code));
    }
    error
}

const AGAIN: Retry = Retry::After(None);
const SOON: Retry = Retry::After(Some(Duration::from_millis(100)));

/// The table: (call, HTTP status, error code) to (kind, retry, what it means).
fn row(call: Call, status: u16, code: Option<&str>) -> (ErrorKind, Retry, &'static str) {
    match (call, status, code) {
        (Call::Deploy, 409, Some("ACTIVATION_CONFLICT")) => {
            (ErrorKind::Conflict, AGAIN, "another deployment was activated in between")
        }
        (Call::Deploy, 409, _) => (ErrorKind::Conflict, AGAIN, "the config server is busy with another deployment"),
        (Call::Deploy, 400, Some("INVALID_APPLICATION_PACKAGE")) => {
            (ErrorKind::InvalidInput, Retry::Never, "Vespa refused the application package")
        }
        (Call::Deploy, 500, _) => {
            (ErrorKind::Unavailable, AGAIN, "the config server failed; read the active generation before trying again")
        }
        (_, 401, _) => (ErrorKind::Unauthenticated, Retry::Never, "Vespa does not know the caller; check the token"),
        (_, 403, _) => (ErrorKind::PermissionDenied, Retry::Never, "the caller may not do this in Vespa"),
        (_, 404, _) => (ErrorKind::NotFound, Retry::Never, "Vespa has no such thing"),
        (Call::Document, 412, _) => (ErrorKind::FailedPrecondition, Retry::Never, "the condition does not hold"),
        (_, 400 | 405 | 412 | 415, _) => (ErrorKind::InvalidInput, Retry::Never, "Vespa refused the request"),
        (_, 408 | 504, _) => (ErrorKind::Timeout, AGAIN, "Vespa took too long"),
        (_, 413, _) => (ErrorKind::InvalidInput, Retry::Never, "the request is larger than Vespa takes (100 MiB)"),
        (_, 429, _) => (ErrorKind::RateLimited, SOON, "Vespa is overloaded"),
        (Call::Document, 507, _) => (
            ErrorKind::RateLimited,
            Retry::Never,
            "feed blocked: a content node is above its limit of disk or memory; add nodes, raise the limit, or remove documents",
        ),
        (_, 502 | 503, _) => (ErrorKind::Unavailable, AGAIN, "Vespa is not ready"),
        (_, 500..=599, _) => (ErrorKind::Unavailable, Retry::Never, "Vespa failed"),
        _ => (ErrorKind::Unexpected, Retry::Never, "Vespa answered with a status that has no meaning here"),
    }
}

/// One entry of a search's `errors`.
pub(crate) fn of_search(error: &SearchError<'_>) -> Error {
    let (kind, retry) = match error.code {
        3 | 4 | 17 | 400 => (ErrorKind::InvalidInput, Retry::Never),
        0 | 10 | 503 => (ErrorKind::Unavailable, AGAIN),
        12 | 504 => (ErrorKind::Timeout, AGAIN),
        14 | 401 => (ErrorKind::Unauthenticated, Retry::Never),
        15 | 403 => (ErrorKind::PermissionDenied, Retry::Never),
        16 | 404 => (ErrorKind::NotFound, Retry::Never),
        429 => (ErrorKind::RateLimited, SOON),
        _ => (ErrorKind::Unavailable, Retry::Never),
    };
    // A schema that the container does not know: it was dropped, or the container does not have it yet.
    let kind = if error.message.starts_with("Could not resolve source ref") { ErrorKind::NotFound } else { kind };
    Error::new(kind, format!("Vespa: {}: {}", quote(&error.summary), quote(&error.message)))
        .with_retry(retry)
        .with_context("code", error.code)
}

/// A request that got no whole answer.
pub(crate) fn transport(error: reqwest::Error) -> Error {
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    let what = if error.is_connect() {
        "cannot reach Vespa; check the address, and that it is up"
    } else if error.is_timeout() {
        "Vespa took too long"
    } else {
        "the connection to Vespa broke"
    };
    // Its address is in the context of the call, and may hold what a log should not.
    Error::new(kind, what).with_retry(AGAIN).with_source(error.without_url())
}

/// Whether no part of a request can have arrived: no connection was made for it.
pub(crate) fn never_arrived(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<reqwest::Error>());
    cause.is_some_and(reqwest::Error::is_connect)
}

/// Whether a 404 is Vespa's own: the config server names its code, and `/document/v1` the path that was asked for.
pub(crate) fn says_absent(call: Call, body: &[u8]) -> bool {
    match call {
        Call::Deploy => serde_json::from_slice::<ErrorAnswer>(body)
            .is_ok_and(|answer| answer.error_code.as_deref() == Some("NOT_FOUND")),
        Call::Document => {
            serde_json::from_slice::<DocumentAnswer<'_>>(body).is_ok_and(|answer| answer.path_id.is_some())
        }
        Call::Search => false,
    }
}

/// What the other side says, from any of its shapes of error.
fn reason(body: &[u8]) -> String {
    if let Ok(answer) = serde_json::from_slice::<ErrorAnswer>(body)
        && let Some(message) = answer.message.or(answer.problem)
    {
        return quote(&message);
    }
    if let Ok(answer) = serde_json::from_slice::<DocumentAnswer<'_>>(body)
        && let Some(message) = answer.message
    {
        return quote(&message);
    }
    quote(&String::from_utf8_lossy(body))
}

/// Another program's text, cut and on one line.
pub(crate) fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_kind_and_says_whether_to_try_again() {
        let table = [
            (Call::Deploy, 409, r#"{"error-code":"ACTIVATION_CONFLICT","message":"m"}"#, ErrorKind::Conflict, true),
            (
                Call::Deploy,
                400,
                r#"{"error-code":"INVALID_APPLICATION_PACKAGE","message":"m"}"#,
                ErrorKind::InvalidInput,
                false,
            ),
            (Call::Deploy, 500, "<html>", ErrorKind::Unavailable, true),
            (Call::Document, 412, r#"{"pathId":"x","message":"m"}"#, ErrorKind::FailedPrecondition, false),
            (Call::Document, 429, "", ErrorKind::RateLimited, true),
            (Call::Document, 507, "", ErrorKind::RateLimited, false),
            (Call::Document, 413, "", ErrorKind::InvalidInput, false),
            (Call::Search, 504, "", ErrorKind::Timeout, true),
            (Call::Search, 503, "", ErrorKind::Unavailable, true),
            (Call::Search, 401, "", ErrorKind::Unauthenticated, false),
            (Call::Search, 418, "", ErrorKind::Unexpected, false),
        ];
        for (call, status, body, kind, again) in table {
            let error = classify(call, status, body.as_bytes());
            assert_eq!((error.kind(), error.is_retryable()), (kind, again), "{call:?} {status}: {error}");
        }
        assert!(classify(Call::Document, 507, b"").to_string().contains("feed blocked"));
    }

    #[test]
    fn long_answers_are_cut() {
        let error = classify(Call::Search, 500, "é\n".repeat(10_000).as_bytes());
        assert!(error.to_string().chars().count() < MAX_QUOTE + 100);
    }
}
