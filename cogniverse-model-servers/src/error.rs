//! A model server's errors, in every shape that such servers give them.

use cogniverse_http::{Answer, Protocol, Request, StatusCode};
use cogniverse_sdk::{Error, ErrorCode, Retry};
use serde_json::Value;
use std::time::Duration;

/// What of an answer is kept.
const SHOWN: usize = 300;

/// What the adapter knows of model servers.
#[derive(Debug)]
pub(crate) struct ModelServer;

impl Protocol for ModelServer {
    fn server(&self) -> &str {
        "the model server"
    }

    fn refusal(&self, _: &Request, answer: &Answer) -> Error {
        classify(answer.status(), answer.retry_after(), answer.body())
    }
}

/// The error of an answer whose status is not one of success.
fn classify(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Error {
    let said = said(body);
    let (code, retry, message) = match status.as_u16() {
        401 => (
            ErrorCode::Unauthenticated,
            Retry::Never,
            "the model server does not know the API key; set one by ServerConfig::with_api_key".to_owned(),
        ),
        403 => (ErrorCode::PermissionDenied, Retry::Never, "the API key may not do this".to_owned()),
        404 if gives_a_reason(body) => (
            ErrorCode::ModelUnknown,
            Retry::Never,
            "the model server has no such model or route; check the address and the model's name".to_owned(),
        ),
        // That says nothing of a model.
        404 => (
            ErrorCode::Unavailable,
            Retry::Never,
            "what answers has no such route; give the address of the model server itself".to_owned(),
        ),
        400 | 405 | 413 | 415 | 422 => {
            (ErrorCode::InvalidInput, Retry::Never, format!("the model server refused the input with {status}"))
        }
        408 | 504 => (ErrorCode::Timeout, Retry::After(after), format!("the model took too long ({status})")),
        429 => (ErrorCode::RateLimited, Retry::After(after), "the model server asks to slow down".to_owned()),
        500..=599 => (ErrorCode::Unavailable, Retry::After(after), format!("the model server failed with {status}")),
        _ => (ErrorCode::Unexpected, Retry::Never, format!("the model server answered {status}")),
    };
    Error::of(code, message).with_retry(retry).with_withheld(said)
}

/// Whether a 404 is a model server's own: JSON that gives a reason, as their frameworks do. A page or a bare text is a proxy's.
fn gives_a_reason(body: &[u8]) -> bool {
    let value = serde_json::from_slice::<Value>(body);
    value.is_ok_and(|value| ["error", "message", "detail"].iter().any(|key| value.get(key).is_some()))
}

/// An answer that says 200 and is not what was asked for: a page, a proxy's, half an answer, an answer without vectors.
pub(crate) fn not_of_the_form(what: &str, why: &str, body: &[u8]) -> Error {
    Error::unexpected(format!(
        "the model server's answer is not of the expected form ({why}); check the address and that it serves this route"
    ))
    .with_withheld(said(body))
    .with_context("request", what)
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
