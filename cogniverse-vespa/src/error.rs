//! Conversion of Vespa's errors.

use crate::wire::{DocumentAnswer, ErrorAnswer, SearchError};
use cogniverse_http::{Answer, Protocol, Request};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Retry};
use std::time::Duration;

/// The longest text of another program that a message repeats.
const MAX_QUOTE: usize = 600;

/// Vespa's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// `/search/`
    Search,
    /// `/document/v1`
    Document,
    /// The config server.
    Deploy,
}

impl Protocol for Api {
    fn server(&self) -> &str {
        "Vespa"
    }

    fn refusal(&self, _: &Request, answer: &Answer) -> Error {
        classify(*self, answer.status().as_u16(), answer.body())
    }
}

/// A whole answer that is no success, as an error: its kind, whether to try again, and the remedy.
pub(crate) fn classify(call: Api, status: u16, body: &[u8]) -> Error {
    let said = reason(body);
    let code = serde_json::from_slice::<ErrorAnswer>(body).ok().and_then(|answer| answer.error_code);
    let (of, retry, remedy) = match status {
        404 if !says_absent(call, body) => (ErrorCode::Unavailable, AGAIN, FOREIGN_404),
        _ => row(call, status, code.as_deref()),
    };
    // What it says of a document or a query may repeat it; of an application, it is for the operator.
    let message = match (call, said.as_str()) {
        (Api::Deploy, "") => format!("{remedy}: no reason was given"),
        (Api::Deploy, said) => format!("{remedy}: {said}"),
        _ => remedy.to_owned(),
    };
    let mut error = Error::of(of, message).with_retry(retry).with_context("status", status).with_withheld(said);
    if let Some(code) = code.filter(|_| call == Api::Deploy) {
        error = error.with_context("code", quote(&code));
    }
    error
}

/// What a 404 means that does not speak of the thing: no absence ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
const FOREIGN_404: &str = "404 in words that are not Vespa's: a proxy, or another server, is at this address; check it";
const AGAIN: Retry = Retry::After(None);
const SOON: Retry = Retry::After(Some(Duration::from_millis(100)));

