//! Conversion of Ollama's errors.

use cogniverse_http::{Answer, Protocol, Request, StatusCode};
use cogniverse_sdk::{Error, ErrorCode, Retry};
use serde_json::Value;

/// A failure as Ollama reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its queue is full.
    Busy,
    /// The model is not installed.
    MissingModel,
    /// The registry, of which a model was to be pulled, lacks it or cannot be reached.
    NotInRegistry,
    Registry,
    /// A prompt or text that does not fit the model's context.
    Overlong,
    /// The model cannot do such a thing.
    Unfit,
    /// The model returned NaN for a text.
    NoNumber,
    /// The request is wrong.
    Refused,
    KeyUnknown,
    KeyMayNot,
    Slow,
    /// The server is not Ollama.
    NoOllama,
    /// A successful response has the wrong form.
    Garbled,
    /// A response ended early.
    Ended,
    /// Ollama failed in another way.
    Failed,
}

/// Classifies a response. Ollama answers 500 even to the caller's mistakes, so its message counts.
fn classify(status: StatusCode, json: bool, said: &str) -> Fault {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match status.as_u16() {
        401 => Fault::KeyUnknown,
        403 => Fault::KeyMayNot,
        408 | 504 => Fault::Slow,
        429 | 503 => Fault::Busy,
        501 => Fault::Unfit,
        404 | 405 if !json => Fault::NoOllama,
        _ if says(&["pull model manifest"]) && says(&["file does not exist", "manifest unknown"]) => {
            Fault::NotInRegistry
        }
        _ if says(&["pull model manifest", "dial tcp", "no such host"]) => Fault::Registry,
        404 if says(&["not found"]) && says(&["model"]) => Fault::MissingModel,
        // Of no model: a gate before Ollama.
        404 => Fault::NoOllama,
        _ if says(&["exceeds the context length", "exceeds maximum context"]) => Fault::Overlong,
        400 | 500 if says(&["does not support"]) => Fault::Unfit,
        500 if says(&["invalid JSON schema", "invalid format", "must be of type"]) => Fault::Refused,
        500 if says(&["unsupported value: NaN", "NaN"]) => Fault::NoNumber,
        500 if says(&["server busy"]) => Fault::Busy,
        400..=499 => Fault::Refused,
        _ => Fault::Failed,
    }
}

/// What the adapter knows of Ollama. The subject of a request is its model.
#[derive(Debug)]
pub(crate) struct Ollama;

impl Protocol for Ollama {
    fn server(&self) -> &str {
        "Ollama"
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> Error {
        let (json, said) = reason(answer.body());
        let again = Retry::After(answer.retry_after());
        let fault = classify(answer.status(), json, &said);
        fault.error(request, again, &format!("status {}", answer.status().as_u16())).with_withheld(said)
    }
}

/// An error line in an answer; Ollama had answered 200 before.
pub(crate) fn of_line(request: &Request, said: &str) -> Error {
    let fault = classify(StatusCode::INTERNAL_SERVER_ERROR, true, said);
    named(request, fault.error(request, Retry::After(None), "in the middle of its answer").with_withheld(said))
}

/// A fault that an answer of success shows.
pub(crate) fn of_answer(request: &Request, fault: Fault, why: &str) -> Error {
    named(request, fault.error(request, Retry::After(None), why))
}

/// Whether an error says that a text or a prompt exceeds the context.
pub(crate) fn is_overlong(error: &Error) -> bool {
    error.code() == ErrorCode::TextTooLong
}

fn named(request: &Request, error: Error) -> Error {
    error.at_backend().with_context("request", request.name())
}

impl Fault {
    fn error(self, request: &Request, again: Retry, said: &str) -> Error {
        let model = request.subject().map_or_else(String::new, |model| format!(" {model:?}"));
        let name = request.subject().unwrap_or("MODEL");
        let never = Retry::Never;
        let (code, retry, message) = match self {
            Self::Busy => (ErrorCode::RateLimited, again, format!("Ollama is busy: {said}; try again later")),
            Self::MissingModel => (
                ErrorCode::ModelUnknown,
                never,
                format!("Ollama has no model{model}; get it by `ollama pull {name}`: {said}"),
            ),
            Self::NotInRegistry => (
                ErrorCode::ModelUnknown,
                never,
                format!("the registry has no model{model} to pull; check its name and tag: {said}"),
            ),
            Self::Registry => (
                ErrorCode::Unavailable,
                again,
                format!("Ollama cannot pull from the registry; check its network: {said}"),
            ),
            Self::Overlong => (
                ErrorCode::TextTooLong,
                never,
                format!(
                    "the text is longer than the context of the model{model}; shorten it, or raise num_ctx: {said}"
                ),
            ),
            Self::Unfit => {
                (ErrorCode::Unsupported, never, format!("the model{model} cannot do this; use one that can: {said}"))
            }
            Self::NoNumber => (
                ErrorCode::InvalidInput,
                never,
                format!(
                    "the model{model} makes no numbers of a text; leave that text out, or use another model: {said}"
                ),
            ),
            Self::Refused => (ErrorCode::InvalidInput, never, format!("Ollama refused the request: {said}")),
            Self::KeyUnknown => (
                ErrorCode::Unauthenticated,
                never,
                format!("the API key is not known; set one by OllamaConfig::with_api_key: {said}"),
            ),
            Self::KeyMayNot => {
                (ErrorCode::PermissionDenied, never, format!("the API key may not do this; use another: {said}"))
            }
            Self::Slow => (ErrorCode::Timeout, again, format!("Ollama took too long: {said}")),
            Self::NoOllama => (
                ErrorCode::Unavailable,
                never,
                format!(
                    "what answers has no such call; give the address of Ollama itself, of a version that has it: {said}"
                ),
            ),
            Self::Garbled => {
                (ErrorCode::Unexpected, never, format!("the answer of Ollama is not of the expected form: {said}"))
            }
            Self::Ended => (ErrorCode::Unexpected, again, format!("the answer ended before it was done: {said}")),
            Self::Failed => (ErrorCode::Unavailable, again, format!("Ollama failed: {said}")),
        };
        Error::of(code, message).with_retry(retry)
    }
}

/// Whether a body is JSON, and the reason in it.
fn reason(body: &[u8]) -> (bool, String) {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => match value.get("error") {
            Some(Value::String(said)) => (true, said.clone()),
            // The shape of the routes under /v1, and of gates before Ollama.
            Some(Value::Object(fields)) => {
                (true, fields.get("message").and_then(Value::as_str).unwrap_or("no reason given").to_owned())
            }
            _ => (true, text.into_owned()),
        },
        Err(_) if text.trim_start().starts_with('<') => (false, "a web page".to_owned()),
        Err(_) if text.trim().is_empty() => (false, "no reason given".to_owned()),
        Err(_) => (false, text.trim().to_owned()),
    }
}
