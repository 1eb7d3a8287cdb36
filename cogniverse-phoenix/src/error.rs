//! Phoenix's errors, in every shape that it gives them.

use cogniverse_sdk::{Error, ErrorKind, Retry};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

/// What of an answer is repeated in a message.
const SHOWN: usize = 300;

/// An answer that is no success.
pub(crate) fn of_status(what: &str, status: StatusCode, after: Option<Duration>, body: &[u8]) -> Error {
    let said = said(body);
    let again = Retry::After(after);
    let (kind, retry, message) = match status.as_u16() {
        401 => (
            ErrorKind::Unauthenticated,
            Retry::Never,
            format!("Phoenix does not know the API key ({said}); set one by PhoenixConfig::with_api_key"),
        ),
        403 => (
            ErrorKind::PermissionDenied,
            Retry::Never,
            format!("the API key may not do this ({said}); use an administrator's user key or the admin secret"),
        ),
        404 => (ErrorKind::NotFound, Retry::Never, format!("Phoenix has no such thing: {said}")),
        409 => (ErrorKind::Conflict, Retry::Never, format!("it is there already: {said}")),
        400 | 405 | 413 | 415 | 422 => {
            (ErrorKind::InvalidInput, Retry::Never, format!("Phoenix refused the request with {status}: {said}"))
        }
        408 | 504 => (ErrorKind::Timeout, again, format!("Phoenix took too long ({status}): {said}")),
        429 => (ErrorKind::RateLimited, again, format!("Phoenix asks to slow down: {said}")),
        500..=599 => (ErrorKind::Unavailable, again, format!("Phoenix failed with {status}: {said}")),
        _ => (ErrorKind::Unexpected, Retry::Never, format!("Phoenix answered {status}: {said}")),
    };
    Error::new(kind, message).with_retry(retry).with_context("request", what)
}

/// An answer that says 200 and is not what was asked for: the page of the user interface, a proxy's, half an answer.
pub(crate) fn no_json(what: &str, kind: &str, body: &[u8]) -> Error {
    let message = if kind.starts_with("text/html") {
        "a web page answered in place of Phoenix's API; give the address of Phoenix itself".to_owned()
    } else {
        format!("the answer is no JSON of the expected form ({kind:?}): {}", said(body))
    };
    Error::new(ErrorKind::Unavailable, message).with_context("request", what)
}

/// A request that got no answer.
pub(crate) fn of_transport(what: &str, error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "Phoenix did not answer in time; raise PhoenixConfig::timeout or look at its load")
    } else if error.is_connect() {
        (ErrorKind::Unavailable, "Phoenix cannot be reached; check the address, and that it runs")
    } else {
        (ErrorKind::Unavailable, "the connection to Phoenix broke")
    };
    Error::new(kind, message).with_retry(Retry::After(None)).with_context("request", what).with_source(error)
}

/// The reason in a body: of `{"detail": …}` and `{"error": …}`, or plain text.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let reason = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => match fields.get("detail").or_else(|| fields.get("error")) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(problems)) => problems.iter().map(problem).collect::<Vec<_>>().join("; "),
            Some(other) => other.to_string(),
            None => text.into_owned(),
        },
        _ if text.trim_start().starts_with("<") => "a web page".to_owned(),
        _ if text.trim().is_empty() => "no reason given".to_owned(),
        _ => text.into_owned(),
    };
    reason.chars().take(SHOWN).collect()
}

fn problem(problem: &Value) -> String {
    let place = problem.get("loc").map(ToString::to_string).unwrap_or_default();
    let message = problem.get("msg").and_then(Value::as_str).unwrap_or("not accepted");
    format!("{message} at {place}")
}
