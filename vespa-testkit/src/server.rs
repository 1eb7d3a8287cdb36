//! The HTTP servers of both ports, and the formats of their errors.

use crate::{
    config_server::{ConfigServer, code_of, error},
    content::Content,
    faults::{Ending, Faults, Instead},
    health,
    message::{Reply, Request},
    request_log::RequestLog,
    route::Route,
    transport::{MAX_BODY_BYTES, Unreadable},
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use std::sync::Arc;

/// Which of the two ports a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Container,
    Config,
}

/// What answers.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) content: Arc<Content>,
    pub(crate) config: ConfigServer,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
}

impl Server {
    pub(crate) async fn answer(&self, port: Port, request: &Request) -> (Reply, Ending) {
        let route = Route::of(&request.path);
        let struck = self.faults.strike(&route, &request.path);
        if !struck.delay.is_zero() {
            tokio::time::sleep(struck.delay).await;
        }
        if let Some(instead) = struck.instead {
            return (stand_in(instead, port, &route, &request.path), Ending::Whole);
        }
        let reply = match (port, &route) {
            (Port::Container, Route::Documents) => self.content.documents(request, &struck.content).await,
            (Port::Container, Route::Search) => self.content.search(request, &struck.content).await,
            (Port::Config, _) if request.path.starts_with("/application/v2/") => {
                self.config.answer(request, &struck).await
            }
            _ => health::answer(self, port, &request.method, &request.path).unwrap_or_else(|| {
                let message = format!("No binding for path '{}'", request.path);
                refusal(port, &Route::Any, &request.path, StatusCode::NOT_FOUND, &message)
            }),
        };
        let reply = if struck.ignored_fields { reply.with_header("x-vespa-ignored-fields", "true") } else { reply };
        (reply, struck.ending)
    }

    /// The answer to a request whose body can not be had.
    pub(crate) fn refuse(&self, port: Port, path: &str, unreadable: Unreadable) -> Reply {
        let (status, message) = match unreadable {
            Unreadable::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} MiB", MAX_BODY_BYTES >> 20))
            }
            Unreadable::Encoding => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is encoded in a way other than gzip".to_owned())
            }
            Unreadable::Gzip | Unreadable::Gone => (StatusCode::BAD_REQUEST, "the body is not gzip".to_owned()),
        };
        refusal(port, &Route::of(path), path, status, &message)
    }
}

fn stand_in(instead: Instead, port: Port, route: &Route, path: &str) -> Reply {
    let valid = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match instead {
        Instead::EmptyStatus(status) => Reply { status: valid(status), headers: Vec::new(), body: Bytes::new() },
        Instead::Status(status) => {
            let status = valid(status);
            let message = match status.as_u16() {
                429 => "Rejecting execution due to overload: too many requests",
                503 => "no handler thread is free",
                504 => "timed out",
                507 => "External feed is blocked due to resource exhaustion",
                _ => "a fault that the test ordered",
            };
            refusal(port, route, path, status, message)
        }
        Instead::Conflict => error(
            StatusCode::CONFLICT,
            "ACTIVATION_CONFLICT",
            "another session was activated since this one was made: refusing to activate this \
             session, please redeploy",
        ),
    }
}

/// An error in the shape that this part of Vespa gives it.
fn refusal(port: Port, route: &Route, path: &str, status: StatusCode, message: &str) -> Reply {
    match (port, route) {
        (Port::Container, Route::Documents) => Reply::json(status, &json!({"pathId": path, "message": message})),
        (Port::Container, Route::Search) => {
            let code = match status.as_u16() {
                400 => 3,
                503 => 10,
                504 => 12,
                507 => 19,
                other => other,
            };
            let errors = json!([{"code": code, "summary": status.canonical_reason(), "message": message}]);
            let fields = json!({"totalCount": 0});
            let root = json!({"id": "toplevel", "relevance": 1.0, "fields": fields, "errors": errors});
            Reply::json(status, &json!({"root": root}))
        }
        (Port::Config, _) => match code_of(status) {
            Some(code) => error(status, code, message),
            // Not from a handler, but from what stands before it.
            None => Reply { status, headers: Vec::new(), body: Bytes::new() },
        },
        (Port::Container, _) => Reply::json(status, &json!({"message": message})),
    }
}
