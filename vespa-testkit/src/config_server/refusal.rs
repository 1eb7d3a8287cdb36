//! Error responses of the config server.

use crate::message::Reply;
use http::{Method, StatusCode};
use serde_json::json;

/// A status, the code that goes with it, and the reason.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

pub(crate) type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "BAD_REQUEST", message: message.into() }
    }

    pub(crate) fn invalid_package(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "INVALID_APPLICATION_PACKAGE", message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "NOT_FOUND", message: message.into() }
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, code: "ACTIVATION_CONFLICT", message: message.into() }
    }

    pub(crate) fn method(method: &Method) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "METHOD_NOT_ALLOWED",
            message: format!("{method} is not allowed here"),
        }
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn reply(self) -> Reply {
        error(self.status, self.code, &self.message)
    }
}

/// An error of the config server.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Reply {
    let body = json!({"error-code": code, "message": message}).to_string();
    Reply::bytes(status, "application/json", body)
}

/// The code that goes with a status, where there is one for certain.
pub(crate) fn code_of(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        400 => Some("BAD_REQUEST"),
        404 => Some("NOT_FOUND"),
        405 => Some("METHOD_NOT_ALLOWED"),
        408 => Some("REQUEST_TIMEOUT"),
        409 => Some("ACTIVATION_CONFLICT"),
        412 => Some("PRECONDITION_FAILED"),
        500 => Some("INTERNAL_SERVER_ERROR"),
        _ => None,
    }
}
