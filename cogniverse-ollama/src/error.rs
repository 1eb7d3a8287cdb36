//! What goes wrong with Ollama: one table from its answers, one to the errors of the sdk.

use crate::http::Call;
use cogniverse_sdk::{Error, ErrorKind, Retry};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

/// What of an answer is repeated in a message.
const SHOWN: usize = 300;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection.
    Unreachable,
    /// A connection that ended in the middle.
    Broke,
    /// Too many wait already.
    Busy,
    /// The model is not there.
    MissingModel,
    /// The registry, of which a model was to be pulled, lacks it or cannot be reached.
    NotInRegistry,
    Registry,
    /// A prompt or text that does not fit the model's context.
    Overlong,
    /// The model cannot do such a thing.
    Unfit,
    /// The request is wrong.
    Refused,
    KeyUnknown,
    KeyMayNot,
    Slow,
    /// Somebody else answers.
    NoOllama,
    /// An answer of success that is none.
    Garbled,
    /// An answer that ended before it was done.
    Ended,
    /// Any other failure of Ollama.
    Failed,
}

/// What went wrong, and what was said of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) after: Option<Duration>,
    said: String,
    source: Option<reqwest::Error>,
}

/// What an answer's status and body mean. Ollama answers 500 also to what the caller did wrong, so the words count.
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
        404 if says(&["not found"]) => Fault::MissingModel,
        _ if says(&["exceeds the context length", "exceeds maximum context"]) => Fault::Overlong,
        400 | 500 if says(&["does not support"]) => Fault::Unfit,
        500 if says(&["invalid JSON schema", "invalid format", "must be of type"]) => Fault::Refused,
        500 if says(&["server busy"]) => Fault::Busy,
        400..=499 => Fault::Refused,
        _ => Fault::Failed,
    }
}

impl Failure {
    /// Something seen here.
    pub(crate) fn new(fault: Fault, said: impl Into<String>) -> Self {
        Self { fault, after: None, said: said.into(), source: None }
    }

    /// An answer that is no success.
    pub(crate) fn of_status(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Self {
        let (json, said) = reason(body);
        let fault = classify(status, json, &said);
        Self { fault, after, said: format!("{said} ({})", status.as_u16()), source: None }
    }

    /// A line `{"error": …}` where a part of an answer should be; Ollama had said 200 before.
    pub(crate) fn of_line(said: &str) -> Self {
        Self::new(classify(StatusCode::INTERNAL_SERVER_ERROR, true, said), shown(said))
    }

    /// An answer of success that cannot be read.
    pub(crate) fn garbled(body: &[u8]) -> Self {
        Self::new(Fault::Garbled, reason(body).1)
    }

    /// A request that got no whole answer.
    pub(crate) fn of_transport(error: reqwest::Error) -> Self {
        let fault = if error.is_connect() { Fault::Unreachable } else { Fault::Broke };
        Self { fault, after: None, said: String::new(), source: Some(error) }
    }

    /// Whether another try may meet something else, and nothing was done yet.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.fault, Fault::Unreachable | Fault::Busy)
    }

    /// The error that a caller sees.
    pub(crate) fn into_error(self, call: &Call<'_>) -> Error {
        let (said, again) = (&self.said, Retry::After(self.after));
        let model = call.model.map_or_else(String::new, |model| format!(" {:?}", model.as_str()));
        let name = call.model.map_or("MODEL", |model| model.as_str());
        let (kind, retry, message) = match self.fault {
            Fault::Unreachable => (
                ErrorKind::Unavailable,
                again,
                "Ollama cannot be reached; check the address, and that it runs".to_owned(),
            ),
            Fault::Broke => (ErrorKind::Unavailable, again, "the connection to Ollama broke".to_owned()),
            Fault::Busy => (ErrorKind::RateLimited, again, format!("Ollama is busy: {said}; try again later")),
            Fault::MissingModel => (
                ErrorKind::NotFound,
                Retry::Never,
                format!("Ollama has no model{model}; get it by `ollama pull {name}`: {said}"),
            ),
            Fault::NotInRegistry => (
                ErrorKind::NotFound,
                Retry::Never,
                format!("the registry has no model{model} to pull; check its name and tag: {said}"),
            ),
            Fault::Registry => (
                ErrorKind::Unavailable,
                again,
                format!("Ollama cannot pull from the registry; check its network: {said}"),
            ),
            Fault::Overlong => (
                ErrorKind::InvalidInput,
                Retry::Never,
                format!(
                    "the text is longer than the context of the model{model}; shorten it, or raise num_ctx: {said}"
                ),
            ),
            Fault::Unfit => (
                ErrorKind::Unsupported,
                Retry::Never,
                format!("the model{model} cannot do this; take one that can: {said}"),
            ),
            Fault::Refused => (ErrorKind::InvalidInput, Retry::Never, format!("Ollama refused the request: {said}")),
            Fault::KeyUnknown => (
                ErrorKind::Unauthenticated,
                Retry::Never,
                format!("the API key is not known; set one by OllamaConfig::with_api_key: {said}"),
            ),
            Fault::KeyMayNot => {
                (ErrorKind::PermissionDenied, Retry::Never, format!("the API key may not do this; use another: {said}"))
            }
            Fault::Slow => (ErrorKind::Timeout, again, format!("Ollama took too long: {said}")),
            Fault::NoOllama => (
                ErrorKind::Unavailable,
                Retry::Never,
                format!(
                    "what answers has no such call; give the address of Ollama itself, of a version that has it: {said}"
                ),
            ),
            Fault::Garbled => {
                (ErrorKind::Unexpected, Retry::Never, format!("the answer is not of Ollama's form: {said:?}"))
            }
            Fault::Ended => (ErrorKind::Unexpected, again, format!("the answer ended before it was done: {said}")),
            Fault::Failed => (ErrorKind::Unavailable, again, format!("Ollama failed: {said}")),
        };
        let error = Error::new(kind, message).with_retry(retry).with_context("request", call.name());
        self.source.into_iter().fold(error, |error, source| error.with_source(source))
    }
}

/// Whether a body is JSON, and the reason in it.
fn reason(body: &[u8]) -> (bool, String) {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => match value.get("error") {
            Some(Value::String(said)) => (true, shown(said)),
            // The shape of the routes under /v1, and of gates before Ollama.
            Some(Value::Object(fields)) => {
                (true, shown(fields.get("message").and_then(Value::as_str).unwrap_or("no reason given")))
            }
            _ => (true, shown(&text)),
        },
        Err(_) if text.trim_start().starts_with('<') => (false, "a web page".to_owned()),
        Err(_) if text.trim().is_empty() => (false, "no reason given".to_owned()),
        Err(_) => (false, shown(text.trim())),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
