//! Errors in the shape of each server: one table from an answer to the error of the sdk.

use cogniverse_sdk::{Error, ErrorKind, Retry};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

/// What of an answer is repeated in a message.
const SHOWN: usize = 300;
/// How servers say that a text does not fit: OpenAI and vLLM, llama.cpp, Ollama.
const TOO_LONG: [&str; 6] = [
    "context length",
    "maximum context",
    "context_length_exceeded",
    "exceed_context_size",
    "available context size",
    "input is too large",
];
const OVERLONG: &str = "the text is longer than the model's context; shorten it, or serve the model with more";

/// Whether an error of [`classify`] says that a text does not fit.
pub(crate) fn is_overlong(error: &Error) -> bool {
    error.message().starts_with(OVERLONG)
}

/// An answer that is no success.
pub(crate) fn classify(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Error {
    let (json, said) = reason(body);
    let says = |words: &[&str]| words.iter().any(|word| said.to_lowercase().contains(word));
    let (again, never) = (Retry::After(after), Retry::Never);
    let code = status.as_u16();
    let (kind, retry, what) = match code {
        401 => (
            ErrorKind::Unauthenticated,
            never,
            "the API key is missing or not known; set one by OpenAiConfig::with_api_key",
        ),
        403 => (ErrorKind::PermissionDenied, never, "the API key may not do this; use another"),
        404 if json && says(&["model"]) => {
            (ErrorKind::NotFound, never, "the server has no such model; take one that it serves")
        }
        404 | 405 => {
            (ErrorKind::Unavailable, never, "what answers has no such call; give the address that ends in /v1")
        }
        408 | 504 => (ErrorKind::Timeout, again, "the server took too long"),
        429 if says(&["insufficient_quota"]) => (ErrorKind::RateLimited, never, "the account has no quota left"),
        429 => (ErrorKind::RateLimited, again, "the server asks to slow down"),
        501 => (ErrorKind::Unsupported, never, "the model cannot do this; take one that can"),
        503 if says(&["busy", "overload", "capacity", "queue"]) => {
            (ErrorKind::RateLimited, again, "the server is busy")
        }
        503 => (ErrorKind::Unavailable, again, "the server is not ready"),
        _ if says(&TOO_LONG) => (ErrorKind::InvalidInput, never, OVERLONG),
        400 | 500 if says(&["does not support"]) => {
            (ErrorKind::Unsupported, never, "the model cannot do this; take one that can")
        }
        // Ollama's and llama.cpp's status for a schema that they cannot read.
        500 if says(&["json schema", "json_schema", "grammar"]) => {
            (ErrorKind::InvalidInput, never, "the server refused the schema")
        }
        400..=499 => (ErrorKind::InvalidInput, never, "the server refused the request"),
        500..=599 => (ErrorKind::Unavailable, again, "the server failed"),
        _ => (ErrorKind::Unexpected, never, "the server answered with an unknown status"),
    };
    Error::new(kind, format!("{what}: {said} ({code})")).with_retry(retry)
}

/// An error in the middle of a stream, for which the server had said 200 before. Some say there which status they mean.
pub(crate) fn of_event(error: &Value) -> Error {
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status =
        code.and_then(|code| StatusCode::from_u16(code).ok()).filter(|s| s.is_client_error() || s.is_server_error());
    let body = serde_json::json!({ "error": error }).to_string();
    classify(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), None, body.as_bytes())
}

/// An answer of success that is not of the expected form.
pub(crate) fn garbled(body: &[u8]) -> Error {
    Error::unexpected(format!("the answer is not of OpenAI's form: {:?}", reason(body).1))
}

/// A request that got no whole answer.
pub(crate) fn of_transport(error: reqwest::Error) -> Error {
    let message = if error.is_connect() {
        "the server cannot be reached; check the address, and that it runs"
    } else {
        "the connection to the server broke"
    };
    Error::new(ErrorKind::Unavailable, message).with_retry(Retry::After(None)).with_source(error)
}

/// Whether a body is JSON, and the reason in it: of OpenAI's `error.message`, of vLLM's older `message`, of `detail` as
/// web frameworks give it, or plain text.
fn reason(body: &[u8]) -> (bool, String) {
    let text = String::from_utf8_lossy(body);
    let shown = |text: &str| text.trim().chars().take(SHOWN).collect::<String>();
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return match text.trim() {
            "" => (false, "no reason given".to_owned()),
            page if page.starts_with('<') => (false, "a web page".to_owned()),
            text => (false, shown(text)),
        };
    };
    let error = value.get("error").unwrap_or(&value);
    let message = [error.get("message"), error.get("detail"), value.get("message"), Some(error)]
        .into_iter()
        .flatten()
        .find(|found| !found.is_null())
        .map_or_else(|| text.into_owned(), |found| found.as_str().map_or_else(|| found.to_string(), str::to_owned));
    let word =
        ["code", "type"].into_iter().filter_map(|key| error.get(key)?.as_str()).find(|word| *word != "api_error");
    (true, shown(&word.map_or_else(|| message.clone(), |word| format!("{message} [{word}]"))))
}
