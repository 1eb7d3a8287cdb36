//! A model server's errors, in every shape that such servers give them.

use cogniverse_sdk::{Error, ErrorKind, Retry};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

/// What of an answer is repeated in a message.
const SHOWN: usize = 300;

/// An answer that is no success. The one table of what a status means.
pub(super) fn classify(what: &str, status: StatusCode, after: Option<Duration>, body: &[u8]) -> Error {
    let said = said(body);
    let (kind, retry, message) = match status.as_u16() {
        401 => (
            ErrorKind::Unauthenticated,
            Retry::Never,
            format!("the model server does not know the API key ({said}); set one by ServerConfig::with_api_key"),
        ),
        403 => (ErrorKind::PermissionDenied, Retry::Never, format!("the API key may not do this: {said}")),
        404 => (
            ErrorKind::NotFound,
            Retry::Never,
            format!("the model server has no such model or route ({said}); check the address and the model's name"),
        ),
        400 | 405 | 413 | 415 | 422 => {
            (ErrorKind::InvalidInput, Retry::Never, format!("the model server refused the input with {status}: {said}"))
        }
        408 | 504 => (ErrorKind::Timeout, Retry::After(after), format!("the model took too long ({status}): {said}")),
        429 => (ErrorKind::RateLimited, Retry::After(after), format!("the model server asks to slow down: {said}")),
        500..=599 => {
            (ErrorKind::Unavailable, Retry::After(after), format!("the model server failed with {status}: {said}"))
        }
        _ => (ErrorKind::Unexpected, Retry::Never, format!("the model server answered {status}: {said}")),
    };
    Error::new(kind, message).with_retry(retry).with_context("request", what)
}

/// An answer that says 200 and is not what was asked for: a page, a proxy's, half an answer, an answer without vectors.
pub(crate) fn not_of_the_form(what: &str, why: &str, body: &[u8]) -> Error {
    Error::unexpected(format!(
        "the model server's answer is not of the expected form ({why}): {}; check the address and that it serves this route",
        said(body)
    ))
    .with_context("request", what)
}

/// A request that got no answer.
pub(super) fn of_transport(what: &str, error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "the model server did not answer in time; raise ServerConfig::timeout or look at its load")
    } else if error.is_connect() {
        (ErrorKind::Unavailable, "the model server cannot be reached; check the address, and that it runs")
    } else {
        (ErrorKind::Unavailable, "the connection to the model server broke")
    };
    Error::new(kind, message).with_retry(Retry::After(None)).with_context("request", what).with_source(error)
}

/// The reason in a body: of `{"error": {"message": …}}`, `{"error": …}`, `{"message": …}` or `{"detail": …}`, or plain text.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..SHOWN * 40).unwrap_or(body)).into_owned();
    let reason = match serde_json::from_slice::<Value>(body) {
        Ok(value @ Value::Object(_)) => ["/error/message", "/error", "/message", "/detail"]
            .iter()
            .find_map(|place| value.pointer(place).filter(|reason| !reason.is_null()))
            .map_or(text, |reason| reason.as_str().map_or_else(|| reason.to_string(), str::to_owned)),
        _ if text.trim_start().starts_with('<') => "a web page".to_owned(),
        _ if text.trim().is_empty() => "no reason given".to_owned(),
        _ => text,
    };
    reason.chars().take(SHOWN).collect()
}