/// The table: (call, HTTP status, error code) to (code, retry, what it means).
fn row(call: Api, status: u16, code: Option<&str>) -> (ErrorCode, Retry, &'static str) {
    match (call, status, code) {
        (Api::Deploy, 409, Some("ACTIVATION_CONFLICT")) => {
            (ErrorCode::DeploymentConflict, AGAIN, "another deployment was activated in between")
        }
        (Api::Deploy, 409, _) => {
            (ErrorCode::DeploymentConflict, AGAIN, "the config server is busy with another deployment")
        }
        (Api::Deploy, 400, Some("INVALID_APPLICATION_PACKAGE")) => {
            (ErrorCode::InvalidInput, Retry::Never, "Vespa refused the application package")
        }
        (Api::Deploy, 500, _) => {
            (ErrorCode::Unavailable, AGAIN, "the config server failed; read the active generation before trying again")
        }
        (_, 401, _) => (ErrorCode::Unauthenticated, Retry::Never, "Vespa does not know the caller; check the token"),
        (_, 403, _) => (ErrorCode::PermissionDenied, Retry::Never, "the caller may not do this in Vespa"),
        (_, 404, _) => (ErrorCode::NotFound, Retry::Never, "Vespa has no such thing"),
        (Api::Document, 412, _) => (ErrorCode::FailedPrecondition, Retry::Never, "the condition does not hold"),
        (_, 400 | 405 | 412 | 415, _) => (ErrorCode::InvalidInput, Retry::Never, "Vespa refused the request"),
        (_, 408 | 504, _) => (ErrorCode::Timeout, AGAIN, "Vespa took too long"),
        (_, 413, _) => (ErrorCode::InvalidInput, Retry::Never, "the request is larger than Vespa takes (100 MiB)"),
        (_, 429, _) => (ErrorCode::RateLimited, SOON, "Vespa is overloaded"),
        (Api::Document, 507, _) => (
            ErrorCode::FeedBlocked,
            Retry::Never,
            "feed blocked: a content node is above its limit of disk or memory; add nodes, raise the limit, or remove documents",
        ),
        (_, 502 | 503, _) => (ErrorCode::Unavailable, AGAIN, "Vespa is not ready"),
        (_, 500..=599, _) => (ErrorCode::Unavailable, Retry::Never, "Vespa failed"),
        _ => (ErrorCode::Unexpected, Retry::Never, "Vespa answered with a status that has no meaning here"),
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
    let what = match kind {
        ErrorKind::InvalidInput => "Vespa refused the query",
        ErrorKind::NotFound => "Vespa does not know the schema that is searched",
        ErrorKind::Timeout => "Vespa took too long for the query",
        ErrorKind::RateLimited => "Vespa is overloaded",
        ErrorKind::Unauthenticated => "Vespa does not know the caller; check the token",
        ErrorKind::PermissionDenied => "the caller may not do this in Vespa",
        _ => "Vespa failed to answer the query",
    };
    // Its words may repeat the query.
    let code = if kind == ErrorKind::NotFound { ErrorCode::SchemaNotDeployed } else { ErrorCode::of_kind(kind) };
    Error::of(code, what)
        .at_backend()
        .with_retry(retry)
        .with_context("code", error.code)
        .with_withheld(format!("{}: {}", error.summary, error.message))
}

/// Whether a 404 is Vespa's own: the config server names its code, and `/document/v1` the path that was asked for.
pub(crate) fn says_absent(call: Api, body: &[u8]) -> bool {
    match call {
        Api::Deploy => serde_json::from_slice::<ErrorAnswer>(body)
            .is_ok_and(|answer| answer.error_code.as_deref() == Some("NOT_FOUND")),
        Api::Document => {
            serde_json::from_slice::<DocumentAnswer<'_>>(body).is_ok_and(|answer| answer.path_id.is_some())
        }
        Api::Search => false,
    }
}

/// Extracts the reason from any of Vespa's error formats.
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
            (Api::Deploy, 409, r#"{"error-code":"ACTIVATION_CONFLICT","message":"m"}"#, ErrorKind::Conflict, true),
            (
                Api::Deploy,
                400,
                r#"{"error-code":"INVALID_APPLICATION_PACKAGE","message":"m"}"#,
                ErrorKind::InvalidInput,
                false,
            ),
            (Api::Deploy, 500, "<html>", ErrorKind::Unavailable, true),
            (Api::Document, 412, r#"{"pathId":"x","message":"m"}"#, ErrorKind::FailedPrecondition, false),
            (Api::Document, 429, "", ErrorKind::RateLimited, true),
            (Api::Document, 507, "", ErrorKind::RateLimited, false),
            (Api::Document, 413, "", ErrorKind::InvalidInput, false),
            (Api::Search, 504, "", ErrorKind::Timeout, true),
            (Api::Search, 503, "", ErrorKind::Unavailable, true),
            (Api::Search, 401, "", ErrorKind::Unauthenticated, false),
            (Api::Search, 418, "", ErrorKind::Unexpected, false),
        ];
        for (call, status, body, kind, again) in table {
            let error = classify(call, status, body.as_bytes());
            assert_eq!((error.kind(), error.is_retryable()), (kind, again), "{call:?} {status}: {error}");
        }
        assert!(classify(Api::Document, 507, b"").to_string().contains("feed blocked"));
        assert_eq!(classify(Api::Document, 507, b"").code(), ErrorCode::FeedBlocked);
        assert_eq!(classify(Api::Deploy, 409, b"").code(), ErrorCode::DeploymentConflict);
    }

    #[test]
    fn long_answers_are_cut() {
        let error = classify(Api::Search, 500, "é\n".repeat(10_000).as_bytes());
        assert!(error.to_string().chars().count() < MAX_QUOTE + 100);
    }
}
