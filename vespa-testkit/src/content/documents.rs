//! `/document/v1`: which call is meant, and its parameters.

mod path;
mod read;
mod update;
mod visit;
mod visit_request;
mod write;

use super::{Content, ContentFaults, Running};
use crate::message::{Reply, Request};
use http::{Method, StatusCode};
use path::{Path, Route};
use serde_json::{Map, Value, json};

pub(super) fn handle(content: &Content, request: &Request, faults: &ContentFaults) -> Reply {
    let answer = Answer { path: &request.path };
    let Some(path) = Path::parse(&request.path) else {
        return answer.refuse(StatusCode::NOT_FOUND, &path::unknown(&request.path));
    };
    let path = match path {
        Ok(path) => path,
        Err(message) => return answer.refuse(StatusCode::BAD_REQUEST, &message),
    };
    let allowed = path.methods();
    if request.method == Method::OPTIONS {
        return Reply::bytes(StatusCode::NO_CONTENT, "text/plain;charset=utf-8", "")
            .with_header("allow", allowed.join(","));
    }
    if !allowed.contains(&request.method.as_str()) {
        let message = format!(
            "'{}' not allowed at '{}'. Allowed methods are: {}",
            request.method,
            request.path,
            allowed.join(", ")
        );
        return answer.refuse(StatusCode::METHOD_NOT_ALLOWED, &message);
    }
    let mut state = content.state.write();
    let Some(running) = state.as_mut() else {
        return answer.refuse(StatusCode::SERVICE_UNAVAILABLE, "There is no application; deploy one");
    };
    let result = match milliseconds(request, "timeout") {
        Ok(Some(0)) => Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Timeout after 0ms")),
        Err(refusal) => Err(refusal),
        Ok(_) => integer(request, "tracelevel").and_then(|_| match &path.route {
            Route::Document(id) => write::handle(running, request, id),
            route => visit::handle(running, request, faults, route, &path),
        }),
    };
    match result {
        Ok(Done::Json(members)) => answer.json(StatusCode::OK, members),
        Ok(Done::Reply(reply)) => reply,
        Err(refusal) => {
            let mut members = refusal.members;
            if let Some(message) = refusal.message {
                members.insert("message".to_owned(), Value::from(message));
            }
            answer.json(refusal.status, members)
        }
    }
}

/// A finished call.
enum Done {
    Json(Map<String, Value>),
    Reply(Reply),
}

/// A refused one.
struct Refusal {
    status: StatusCode,
    members: Map<String, Value>,
    message: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, members: Map::new(), message: Some(message.into()) }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }
}

struct Answer<'r> {
    path: &'r str,
}

impl Answer<'_> {
    fn refuse(&self, status: StatusCode, message: &str) -> Reply {
        self.json(status, Map::from_iter([("message".to_owned(), Value::from(message))]))
    }

    fn json(&self, status: StatusCode, members: Map<String, Value>) -> Reply {
        let mut body = json!({"pathId": self.path});
        if let Some(all) = body.as_object_mut() {
            all.extend(members);
        }
        Reply::json(status, &body)
    }
}

/// A parameter that is a time; a bare number is seconds.
fn milliseconds(request: &Request, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = request.parameter(name) else { return Ok(None) };
    match super::duration::milliseconds(text) {
        Some(time) => Ok(Some(time)),
        None => Err(Refusal::bad(format!("Failed parsing '{text}': Error parsing '{text}': Invalid number '{text}'"))),
    }
}

/// A parameter that is a whole number.
fn integer(request: &Request, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = request.parameter(name) else { return Ok(None) };
    let number =
        text.parse().map_err(|_| Refusal::bad(format!("Failed parsing '{text}': For input string: \"{text}\"")))?;
    Ok(Some(number))
}

/// Refuses a cluster that is not there.
fn check_cluster<'r>(running: &'r Running, request: &Request) -> Result<Option<&'r str>, Refusal> {
    let Some(name) = request.parameter("cluster") else { return Ok(None) };
    let clusters = &running.package.clusters;
    match clusters.iter().find(|cluster| cluster.name == name) {
        Some(cluster) => Ok(Some(&cluster.name)),
        None => {
            let names: Vec<String> = clusters.iter().map(|cluster| format!("'{}'", cluster.name)).collect();
            Err(Refusal::bad(format!(
                "Your Vespa deployment has no content cluster '{name}', only {}",
                names.join(", ")
            )))
        }
    }
}
