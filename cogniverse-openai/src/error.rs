//! Conversion of servers' errors, in the forms of each known server.

use cogniverse_http::{Answer, Protocol, Request, StatusCode};
use cogniverse_sdk::{Error, ErrorCode, Retry};
use serde_json::Value;
use std::time::Duration;

/// How servers say that a text does not fit: OpenAI and vLLM, llama.cpp, Ollama.
const TOO_LONG: [&str; 6] = [
    "context length",
    "maximum context",
    "context_length_exceeded",
    "exceed_context_size",
    "available context size",
    "input is too large",
];

/// Whether an error of [`classify`] says that a text does not fit.
pub(crate) fn is_overlong(error: &Error) -> bool {
    error.code() == ErrorCode::TextTooLong
}

/// What the adapter knows of such servers.
#[derive(Debug)]
pub(crate) struct OpenAi;

impl Protocol for OpenAi {
    fn server(&self) -> &str {
        "the server"
    }

    fn refusal(&self, _: &Request, answer: &Answer) -> Error {
        classify(answer.status(), answer.retry_after(), answer.body())
    }
}

/// The error of an answer whose status is not one of success.
fn classify(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Error {
    let (json, said) = reason(body);
    let says = |words: &[&str]| words.iter().any(|word| said.to_lowercase().contains(word));
    let (again, never) = (Retry::After(after), Retry::Never);
    let code = status.as_u16();
    let (of, retry, what) = match code {
        401 => (
            ErrorCode::Unauthenticated,
            never,
            "the API key is missing or not known; set one by OpenAiConfig::with_api_key",
        ),
        403 => (ErrorCode::PermissionDenied, never, "the API key may not do this; use another"),
        404 if json && says(&["model"]) => {
            (ErrorCode::ModelUnknown, never, "the server has no such model; take one that it serves")
        }
        404 | 405 => {
            (ErrorCode::Unavailable, never, "what answers has no such call; give the address that ends in /v1")
        }
        408 | 504 => (ErrorCode::Timeout, again, "the server took too long"),
        429 if says(&["insufficient_quota"]) => (ErrorCode::RateLimited, never, "the account has no quota left"),
        429 => (ErrorCode::RateLimited, again, "the server asks to slow down"),
        501 => (ErrorCode::Unsupported, never, "the model cannot do this; take one that can"),
        503 if says(&["busy", "overload", "capacity", "queue"]) => {
            (ErrorCode::RateLimited, again, "the server is busy")
        }
        503 => (ErrorCode::Unavailable, again, "the server is not ready"),
        _ if says(&TOO_LONG) => (
            ErrorCode::TextTooLong,
            never,
            "the text is longer than the model's context; shorten it, or serve the model with more",
        ),
        400 | 500 if says(&["does not support"]) => {
            (ErrorCode::Unsupported, never, "the model cannot do this; take one that can")
        }
        // Ollama's and llama.cpp's status for a schema that they cannot read.
        500 if says(&["json schema", "json_schema", "grammar"]) => {
            (ErrorCode::InvalidInput, never, "the server refused the schema")
        }
        400..=499 => (ErrorCode::InvalidInput, never, "the server refused the request"),
        500..=599 => (ErrorCode::Unavailable, again, "the server failed"),
        _ => (ErrorCode::Unexpected, never, "the server answered with an unknown status"),
    };
    Error::of(of, format!("{what} ({code})")).at_backend().with_retry(retry).with_withheld(said)
}

/// An error in the middle of a stream, for which the server had said 200 before. Some say there which status they mean.
pub(crate) fn of_event(error: &Value) -> Error {
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status =
        code.and_then(|code| StatusCode::from_u16(code).ok()).filter(|s| s.is_client_error() || s.is_server_error());
    let body = serde_json::json!({ "error": error }).to_string();
    classify(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), None, body.as_bytes())
}

/// Whether a body is JSON, and the reason in it: of OpenAI's `error.message`, of vLLM's older `message`, of `detail` as
/// web frameworks give it, or plain text.
fn reason(body: &[u8]) -> (bool, String) {
    let text = String::from_utf8_lossy(body);
    let shown = |text: &str| text.trim().to_owned();
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
